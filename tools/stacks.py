"""What commands begin with: the stack that a file declares, and what keeps its programs running."""

import contextlib
import sys
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from processes.home import of_stack
from specs.model import SettingsError
from specs.settings import RuntimeKind, load, read_yaml
from specs.stack import Stack, build
from tools import paths

if TYPE_CHECKING:
    from tools.docker_engine import Containers
    from tools.health import Keeper
    from tools.kubernetes_cluster import Pods


def declared(name: str) -> Stack:
    """The stack as its file has it. Raises SettingsError."""
    file = paths.stack_file(name)
    return build(load(file), file=file.name)


def runnable(name: str) -> Stack:
    """The stack as this machine can run it. Raises SettingsError."""
    # Only here, since it takes Pulumi's SDK, which rendering does without.
    from components import runtimes

    file = paths.stack_file(name)
    settings = load(file)
    return build(settings, file=file.name, absent=runtimes.absent(settings))


def argument(name: str) -> str:
    """What `make` needs to be told to mean this stack, with a space at its end; empty for the default."""
    return "" if name == "local" else f"STACK={name} "


def native(names: Iterable[str]) -> list[str]:
    """Those of the programs `names` that the virtual environment has not, in the order of their names."""
    own = Path(sys.prefix) / "bin"
    return sorted(name for name in set(names) if not (own / name).exists())


def on(stack: Stack, kind: RuntimeKind) -> bool:
    """Whether the stack runs there."""
    return stack.context.settings.runtime is kind


def config_of(name: str, key: str) -> str:
    """A value of the stack file that is none of ours; empty: it has none."""
    config: Mapping[str, object] = read_yaml(paths.stack_file(name)).get("config") or {}
    return str(config.get(key, ""))


@contextlib.contextmanager
def containers(name: str, stack: Stack) -> "Generator[Containers, None, None]":
    """The containers of a Docker stack, on an engine that answers. Raises EngineError where none does."""
    # Only here, since Docker's SDK takes time to import.
    from tools import docker_engine

    with docker_engine.connected(docker_engine.where(paths.stack_file(name)), stack) as found:
        yield found


def pods(name: str, stack: Stack) -> "Pods":
    """The pods of a Kubernetes stack, in the cluster that Pulumi's provider takes.

    Raises SettingsError where only Pulumi can tell which that is.
    """
    from tools import kubernetes_cluster

    if config_of(name, "kubernetes:kubeconfig"):
        raise SettingsError(
            f"Pulumi.{name}.yaml: kubernetes:kubeconfig: Pulumi alone reads it, so nobody else can look at that cluster"
            " (accepted: kubernetes:context, and the environment variable KUBECONFIG)"
        )
    return kubernetes_cluster.Pods(stack=stack, context=config_of(name, "kubernetes:context"))


@contextlib.contextmanager
def keeper(name: str, stack: Stack) -> "Generator[Keeper, None, None]":
    """What keeps the stack's programs running, for who wants to know their health."""
    from tools import health

    if on(stack, RuntimeKind.KUBERNETES):
        yield pods(name, stack)
    elif on(stack, RuntimeKind.DOCKER):
        with containers(name, stack) as found:
            yield found
    else:
        yield health.Supervised(stack, of_stack(name))
