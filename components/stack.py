"""The whole stack as one component."""

from collections.abc import Mapping

import pulumi

from components.part import Part
from components.runtimes import Runtime
from specs import grafana
from specs.stack import Stack

_KINDS: Mapping[str, str] = {
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "loki": "Loki",
    "jaeger": "Jaeger",
    "collector": "Collector",
    "grafana": "Grafana",
    "inbox": "Inbox",
    "elasticsearch": "Elasticsearch",
    "logstash": "Logstash",
    "kibana": "Kibana",
    "apm-server": "ElasticApm",
    "glitchtip": "GlitchTip",
    "glitchtip-worker": "GlitchTip",
    "glitchtip-postgres": "GlitchTip",
    "glitchtip-redis": "GlitchTip",
    "agent": "Collector",
    "sampler": "Collector",
    "loki-read": "Loki",
    "loki-write": "Loki",
    "loki-backend": "Loki",
}
_FAMILIES: Mapping[str, str] = {"prometheus-shard": "Prometheus", "thanos": "Thanos"}
"""By how the names of their workloads begin."""


def _kind(name: str) -> str:
    family = next((kind for beginning, kind in _FAMILIES.items() if name.startswith(f"{beginning}-")), "Exporter")
    return _KINDS.get(name, family)


class ObservabilityStack(pulumi.ComponentResource):
    """Every part that a stack file declares."""

    urls: Mapping[str, pulumi.Output[str]]
    """What people open, by the name of the workload."""
    secrets: Mapping[str, pulumi.Output[str]]
    """Secrets of the stack's outputs that a deployment makes, by key."""

    def __init__(
        self,
        name: str,
        stack: Stack,
        runtime: Runtime,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`secrets` are those that the stack reads, by key."""
        super().__init__("observability:index:ObservabilityStack", name, {}, opts)
        for line in stack.left_out:
            pulumi.log.warn(line, self)
        if stack.capacity:
            pulumi.log.info(stack.capacity.line, self)
            for note in stack.capacity.notes:
                pulumi.log.warn(note, self)
        child = pulumi.ResourceOptions(parent=self)
        parts = {workload.name: Part(_kind(workload.name), workload, runtime, child) for workload in stack.workloads}
        runtime.connect(stack, self)
        self.urls = {workload: part.url for workload, part in parts.items()}
        self.secrets = {}
        if stack.grafana_content:
            # Its SDK takes a while to import; most stacks do without.
            from components.grafana import GrafanaContent

            content = GrafanaContent("grafana-content", stack.grafana_content, secrets, parts.get(grafana.NAME), child)
            self.secrets = content.secrets
        self.register_outputs({"urls": dict(self.urls)})
