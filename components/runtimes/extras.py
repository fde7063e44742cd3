"""What a workload asks for beside the usual."""

from dataclasses import dataclass
from typing import assert_never

from specs.workload import (
    ApiAccess,
    ApiRule,
    EveryNode,
    HostPaths,
    HostView,
    Identity,
    KernelLog,
    Outward,
    Registry,
    Workload,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extras:
    """The extras of a workload, by kind."""

    registry: bool
    """Whether it sees the shared registry directory."""
    host: bool
    """Whether it sees the host it runs on."""
    paths: tuple[tuple[str, str], ...]
    """Paths of the host that it sees, each with the path inside."""
    outward: bool
    """Whether it joins the networks of applications."""
    kernel_log: bool
    """Whether it reads the kernel's log."""
    every_node: bool
    """Whether one of it runs on every node of a cluster."""
    identity: bool
    """Whether it is told which replica it is."""
    access: tuple[ApiRule, ...]
    """What it may do with objects of the cluster."""


def extras(workload: Workload) -> Extras:
    """The workload's extras. Raises AssertionError for one that the runtimes do not know: none is dropped silently."""
    registry = host = outward = kernel_log = every_node = identity = False
    access: tuple[ApiRule, ...] = ()
    paths: tuple[tuple[str, str], ...] = ()
    for extra in workload.extras:
        match extra:
            case Registry():
                registry = True
            case HostView():
                host = True
            case HostPaths(found):
                paths += found
            case Outward():
                outward = True
            case KernelLog():
                kernel_log = True
            case EveryNode():
                every_node = True
            case Identity():
                identity = True
            case ApiAccess(rules):
                access += rules
            case _:
                assert_never(extra)
    return Extras(
        registry=registry,
        host=host,
        paths=paths,
        outward=outward,
        kernel_log=kernel_log,
        every_node=every_node,
        identity=identity,
        access=access,
    )
