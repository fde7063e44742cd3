"""Runs a Pulumi program in this process against nothing at all, and says what it declared.

No engine, plugin, cluster or network takes part: this is what renders manifests, and what tests look at.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import mocks
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS, get_stack
from pulumi.runtime.stack import run_pulumi_func

from specs.settings import PROJECT

_STACK = "pulumi:pulumi:Stack"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - how Pulumi marks a secret on the wire


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that reached the engine marked as secret."""

    value: object


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A resource as the engine was told of it."""

    type: str
    name: str
    parent: str
    """Logical name of the parent; empty: the stack itself."""
    urn: str
    inputs: Mapping[str, Any]
    depends_on: tuple[str, ...]
    """Logical names of what it was made to wait for, by options or by inputs."""
    retain_on_delete: bool
    delete_before_replace: bool
    timeouts: tuple[str, str]
    """Of create and update; empty: the provider's own."""
    provider: str
    """Logical name of the provider it was given; empty: the default one of its package."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """What a program did."""

    resources: list[Registered] = field(default_factory=list[Registered])
    """By type and name, since the order of registrations is chance."""
    warnings: list[str] = field(default_factory=list[str])
    """Lines for people, in the order told."""

    def resource(self, type_: str, name: str) -> Registered:
        """The one resource of that type and name; KeyError when there is none or more than one."""
        found = [resource for resource in self.resources if (resource.type, resource.name) == (type_, name)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} resources are {type_} {name!r}")
        return found[0]


def _plain(value: object) -> object:
    """JSON off the wire, with `Secret` for its envelope and keys in order: a map has none on the wire."""
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        if found.get(_SIGNATURE) == _SECRET:
            return Secret(_plain(found["value"]))
        return {key: _plain(found[key]) for key in sorted(found)}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _urn(request: Any) -> str:
    """As the engine makes it: with the types of all parents but the stack, where Pulumi's mocks keep only one."""
    chain = str(request.parent).split("::")[2] if request.parent else _STACK
    type_ = request.type if chain == _STACK else f"{chain}${request.type}"
    return f"urn:pulumi:{get_stack()}::{PROJECT}::{type_}::{request.name}"


class _Mocks(mocks.Mocks):
    """Pulumi's interface; requests are answered before they would come here."""

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"unexpected call of {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise AssertionError(f"unexpected look at {args.typ} {args.name}")


class _Monitor(mocks.MockMonitor):
    """An engine that makes everything at once, under its logical name.

    It reads requests itself: Pulumi's own monitor loses the options, and which part of an input is secret.
    """

    def __init__(self, recording: Recording, *, preview: bool) -> None:
        super().__init__(_Mocks())
        self._recording = recording
        self._preview = preview

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        urn = _urn(request)
        if request.type == _STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        under_stack = f"::{_STACK}::" in request.parent
        self._recording.resources.append(
            Registered(
                type=request.type,
                name=request.name,
                parent="" if under_stack else _name(request.parent),
                urn=urn,
                inputs=cast("dict[str, Any]", _plain(json_format.MessageToDict(request.object))),
                depends_on=tuple(sorted(_name(urn) for urn in request.dependencies)),
                retain_on_delete=request.retainOnDelete,
                delete_before_replace=request.deleteBeforeReplace,
                timeouts=(request.customTimeouts.create, request.customTimeouts.update),
                # <urn>::<id>
                provider=_name(request.provider.rpartition("::")[0]),
            )
        )
        state = struct_pb2.Struct()
        state.CopyFrom(request.object)
        if request.type.startswith("kubernetes:"):
            metadata = state.fields["metadata"].struct_value
            if "name" not in metadata.fields:
                metadata["name"] = request.name
        # What a preview would create has no id yet, and so what depends on it is unknown.
        made = "" if self._preview or not request.custom else request.name
        return resource_pb2.RegisterResourceResponse(urn=urn, id=made, object=state)


class _Warnings(logging.Handler):
    def __init__(self, recording: Recording) -> None:
        super().__init__(logging.WARNING)
        self._recording = recording

    def emit(self, record: logging.LogRecord) -> None:
        self._recording.warnings.append(record.getMessage())


def record(
    program: Callable[[], None],
    *,
    stack: str,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    preview: bool = False,
) -> Recording:
    """Run `program` as the stack `stack` with what `pulumi config` would hold; say what it declared.

    Raises what the program raises. Leaves nothing behind: neither settings of Pulumi's runtime nor an event loop.
    """
    recording = Recording()
    logger = logging.Logger("recording")  # noqa: LOG001 - one that nobody else can find
    logger.addHandler(_Warnings(recording))
    plain, hidden = config or {}, secrets or {}

    async def run() -> None:
        set_all_config(
            {f"{PROJECT}:{key}": value for key, value in {**plain, **hidden}.items()},
            [f"{PROJECT}:{key}" for key in hidden],
        )
        # Pulumi's mocks share this set among programs: what a failed one left in it would be awaited for ever.
        SETTINGS.outputs = set()  # pyright: ignore[reportAttributeAccessIssue] - the SDK's descriptor is not typed
        monitor = _Monitor(recording, preview=preview)
        mocks.set_mocks(_Mocks(), project=PROJECT, stack=stack, preview=preview, logger=logger, monitor=monitor)
        await run_pulumi_func(program)

    # Pulumi keeps its settings in context variables and its event loop by thread: it gets its own of both.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(contextvars.copy_context().run, lambda: asyncio.run(run())).result()
    recording.resources.sort(key=lambda resource: (resource.type, resource.name))
    return recording
