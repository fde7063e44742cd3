"""One part of a stack: a program that stores, moves or measures telemetry."""

import pulumi

from components.runtimes import Runtime
from specs.workload import Workload


class Part(pulumi.ComponentResource):
    """Places one workload on a runtime.

    Every part is placed the same way, since what tells them apart is in their specs; its type says what it is, so
    that a preview reads `observability:index:Prometheus`.
    """

    url: pulumi.Output[str]
    """What a person opens, known once the part is healthy."""
    workload: Workload
    """What it places."""

    def __init__(
        self, kind: str, workload: Workload, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(f"observability:index:{kind}", workload.name, {}, opts)
        self.workload = workload
        self.url = runtime.deploy(workload, parent=self)
        self.register_outputs({"url": self.url})
