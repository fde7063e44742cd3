"""What holds on all three runtimes, read off what each declares; one suite for all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from components.recording import Recording, Secret
from specs.model import parse
from specs.settings import RuntimeKind, Settings
from specs.stack import Stack, addresses, build
from specs.workload import Workload
from tests.deployment import CONTAINER, PROCESS, SAMPLE, deployed, placed, secret_of, settings_for

SETTINGS: dict[str, Any] = {
    "grafana": False,
    "exporters": {
        "node": {},
        "blackbox": {},
        "postgres": {
            "targets": {"db": {"address": "db:5432", "user": "watcher", "password": {"secret": "db-password"}}}
        },
        "redis": {"targets": {"cache": {"address": "cache:6379", "password": {"secret": "cache-password"}}}},
        "celery": {"targets": {"jobs": {"broker": {"secret": "broker-url"}}}},
    },
    "alerting": {
        "default": "team",
        "receivers": {"team": {"webhook": {"url": {"secret": "team-url"}}}},
        "dead_mans_switch": {"url": {"secret": "switch-url"}},
    },
}
"""A stack with secrets of every form: bare, inside JSON, inside Python."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One workload as its runtime would run it."""

    args: list[str]
    environment: dict[str, str]
    files: dict[str, str]
    """Path under the configuration directory → text."""
    secrets: dict[str, Any]
    reachable: set[tuple[int, str]]
    """Ports (as in the spec) at which others find the workload under the address that `dial` gives."""


def of_process(recording: Recording, workload: Workload, settings: Settings) -> Seen:
    """Read a Process: whatever it listens on, everything on the machine can dial."""
    inputs = recording.resource(PROCESS, workload.name).inputs
    assert inputs["command"][0] == workload.program.binary
    where = addresses(settings)
    return Seen(
        args=inputs["command"][1:],
        environment=inputs["environment"],
        files=inputs["files"],
        secrets=inputs["secrets"],
        reachable={
            (port.number, port.protocol)
            for port in workload.ports
            if where.dial(workload.name, port.number) == f"127.0.0.1:{port.number + settings.port_offset}"
        },
    )


def apart(file: str, joined: str) -> dict[str, str]:
    """Files by path, of the one upload that has them all: a line with length and path before each."""
    assert file == "/seed/files"
    found: dict[str, str] = {}
    lines = joined.splitlines(keepends=True)
    while lines:
        length, path = lines.pop(0).removeprefix("==> ").rstrip("\n").split(" lines of ")
        found[path] = "".join(lines[: int(length)])
        del lines[: int(length)]
    return found


def of_container(recording: Recording, workload: Workload, settings: Settings) -> Seen:
    """Read a Container: by its alias every port can be dialled; what is published is so on loopback, shifted."""
    inputs = recording.resource(CONTAINER, workload.name).inputs
    config = f"{settings.docker.network}-{workload.name}-config"
    mounted = {volume["containerPath"]: volume["volumeName"] for volume in inputs.get("volumes", [])}
    uploads: list[tuple[str, Any]] = []
    for resource in recording.resources:
        # What fills the volume that the program reads its configuration from, and that the program waits for.
        if resource.name not in {f"{workload.name}-files", f"{workload.name}-secrets"} or resource.type != CONTAINER:
            continue
        assert resource.name in recording.resource(CONTAINER, workload.name).depends_on
        filled = {volume["containerPath"]: volume["volumeName"] for volume in resource.inputs["volumes"]}
        uploads += [(str(upload["file"]), upload["content"]) for upload in resource.inputs.get("uploads", [])]
        assert not resource.inputs.get("uploads") or filled["/workload/config"] == config
    assert not uploads or mounted["/workload/config"] == config
    root = "/seed/"
    assert all(file.startswith(root) for file, _ in uploads)
    published = sorted((port.number, port.protocol) for port in workload.ports if port.published)
    assert inputs.get("ports", []) == [
        {"internal": number, "external": number + settings.port_offset, "ip": "127.0.0.1", "protocol": protocol}
        for number, protocol in published
    ]
    aliases = {alias for network in inputs["networksAdvanced"] for alias in network.get("aliases", [])}
    where = addresses(settings)
    return Seen(
        args=inputs["command"],
        environment=dict(env.split("=", 1) for env in inputs.get("envs", [])),
        files={
            path: text
            for file, joined in uploads
            if not isinstance(joined, Secret)
            for path, text in apart(file, joined).items()
        },
        secrets={file.removeprefix(root): text for file, text in uploads if isinstance(text, Secret)},
        reachable={
            (port.number, port.protocol)
            for port in workload.ports
            if where.dial(workload.name, port.number) in {f"{alias}:{port.number}" for alias in aliases}
        },
    )


