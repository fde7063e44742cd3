"""What runs in namespaces of a Kubernetes cluster: replicas, CPU and memory against requests and limits, restarts."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import WIDTH, fill
from dashboards.clusters import OBJECTS, RATE, asked, of_namespaces, page
from dashboards.limits import Limit, Limits
from dashboards.panels import Column, bars, graph, state, table_of

FOLDER = "cluster"
_BY = "by (namespace, service)"
_EACH = "by (namespace, pod, container)"
_NAME = "{{pod}} {{container}}"
_MISSING = Limit(value=0, severity="warning")


def _any(*metrics: str) -> str:
    """Of Deployments, StatefulSets and DaemonSets alike: their name is the label `service`."""
    return f"max {_BY} ({' or '.join(f'{metric}{{{OBJECTS}}}' for metric in metrics)})"


_WANTED = _any(
    "kube_deployment_spec_replicas", "kube_statefulset_replicas", "kube_daemonset_status_desired_number_scheduled"
)
_READY = _any(
    "kube_deployment_status_replicas_available",
    "kube_statefulset_status_replicas_ready",
    "kube_daemonset_status_number_ready",
)
_NEW = _any(
    "kube_deployment_status_replicas_updated",
    "kube_statefulset_status_replicas_updated",
    "kube_daemonset_status_updated_number_scheduled",
)


def _rate(metric: str, by: str = _EACH) -> str:
    return f"sum {by} (rate({metric}{{{OBJECTS}}}{RATE}))"


def _limit(metric: str) -> str:
    return f"max {_EACH} ({metric}{{{OBJECTS}}})"


def _scaled(metric: str) -> str:
    return f"max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_{metric}{{{OBJECTS}}})"


def dashboard(limits: Limits) -> Dashboard:
    """Is all there that should be, then what it takes, then what goes wrong."""
    cpu = _rate("container_cpu_usage_seconds_total")
    memory = _limit("container_memory_working_set_bytes")
    limit = f'max {_EACH} (kube_pod_container_resource_limits{{resource="memory", {OBJECTS}}})'
    throttled = (
        f"{_rate('container_cpu_cfs_throttled_periods_total')} / ({_rate('container_cpu_cfs_periods_total')} > 1)"
    )
    return fill(
        of_namespaces(
            page("Cluster Workloads", description="What runs in namespaces, and what it takes."), "kube_pod_info"
        ),
        [
            table_of(
                "Workloads",
                description="Deployments, StatefulSets and DaemonSets: what is wanted, what is ready, what is of the newest version.",
                columns=[
                    Column(title="Wanted", expr=_WANTED),
                    Column(title="Ready", expr=_READY),
                    Column(title="Missing", expr=f"{_WANTED} - {_READY}", limits=(_MISSING,)),
                    Column(title="Newest version", expr=_NEW),
                ],
                labels=("namespace", "service"),
                sort_by="Missing",
                width=WIDTH,
                height=10,
            ),
            state(
                "Pods Ready",
                description="Since when each pod is fit to work, or is not.",
                queries=[
                    (f'max by (namespace, pod) (kube_pod_status_ready{{condition="true", {OBJECTS}}})', "{{pod}}")
                ],
                width=WIDTH,
            ),
            "CPU and Memory",
            graph(
                "CPU",
                description="Cores in use.",
                unit="short",
                queries=[(cpu, _NAME)],
                crowded=True,
                width=WIDTH,
            ),
            graph(
                "CPU of the Request",
                description="Cores in use, as a part of what is asked for: far above one, others can starve it.",
                unit="percentunit",
                queries=[(f"{cpu} / ({asked('cpu', OBJECTS, 'namespace, pod, container')} > 0)", _NAME)],
            ),
            graph(
                "Held Back",
                description="Part of the periods in which a container wanted more CPU than its limit.",
                unit="percentunit",
                queries=[(throttled, _NAME)],
                limits=limits.of("PodThrottled"),
            ),
            graph(
                "Memory",
                description="Memory in use that cannot be freed.",
                unit="bytes",
                queries=[(memory, _NAME)],
                crowded=True,
                width=WIDTH,
            ),
            graph(
                "Memory of the Limit",
                description="Memory in use, as a part of the limit beyond which the kernel kills.",
                unit="percentunit",
                queries=[(f"{memory} / ({_limit('container_spec_memory_limit_bytes')} > 0)", _NAME)],
                limits=limits.of("PodMemoryNearlyFull"),
            ),
            table_of(
                "Memory against Requests and Limits",
                description="What each container uses now, what it asks for, and what it may take.",
                columns=[
                    Column(title="Used", expr=memory, unit="bytes"),
                    Column(title="Asked for", expr=asked("memory", OBJECTS, "namespace, pod, container"), unit="bytes"),
                    Column(title="Limit", expr=limit, unit="bytes"),
                ],
                labels=("pod", "container"),
                hidden=("namespace",),
                sort_by="Used",
            ),
            "What Goes Wrong",
            graph(
                "Restarts",
                description="How often each container was started again in an hour.",
                unit="short",
                queries=[
                    (f"sum {_EACH} (increase(kube_pod_container_status_restarts_total{{{OBJECTS}}}[1h])) > 0", _NAME)
                ],
                limits=limits.of("PodRestarting"),
            ),
            table_of(
                "How Containers Ended Last",
                description="Why each container that was started again had ended.",
                columns=[
                    Column(
                        title="Containers",
                        expr=f"count by (namespace, pod, container, reason) (kube_pod_container_status_last_terminated_reason{{{OBJECTS}}} == 1)",
                    )
                ],
                labels=("pod", "container", "reason"),
                hidden=("namespace",),
            ),
            graph(
                "Liveness Probes That Failed",
                description="In ten minutes; a few in a row, and the container is started again.",
                unit="short",
                queries=[
                    (
                        f'sum {_EACH} (increase(prober_probe_total{{probe_type="Liveness", result="failed", {OBJECTS}}}[10m]))',
                        _NAME,
                    )
                ],
                limits=limits.of("PodLivenessFailing"),
            ),
            table_of(
                "Jobs That Failed",
                description="Jobs that gave up, for as long as they are there.",
                columns=[
                    Column(
                        title="Failed",
                        expr=f'max by (namespace, job_name) (kube_job_failed{{condition="true", {OBJECTS}}}) == 1',
                    )
                ],
                labels=("job_name", "namespace"),
            ),
            "Network and Disk",
            graph(
                "Network Received",
                description="Bytes that reach each pod.",
                unit="binBps",
                queries=[(_rate("container_network_receive_bytes_total", "by (namespace, pod)"), "{{pod}}")],
            ),
            graph(
                "Network Sent",
                description="Bytes that leave each pod.",
                unit="binBps",
                queries=[(_rate("container_network_transmit_bytes_total", "by (namespace, pod)"), "{{pod}}")],
            ),
            graph(
                "Disk",
                description="Bytes that each container reads and writes.",
                unit="binBps",
                queries=[
                    (_rate("container_fs_reads_bytes_total"), f"{_NAME} read"),
                    (_rate("container_fs_writes_bytes_total"), f"{_NAME} written"),
                ],
                width=WIDTH,
            ),
            "Limits of the Namespace",
            graph(
                "Autoscalers",
                description="Replicas that each autoscaler has, and the most that it may have.",
                unit="short",
                queries=[
                    (_scaled("status_current_replicas"), "{{horizontalpodautoscaler}}"),
                    (_scaled("spec_max_replicas"), "{{horizontalpodautoscaler}} at most"),
                ],
            ),
            bars(
                "Quotas",
                description="Share of each quota that is taken.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f'max by (namespace, resourcequota, resource) (kube_resourcequota{{type="used", {OBJECTS}}})'
                            f' / (max by (namespace, resourcequota, resource) (kube_resourcequota{{type="hard", {OBJECTS}}}) > 0)'
                        ),
                        "{{namespace}} {{resource}}",
                    )
                ],
                limits=(*limits.of("QuotaNearlyFull"), *limits.of("QuotaExceeded")),
                highest=1,
                width=12,
            ),
            table_of(
                "Disruption Budgets",
                description="How many pods may go at once now, and how many are healthy of those that must be.",
                columns=[
                    Column(
                        title=title,
                        expr=f"max by (namespace, poddisruptionbudget) (kube_poddisruptionbudget_status_{metric}{{{OBJECTS}}})",
                    )
                    for title, metric in (
                        ("May go", "pod_disruptions_allowed"),
                        ("Healthy", "current_healthy"),
                        ("Must be healthy", "desired_healthy"),
                        ("Pods", "expected_pods"),
                    )
                ],
                labels=("poddisruptionbudget", "namespace"),
                width=WIDTH,
            ),
        ],
    )
