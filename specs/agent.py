"""The collector on every node of a cluster: follows what containers write to their output, and hands it on.

Nothing is lost, and nothing is told twice, when an agent is replaced: how far it has read, and what waits to be handed
on, is in a directory of its node. Where that is empty, lines of the last hour are read: Loki takes no older ones.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specs import collector, log_files, pod_logs, sizing, telemetry
from specs.monitoring import Alert, RuleGroup, to_yaml
from specs.part import Context, Monitoring
from specs.programs import COLLECTOR
from specs.settings import Severity
from specs.workload import (
    CONFIG,
    AnyFile,
    ApiAccess,
    ApiRule,
    Check,
    EveryNode,
    HostPaths,
    Identity,
    NodeData,
    Port,
    Probe,
    Resources,
    Workload,
)

NAME = collector.AGENT
HEALTH = 13133
METRICS = 8888
MEMORY = "256Mi"
"""What it has, unless the stack file says otherwise; its limiter follows."""
_RENAMED: Mapping[str, str] = {
    "namespace": "k8s.namespace.name",
    "pod": "k8s.pod.name",
    "container": "k8s.container.name",
    "node": "k8s.node.name",
}
"""What lines are told by, in the words of scraped samples (specs.discovery)."""
_APP = ("pod.annotation.app", "pod.label.part-of", "pod.label.name", "k8s.container.name")
_SERVICE = ("pod.annotation.service", "pod.label.component", "k8s.container.name")
"""Whom a line is of, by the first that there is: the convention of docs/kubernetes.md."""
_OPT_OUT = "pod.annotation.logs"
_HASH = "pod.label.pod-template-hash"
_DEPLOYMENT = (
    f'set(resource.attributes["deployment"], resource.attributes["k8s.replicaset.name"]) where resource.attributes["{_HASH}"] != nil',
    'replace_pattern(resource.attributes["deployment"], "-[a-z0-9]+$", "")',
)
"""A Deployment's ReplicaSets are called by it and the hash of a template: no agent has to watch them."""
_ONCE = "set(log.observed_time_unix_nano, 0) where log.time_unix_nano > 0"
"""A line that is read twice is the same line, which Loki keeps once: nothing in it is about its reader."""


def runs(context: Context) -> bool:
    """Whether the stack has agents."""
    return context.on_cluster and context.settings.kubernetes.pod_logs


def left_out(context: Context) -> tuple[str, ...]:
    """What is asked for, and not done without agents."""
    if not context.on_cluster or runs(context) or not context.settings.log_files:
        return ()
    return ("log files: not followed, since kubernetes.pod_logs is false: no agent sees the files of its node",)


def monitoring(context: Context) -> tuple[Monitoring, ...]:
    """How agents are watched; the collector's alerts are about them, too."""
    if not runs(context):
        return ()
    alert = Alert(
        name="PodLogsUnread",
        expr=f'max by (app, environment, service, instance, node) (otelcol_fileconsumer_open_files{{service="{NAME}"}}) == 0',
        for_="30m",
        severity=Severity.WARNING,
        summary="The agent on {{ $labels.node }} reads no log of any pod",
        description="{{ $labels.instance }} has {{ $value }} files open: what containers of that node write is not kept.",
        action=f"The agent's log says what it may not read. Kubelets keep the files below {pod_logs.LOGS}, unless podLogsDir in a kubelet's configuration says otherwise.",
    )
    return (
        Monitoring(
            jobs=(context.job(NAME, METRICS, every_node=True),), groups=(RuleGroup(name=NAME, alerts=(alert,)),)
        ),
    )


