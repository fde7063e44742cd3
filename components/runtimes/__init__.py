"""What the three runtimes agree on, and the choice between them."""

from collections.abc import Mapping
from typing import Protocol

import pulumi

from components.runtimes.images import read_lock
from specs.model import SettingsError
from specs.settings import RuntimeKind, Settings
from specs.stack import Stack
from specs.workload import Workload


class Runtime(Protocol):
    """Where workloads run."""

    @property
    def home(self) -> str:
        """Directory of a process stack; empty elsewhere."""
        ...

    def deploy(self, workload: Workload, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Declare what runs `workload`, as children of `parent`; return the URL a person opens."""
        ...

    def connect(self, stack: Stack, parent: pulumi.Resource) -> None:
        """Declare who may talk to whom, and ways in from outside, as children of `parent`, where these are objects."""
        ...


def absent(settings: Settings) -> list[str]:
    """Optional executables that this machine lacks, where the runtime runs executables of this machine."""
    if settings.runtime is not RuntimeKind.PROCESS:
        return []
    from components.runtimes import process

    return process.absent()


def _lock() -> Mapping[str, str]:
    try:
        return read_lock()
    except SettingsError as problem:
        raise pulumi.RunError(str(problem)) from None


def of(stack: Stack, secrets: Mapping[str, pulumi.Output[str]], *, home: str = "") -> Runtime:
    """The runtime that the stack asks for, once it is sure that the stack can run there.

    `secrets` are the stack's, by key; `home` names the directory of a process stack (empty: as Pulumi's stack).
    Raises pulumi.RunError with one clear message; nothing has been touched then.
    """
    # Each adapter drags in an SDK of its own: only the chosen one is imported.
    match stack.context.settings.runtime:
        case RuntimeKind.PROCESS:
            from components.runtimes import process

            return process.of(stack, secrets, home)
        case RuntimeKind.DOCKER:
            from components.runtimes import docker

            return docker.of(stack, secrets, _lock())
        case RuntimeKind.KUBERNETES:
            from components.runtimes import kubernetes

            return kubernetes.of(stack, secrets, _lock())
