"""What a part of the stack brings along, and what every part is told about the stack it belongs to."""

from dataclasses import dataclass, replace

from specs.addresses import Addresses
from specs.discovery import own_pods
from specs.monitoring import RuleGroup, ScrapeJob, Target
from specs.scale import ONE, Scale
from specs.settings import RuntimeKind, Settings
from specs.workload import Program

APP = "observability"
"""The label `app` of the stack's own telemetry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The stack that a part belongs to."""

    settings: Settings
    addresses: Addresses
    file: str
    """Name of the stack file, for errors."""
    scale: Scale = ONE
    """How many of each part run."""

    def program(self, program: Program) -> Program:
        """`program` in the version this stack wants."""
        version = self.settings.versions.get(program.name)
        return program if version is None else replace(program, version=version)

    @property
    def on_one_machine(self) -> bool:
        """Whether workloads are processes that share this machine's addresses, files and virtual environment."""
        return self.settings.runtime is RuntimeKind.PROCESS

    @property
    def on_cluster(self) -> bool:
        """Whether workloads are pods, which may have replicas."""
        return self.settings.runtime is RuntimeKind.KUBERNETES

    def labels(self, app: str | None = None, service: str = "", **more: str) -> dict[str, str]:
        """What every sample of a target carries; `app` None: the stack itself."""
        return {
            "app": app or APP,
            "environment": self.settings.environment,
            **({"service": service} if service else {}),
            **more,
        }

    def job(self, name: str, port: int, path: str = "/metrics", *, every_node: bool = False) -> ScrapeJob:
        """The scrape job of the stack's own workload `name`; `every_node`: of which a cluster has one on each node."""
        if self.on_cluster:
            return ScrapeJob(
                name=name,
                targets=(),
                path=path,
                discovery=own_pods(self.settings.kubernetes.namespace, name, port, every_node=every_node),
                labels=self.labels(service=name),
                fleeting=every_node and self.settings.kubernetes.watch is not None,
            )
        target = Target(address=self.addresses.dial(name, port), labels=self.labels(service=name))
        return ScrapeJob(name=name, targets=(target,), path=path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitoring:
    """How a part is watched."""

    jobs: tuple[ScrapeJob, ...] = ()
    groups: tuple[RuleGroup, ...] = ()