def _of_pods() -> dict[str, Any]:
    """Asks the API server about the pods of this node."""
    label, annotation = "app.kubernetes.io/", "observability/"
    return {
        "auth_type": "serviceAccount",
        "filter": {"node": "${env:NODE_NAME}"},
        # A line that comes before its pod is known would be nobody's.
        "wait_for_metadata": True,
        "wait_for_metadata_timeout": "1m",
        "pod_association": [
            {"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]},
            # A static pod has another uid in its path than at the API server.
            {
                "sources": [
                    {"from": "resource_attribute", "name": "k8s.pod.name"},
                    {"from": "resource_attribute", "name": "k8s.namespace.name"},
                ]
            },
        ],
        "extract": {
            "metadata": ["k8s.namespace.name", "k8s.pod.name", "k8s.node.name", "k8s.replicaset.name"],
            "labels": [
                *(
                    {"tag_name": f"pod.label.{name}", "key": f"{label}{name}", "from": "pod"}
                    for name in ("part-of", "name", "component")
                ),
                {"tag_name": _HASH, "key": "pod-template-hash", "from": "pod"},
            ],
            "annotations": [
                {"tag_name": f"pod.annotation.{name}", "key": f"{annotation}{name}", "from": "pod"}
                for name in ("app", "service", "logs")
            ],
        },
    }


def _named() -> list[dict[str, str]]:
    """Makes resources what lines are told by."""
    steps = [
        *(("app", source) for source in _APP),
        *(("service.name", source) for source in _SERVICE),
        *_RENAMED.items(),
    ]
    seen = {_HASH, _OPT_OUT, "k8s.pod.uid", "k8s.container.restart_count", "k8s.replicaset.name"}
    gone = {source for _, source in steps} | seen
    return [
        *({"key": key, "from_attribute": source, "action": "insert"} for key, source in steps),
        {"key": "node", "value": "${env:NODE_NAME:-unknown}", "action": "insert"},
        *({"key": key, "action": "delete"} for key in sorted(gone)),
    ]


def configuration(context: Context) -> dict[str, Any]:
    """`agent.yml` as a value."""
    files = {"file_log/pods": pod_logs.receiver(context, NAME), **log_files.of_settings(context)}
    return {
        "extensions": {
            "health_check": {"endpoint": context.addresses.listen(HEALTH)},
            "file_storage": {"directory": "storage", "create_directory": True},
        },
        "receivers": files,
        "processors": {
            "memory_limiter": sizing.limiter(sizing.collector_memory(context, NAME, MEMORY)),
            "k8s_attributes": _of_pods(),
            "filter/opted_out": {
                "error_mode": "silent",
                "logs": {"log_record": [f'resource.attributes["{_OPT_OUT}"] == "false"']},
            },
            "resource": {"attributes": _named()},
            "transform": {"error_mode": "silent", "log_statements": [*_DEPLOYMENT, _ONCE]},
        },
        "exporters": {
            "otlp_grpc/collector": {
                "endpoint": context.addresses.dial(collector.NAME, collector.OTLP_GRPC),
                "tls": {"insecure": True},
                # Files wait while the collector is away: nothing is read that cannot be kept.
                "retry_on_failure": {**telemetry.FOREVER},
                "sending_queue": {
                    "storage": "file_storage",
                    "block_on_overflow": True,
                    "batch": {"flush_timeout": "1s", "min_size": 1000, "max_size": 5000},
                },
            }
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": {
                    "receivers": list(files),
                    "processors": [
                        "memory_limiter",
                        "k8s_attributes",
                        "filter/opted_out",
                        "transform",
                        "resource",
                    ],
                    "exporters": ["otlp_grpc/collector"],
                }
            },
            "telemetry": telemetry.own(context.addresses, METRICS),
        },
    }


def workloads(context: Context) -> tuple[Workload, ...]:
    """The agent, where the stack has one."""
    if not runs(context):
        return ()
    namespace = context.settings.kubernetes.namespace
    return (
        Workload(
            name=NAME,
            # Kubelets' files are root's; of root's capabilities it has what other files of the node take, if any.
            program=replace(context.program(COLLECTOR), user=0),
            summary="follows the logs of a node's pods",
            ports=(Port(name="health", number=HEALTH), Port(name="metrics", number=METRICS)),
            args=(f"--config={CONFIG}/agent.yml",),
            files={"agent.yml": to_yaml(configuration(context))},
            probe=Probe(port="health", path="/", start_seconds=120),
            checks=(Check(("otelcol", "validate", "--config=agent.yml")),),
            resources=Resources(memory=MEMORY, cpu="100m"),
            extras=(
                EveryNode(),
                HostPaths(((pod_logs.LOGS, pod_logs.LOGS),)),
                *log_files.host_paths(context),
                NodeData(f"/var/lib/{namespace}-{NAME}"),
                Identity(),
                ApiAccess((ApiRule(resources=("pods",)),)),
                *([AnyFile()] if context.settings.log_files else []),
            ),
        ),
    )