def of_pod(recording: Recording, workload: Workload, settings: Settings) -> Seen:
    """Read a pod, its ConfigMap and Secret as they are mounted, and the Service in front of it."""
    on_node = workload.on_nodes
    kind = "DaemonSet" if on_node else "StatefulSet" if workload.volume or workload.peers else "Deployment"
    controller = recording.resource(f"kubernetes:apps/v1:{kind}", workload.name).inputs
    pod = controller["spec"]["template"]
    (container,) = [each for each in pod["spec"]["containers"] if each["name"] == workload.name]
    mounted: dict[str, Any] = {}
    for volume in pod["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if "configMap" in source:
                held = recording.resource("kubernetes:core/v1:ConfigMap", source["configMap"]["name"]).inputs["data"]
                mounted |= {item["path"]: held[item["key"]] for item in source["configMap"]["items"]}
            else:
                texts = recording.resource("kubernetes:core/v1:Secret", source["secret"]["name"]).inputs["stringData"]
                assert isinstance(texts, Secret)
                values = cast("dict[str, str]", texts.value)
                mounted |= {item["path"]: Secret(values[item["key"]]) for item in source["secret"]["items"]}
    service = recording.resource("kubernetes:core/v1:Service", workload.name).inputs
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["metadata"]["namespace"] == controller["metadata"]["namespace"]
    # What is on every node is dialled there by nobody but Prometheus, which asks the cluster where it is.
    namespace = settings.kubernetes.namespace if on_node else service["metadata"]["namespace"]
    host = f"{workload.name}.{namespace}.svc"
    behind = {(port["name"], port["protocol"]): port["containerPort"] for port in container["ports"]}
    where = addresses(settings)
    return Seen(
        args=container["args"],
        environment={env["name"]: env["value"] for env in container.get("env", []) if "value" in env},
        files={path: text for path, text in mounted.items() if not isinstance(text, Secret)},
        secrets={path: text for path, text in mounted.items() if isinstance(text, Secret)},
        reachable={
            (behind[port["targetPort"], port["protocol"]], port["protocol"].lower())
            for port in service["spec"]["ports"]
            if where.dial(workload.name, port["port"]) == f"{host}:{port['port']}"
        },
    )


READERS: dict[RuntimeKind, Callable[[Recording, Workload, Settings], Seen]] = {
    RuntimeKind.PROCESS: of_process,
    RuntimeKind.DOCKER: of_container,
    RuntimeKind.KUBERNETES: of_pod,
}
PLACED_AS = {
    RuntimeKind.PROCESS: {PROCESS},
    RuntimeKind.DOCKER: {CONTAINER},
    RuntimeKind.KUBERNETES: {f"kubernetes:apps/v1:{kind}" for kind in ("StatefulSet", "Deployment", "DaemonSet")},
}


@pytest.fixture(scope="module", params=list(RuntimeKind), ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> RuntimeKind:
    """Return each runtime in turn."""
    return cast("RuntimeKind", request.param)


@pytest.fixture(scope="module")
def stack(kind: RuntimeKind) -> Stack:
    """Return a stack of many workloads on the runtime."""
    value = {"environment": "test", "cluster": "test", "runtime": kind.value, **SETTINGS}
    if kind is not RuntimeKind.KUBERNETES:
        value["port_offset"] = 200
    return build(parse(Settings, value, file="test", key=""), file="test")


@pytest.fixture(scope="module")
def seen(kind: RuntimeKind, stack: Stack) -> dict[str, Seen]:
    """Return every workload of the stack as the runtime declares it."""
    recording = deployed(stack)
    read = READERS[kind]
    return {workload.name: read(recording, workload, stack.context.settings) for workload in stack.workloads}


def test_every_workload_is_placed_once(kind: RuntimeKind, stack: Stack) -> None:
    """None is forgotten, none runs twice, and nothing runs that is not in the spec."""
    placed_as = [resource for resource in deployed(stack).resources if resource.type in PLACED_AS[kind]]
    # A container that prepares a volume ends.
    running = [resource.name for resource in placed_as if resource.inputs.get("mustRun", True)]

    assert sorted(running) == sorted(stack.names)


def test_arguments_are_the_specs(stack: Stack, seen: dict[str, Seen]) -> None:
    """Arguments and environment arrive in full, in order, and without addition."""
    assert {name: (found.args, found.environment) for name, found in seen.items()} == {
        workload.name: (list(workload.args), dict(workload.environment)) for workload in stack.workloads
    }


def test_files_arrive_byte_for_byte(stack: Stack, seen: dict[str, Seen]) -> None:
    """Each file stands under the path of the spec, with its text unchanged; there are no others."""
    assert {name: found.files for name, found in seen.items()} == {
        workload.name: dict(workload.files) for workload in stack.workloads
    }


def test_secrets_arrive_as_secrets(stack: Stack, seen: dict[str, Seen]) -> None:
    """Each secret stands under its path, inside the text its program wants, and is marked as secret."""
    found = {name: item.secrets for name, item in seen.items() if item.secrets}

    assert found == {
        "alertmanager": {
            "secrets/team-webhook": Secret(secret_of("team-url")),
            "secrets/dead-mans-switch-webhook": Secret(secret_of("switch-url")),
        },
        "postgres-exporter-db": {"secrets/password": Secret(secret_of("db-password"))},
        "redis-exporter-cache": {
            "secrets/passwords.json": Secret('{"redis://cache:6379": "the \\"cache-password\\""}')
        },
        "flower-jobs": {"secrets/celeryconfig.py": Secret('broker_url = "the \\"broker-url\\""\n')},
    }
    assert set(found) == {workload.name for workload in stack.workloads if workload.secrets}


def test_ports_are_reachable(stack: Stack, seen: dict[str, Seen]) -> None:
    """Every port of the spec, with its protocol, is found at the address that other workloads were told."""
    assert {name: found.reachable for name, found in seen.items()} == {
        workload.name: {(port.number, port.protocol) for port in workload.ports} for workload in stack.workloads
    }


def test_an_extra_that_is_not_known_is_refused(kind: RuntimeKind) -> None:
    """A runtime that cannot give a workload what it asks for says so; it does not run it without."""
    strange = replace(SAMPLE, extras=cast("Any", ("a pony",)))

    with pytest.raises(AssertionError, match="a pony"):
        placed(strange, settings_for(kind))


def test_directories_lie_beside_each_other(kind: RuntimeKind) -> None:
    """Relative paths of the spec lead from the working directory to configuration and registry."""
    recording = placed(SAMPLE, settings_for(kind))

    if kind is RuntimeKind.DOCKER:
        inputs = recording.resource(CONTAINER, "sample").inputs
        directory, mounts = inputs["workingDir"], [volume["containerPath"] for volume in inputs["volumes"]]
        assert (directory, mounts) == ("/workload/data", ["/workload/config", "/workload/data", "/registry"])
    elif kind is RuntimeKind.KUBERNETES:
        spec = recording.resource("kubernetes:apps/v1:StatefulSet", "sample").inputs["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert container["workingDir"] == "/workload/data"
        assert {"/workload/config", "/workload/data", "/registry"} <= set(mounts)
    else:
        # What supervisor starts is started in `<home>/<name>/data`, which is `processes`' own to prove.
        assert recording.resource(PROCESS, "sample").inputs["home"] == "/home/of/the/stack"


def test_all_secrets_of_the_stack_are_asked_for(stack: Stack) -> None:
    """What the stack says it needs is what its workloads read: a runtime never looks for a secret it was not given."""
    read = {ref.key for workload in stack.workloads for ref in workload.secrets.values()}

    assert {ref.key for ref in stack.secrets()} == read
    assert read == {"team-url", "switch-url", "db-password", "cache-password", "broker-url"}
