"""GlitchTip as containers and as pods: health without HTTP, writable places, and secrets."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from components.recording import Recording, Secret
from specs import glitchtip
from specs.settings import RuntimeKind
from specs.stack import Stack, build
from specs.workload import Workload
from tests.deployment import CONTAINER, deployed, inputs_of, settings_for

PARTS = (glitchtip.NAME, glitchtip.WORKER, glitchtip.POSTGRES, glitchtip.REDIS)
BY_COMMAND = (glitchtip.POSTGRES, glitchtip.REDIS)
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"


@cache
def whole(runtime: RuntimeKind) -> Stack:
    """A stack with GlitchTip."""
    team = {"default": "team", "receivers": {"team": {"webhook": {"url": "https://team.example.com"}}}}
    return build(settings_for(runtime, errors="glitchtip", alerting=team), file="test")


@cache
def recording(runtime: RuntimeKind) -> Recording:
    """What it declares."""
    return deployed(whole(runtime))


def container(name: str) -> dict[str, Any]:
    """Inputs of a container."""
    return inputs_of(recording(RuntimeKind.DOCKER), CONTAINER, name)


def pod(workload: Workload) -> Mapping[str, Any]:
    """The pod of a workload, with its one container."""
    kind = STATEFUL_SET if workload.volume else DEPLOYMENT
    spec = inputs_of(recording(RuntimeKind.KUBERNETES), kind, workload.name)["spec"]
    pod: Mapping[str, Any] = spec["template"]["spec"]
    return pod


@pytest.mark.parametrize("name", PARTS)
def test_health_of_containers(name: str) -> None:
    """Proves that a container asks itself by the command of its probe and is waited for, and that one whose image has
    nothing to ask with is not."""
    declared = container(name)
    command = whole(RuntimeKind.DOCKER).workload(name).probe.command

    assert bool(command) == (name in BY_COMMAND)
    assert declared.get("wait", False) == (name in BY_COMMAND)
    if command:
        assert declared["healthcheck"]["tests"] == ["CMD", *command]
    else:
        assert "healthcheck" not in declared


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_health_of_pods(name: str, probe: str) -> None:
    """Proves that the kubelet runs the command of a probe where there is one, and asks by HTTP where there is none."""
    workload = whole(RuntimeKind.KUBERNETES).workload(name)
    (made,) = pod(workload)["containers"]
    asked = made[probe]

    if name in BY_COMMAND:
        assert asked["exec"] == {"command": [*workload.probe.command]}
        assert "httpGet" not in asked
    else:
        assert asked["httpGet"]["path"] == workload.probe.path
        assert "exec" not in asked


def test_socket_directory_of_the_database() -> None:
    """Proves that PostgreSQL may write its socket though its file system is read-only, on both runtimes."""
    workload = whole(RuntimeKind.KUBERNETES).workload(glitchtip.POSTGRES)
    (made,) = pod(workload)["containers"]

    assert workload.scratch == ("/var/run/postgresql",)
    assert container(glitchtip.POSTGRES)["readOnly"] is True
    assert "/var/run/postgresql" in container(glitchtip.POSTGRES)["tmpfs"]
    assert made["securityContext"]["readOnlyRootFilesystem"] is True
    assert "/var/run/postgresql" in {mount["mountPath"] for mount in made["volumeMounts"]}


def test_secrets_are_made_up_once_and_placed_as_files() -> None:
    """Proves that key and passwords need no configuration, and that each reaches the parts as a secret file."""
    found = {upload["file"]: upload["content"] for name in PARTS for upload in container(f"{name}-secrets")["uploads"]}

    assert set(found) == {f"/seed/secrets/{name}" for name in ("key", "database", "redis", "password", "password.conf")}
    assert all(isinstance(content, Secret) for content in found.values())
    assert all(ref.generated for ref in whole(RuntimeKind.DOCKER).secrets() if ref.key.startswith("glitchtip"))
