"""The whole stack as one component."""

from collections.abc import Mapping

import pulumi

from components.part import Part
from components.runtimes import Runtime
from specs.stack import Stack

_KINDS = {
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "loki": "Loki",
    "jaeger": "Jaeger",
    "collector": "Collector",
    "grafana": "Grafana",
    "inbox": "Inbox",
}


class ObservabilityStack(pulumi.ComponentResource):
    """Every part that a stack file declares."""

    urls: Mapping[str, pulumi.Output[str]]
    """What people open, by the name of the workload."""

    def __init__(self, name: str, stack: Stack, runtime: Runtime, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability:index:ObservabilityStack", name, {}, opts)
        for line in stack.left_out:
            pulumi.log.warn(line, self)
        child = pulumi.ResourceOptions(parent=self)
        self.urls = {
            workload.name: Part(_KINDS.get(workload.name, "Exporter"), workload, runtime, child).url
            for workload in stack.workloads
        }
        self.register_outputs({"urls": dict(self.urls)})
