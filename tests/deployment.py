"""Runs what declares resources against a recording, in which secrets stay marked; the one helper of such tests."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pulumi

from components.part import Part
from components.recording import Recording, record
from components.runtimes import Runtime
from components.runtimes.docker import DockerRuntime
from components.runtimes.kubernetes import KubernetesRuntime
from components.runtimes.process import ProcessRuntime
from components.stack import ObservabilityStack
from specs.addresses import Addresses
from specs.settings import RuntimeKind, Settings, load
from specs.stack import Stack, addresses, build
from specs.workload import Port, Probe, Program, Registry, Resources, SecretRef, Volume, Workload

ROOT = Path(__file__).parents[1]
HOME = "/home/of/the/stack"
LOCK: Mapping[str, str] = {}
"""What images.lock says in tests: whether a checkout has one must make no difference."""
PROCESS = "pulumi-python:dynamic/observability:Process"
SUPERVISOR = "pulumi-python:dynamic/observability:Supervisor"
CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"

SAMPLE = Workload(
    name="sample",
    program=Program(
        name="sampler",
        image="quay.io/example/sampler",
        version="v1.2.3",
        binary="python",
        entrypoint=("sampler",),
        user=1234,
    ),
    ports=(
        Port(name="http", number=8080, published=True),
        Port(name="grpc", number=8081),
        Port(name="syslog", number=8082, protocol="udp", published=True),
    ),
    args=("--config=../config/sample.yml", "--data=."),
    environment={"SAMPLE": "yes"},
    files={"sample.yml": "name: é\n", "rules/two_three.yml": "b: 2\n"},
    secrets={
        "secrets/plain": SecretRef("plain"),
        "secrets/wrapped.py": SecretRef("wrapped", template="password = $secret\n"),
    },
    probe=Probe(port="grpc", path="/ready", start_seconds=12),
    resources=Resources(memory="256Mi", cpu="250m"),
    volume=Volume("2Gi"),
    extras=(Registry(),),
)
"""A workload with something of everything but the host."""


@cache
def stack_of(name: str, *, absent: tuple[str, ...] = ()) -> Stack:
    """The stack of the project's own stack file `name`."""
    return build(load(ROOT / f"Pulumi.{name}.yaml"), file=f"Pulumi.{name}.yaml", absent=absent)


def secret_of(key: str) -> str:
    """The value that the secret `key` has in tests: with what needs quoting."""
    return f'the "{key}"'


def secrets_for(workloads: tuple[Workload, ...]) -> dict[str, pulumi.Output[str]]:
    """Every secret that the workloads read, as the engine would hand it over."""
    programs = [program for workload in workloads for program in (workload, *workload.beside)]
    keys = {one.key for program in programs for ref in program.secrets.values() for one in ref.each()}
    return {key: pulumi.Output.secret(secret_of(key)) for key in sorted(keys)}


def runtime_of(settings: Settings, secrets: Mapping[str, pulumi.Output[str]]) -> Runtime:
    """The runtime of `settings`, without a look at this machine: its ports may be somebody's at the moment."""
    where: Addresses = addresses(settings)
    match settings.runtime:
        case RuntimeKind.PROCESS:
            return ProcessRuntime(home=HOME, addresses=where, secrets=secrets)
        case RuntimeKind.DOCKER:
            return DockerRuntime(settings=settings, addresses=where, secrets=secrets, lock=LOCK)
        case RuntimeKind.KUBERNETES:
            return KubernetesRuntime(settings=settings, addresses=where, secrets=secrets, lock=LOCK)


def deployed(stack: Stack, *, preview: bool = False) -> Recording:
    """What the whole stack declares."""
    settings = stack.context.settings

    def program() -> None:
        secrets = {ref.key: pulumi.Output.secret(secret_of(ref.key)) for ref in stack.secrets()}
        ObservabilityStack("observability", stack, runtime_of(settings, secrets), secrets)

    return record(program, stack=settings.environment, preview=preview)


def placed(workload: Workload, settings: Settings) -> Recording:
    """What one workload declares, beside what its runtime does."""

    def program() -> None:
        Part("Exporter", workload, runtime_of(settings, secrets_for((workload,))))

    return record(program, stack=settings.environment)


def url_of(workload: Workload, settings: Settings) -> str:
    """What `deploy` returns for the workload, once it is there."""
    found: list[str] = []

    def program() -> None:
        parent = pulumi.ComponentResource("observability:index:Exporter", workload.name)
        runtime = runtime_of(settings, secrets_for((workload,)))
        runtime.deploy(workload, parent).apply(found.append)

    record(program, stack=settings.environment)
    (url,) = found
    return url


def settings_for(runtime: RuntimeKind, **more: Any) -> Settings:
    """The least that settings can be, and `more`."""
    return Settings.model_validate({"environment": "test", "cluster": "test", "runtime": runtime, **more})


def inputs_of(recording: Recording, type_: str, name: str) -> dict[str, Any]:
    """Inputs of one resource, without the code that Pulumi packs into a dynamic one."""
    return {key: value for key, value in recording.resource(type_, name).inputs.items() if key != "__provider"}


def count(recording: Recording) -> dict[str, int]:
    """How many resources of each type there are."""
    return dict(Counter(resource.type for resource in recording.resources))
