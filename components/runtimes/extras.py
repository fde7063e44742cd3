"""What a workload asks for beside the usual."""

from dataclasses import dataclass

from specs.workload import (
    Alone,
    AnyFile,
    ApiAccess,
    ApiRule,
    EveryNode,
    Extra,
    HostPaths,
    HostView,
    Identity,
    KernelLog,
    NodeData,
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
    node_data: str
    """Directory of its node that it keeps its data in; empty: none."""
    identity: bool
    """Whether it is told which replica it is."""
    alone: bool
    """Whether a rollout ends the old one before it starts the new one."""
    any_file: bool
    """Whether it reads files of others."""
    access: tuple[ApiRule, ...]
    """What it may do with objects of the cluster."""


def extras(workload: Workload) -> Extras:
    """The workload's extras. Raises AssertionError for one that the runtimes do not know: none is dropped silently."""
    for extra in workload.extras:
        if not isinstance(extra, Extra):  # pyright: ignore[reportUnnecessaryIsInstance] - what a test hands over
            raise AssertionError(f"{workload.name}: nobody knows the extra {extra}")  # noqa: TRY004 - a defect of ours

    def has(kind: type[object]) -> bool:
        return any(isinstance(extra, kind) for extra in workload.extras)

    return Extras(
        registry=has(Registry),
        host=has(HostView),
        paths=tuple(path for extra in workload.extras if isinstance(extra, HostPaths) for path in extra.paths),
        outward=has(Outward),
        kernel_log=has(KernelLog),
        every_node=has(EveryNode),
        node_data="".join(extra.path for extra in workload.extras if isinstance(extra, NodeData)),
        identity=has(Identity),
        alone=has(Alone),
        any_file=has(AnyFile),
        access=tuple(rule for extra in workload.extras if isinstance(extra, ApiAccess) for rule in extra.rules),
    )
