"""What a stack declares, as the rules of the policy pack look at it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pulumi

from components.recording import Registered, Secret, record
from components.runtimes import Runtime
from components.runtimes.docker import DockerRuntime
from components.runtimes.images import read_lock
from components.runtimes.kubernetes import KubernetesRuntime
from components.runtimes.process import ProcessRuntime
from components.stack import ObservabilityStack
from policy.rules import Resource
from specs.settings import RuntimeKind
from specs.stack import Stack

_HOME = "/home/of/the/stack"
"""Stands in the place of a process stack's directory: nothing is placed there."""
_PROGRAMS = Path("/programs/of/the/stack")
"""Stands in the place of the directories of its programs: none has to be installed."""

_PLACE = re.compile(r"<secret: [\w-]+>")
"""Stands in the place of a secret."""


def _runtime(stack: Stack, secrets: Mapping[str, pulumi.Output[str]]) -> Runtime:
    settings, addresses = stack.context.settings, stack.context.addresses
    match settings.runtime:
        case RuntimeKind.PROCESS:
            return ProcessRuntime(home=_HOME, addresses=addresses, secrets=secrets, find=_PROGRAMS.joinpath)
        case RuntimeKind.DOCKER:
            return DockerRuntime(settings=settings, addresses=addresses, secrets=secrets, lock=read_lock())
        case RuntimeKind.KUBERNETES:
            return KubernetesRuntime(settings=settings, addresses=addresses, secrets=secrets, lock=read_lock())


def _plain(value: object) -> Any:
    if isinstance(value, Secret):
        return _plain(value.value)
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        return {key: _plain(item) for key, item in found.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    return value


def _secrets(value: object, *, marked: bool = False) -> Iterator[str]:
    """Texts that reached the engine marked as secret."""
    if isinstance(value, Secret):
        yield from _secrets(value.value, marked=True)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            if not key.startswith("__"):
                yield from _secrets(item, marked=marked)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _secrets(item, marked=marked)
    elif marked and isinstance(value, str):
        yield value
        # Inside of a file around them, too.
        yield from _PLACE.findall(value)


def resource(found: Registered) -> Resource:
    """A resource of a recording as rules look at it."""
    return Resource(
        type=found.type,
        name=found.name,
        urn=found.urn,
        props=_plain(dict(found.inputs)),
        retained=found.retain_on_delete,
        secrets=frozenset(_secrets(dict(found.inputs))),
    )


def resources(stack: Stack) -> tuple[Resource, ...]:
    """Every resource that `stack` declares. Programs are not needed, nor secrets: each reads `<secret: KEY>`."""

    def program() -> None:
        secrets = {ref.key: pulumi.Output.secret(f"<secret: {ref.key}>") for ref in stack.secrets()}
        ObservabilityStack("observability", stack, _runtime(stack, secrets), secrets)

    found = record(program, stack=stack.context.settings.environment).resources
    return tuple(resource(each) for each in found)
