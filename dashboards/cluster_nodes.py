"""Nodes of a Kubernetes cluster and their kubelets. What the hosts themselves do is on Node Exporter."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import WIDTH, fill, link_to, value_link
from dashboards.clusters import ON_NODES, RATE, asked, of_nodes, page
from dashboards.limits import Limits
from dashboards.panels import Column, graph, state, table_of

FOLDER = "cluster"
_NAME = "{{node}}"


def _given(resource: str) -> str:
    return f'sum by (node) (kube_node_status_allocatable{{resource="{resource}", {ON_NODES}}})'


def _condition(names: str, status: str = "true") -> str:
    return f'kube_node_status_condition{{condition=~"{names}", status="{status}", {ON_NODES}}}'


def _kubelet(metric: str, more: str = "") -> str:
    return f'{metric}{{job="kubelet", {more}{ON_NODES}}}'


def dashboard(limits: Limits) -> Dashboard:
    """Are they ready, have they room, do their kubelets keep up."""
    cpu = f"sum by (node) (rate(container_cpu_usage_seconds_total{{{ON_NODES}}}{RATE}))"
    memory = f"sum by (node) (container_memory_working_set_bytes{{{ON_NODES}}})"
    onto = of_nodes(page("Cluster Nodes", description="Nodes and their kubelets: readiness, room, how they keep up."))
    buckets = _kubelet("kubelet_pleg_relist_duration_seconds_bucket")
    commands = 'operation_type!~"exec.*", '
    return fill(
        onto.link(link_to("Hosts", "/d/exporter-node")),
        [
            state(
                "Ready",
                description="Since when each node is ready, or is not.",
                queries=[(f"max by (node) ({_condition('Ready')})", _NAME)],
            ),
            graph(
                "Pressure",
                description="1 for what a node lacks, by its own judgement: it takes no new pods, and puts some out.",
                unit="short",
                queries=[
                    (
                        f"{_condition('MemoryPressure|DiskPressure|PIDPressure|NetworkUnavailable')} == 1",
                        "{{node}} {{condition}}",
                    )
                ],
            ),
            table_of(
                "Nodes",
                description="What each node has and what of it is taken; 1 where new pods are kept away.",
                columns=[
                    Column(title="Pods", expr=f"max by (node) ({_kubelet('kubelet_running_pods')})"),
                    Column(title="CPU cores", expr=_given("cpu")),
                    Column(
                        title="CPU asked for",
                        expr=f"{asked('cpu', ON_NODES, 'node')} / {_given('cpu')}",
                        unit="percentunit",
                    ),
                    Column(title="CPU used", expr=f"{cpu} / {_given('cpu')}", unit="percentunit"),
                    Column(title="Memory", expr=_given("memory"), unit="bytes"),
                    Column(
                        title="Memory asked for",
                        expr=f"{asked('memory', ON_NODES, 'node')} / {_given('memory')}",
                        unit="percentunit",
                    ),
                    Column(title="Memory used", expr=f"{memory} / {_given('memory')}", unit="percentunit"),
                    Column(title="Cordoned", expr=f"max by (node) (kube_node_spec_unschedulable{{{ON_NODES}}})"),
                ],
                labels=("node",),
                links=[value_link("Its host", "/d/exporter-node?var-instance=${__value.text}")],
                sort_by="Memory used",
                width=WIDTH,
                height=10,
            ),
            table_of(
                "Versions",
                description="What runs on the nodes, and on how many.",
                columns=[
                    Column(
                        title="Nodes",
                        expr=f"count by (kubelet_version, container_runtime_version, os_image, kernel_version) (kube_node_info{{{ON_NODES}}})",
                    )
                ],
                labels=("kubelet_version", "container_runtime_version", "os_image", "kernel_version"),
                width=WIDTH,
            ),
            "Room",
            graph(
                "CPU Used",
                description="Share of a node's cores that containers use.",
                unit="percentunit",
                queries=[(f"{cpu} / {_given('cpu')}", _NAME)],
            ),
            graph(
                "Memory Used",
                description="Share of a node's memory that containers use and cannot free.",
                unit="percentunit",
                queries=[(f"{memory} / {_given('memory')}", _NAME)],
            ),
            graph(
                "Pods of Those Possible",
                description="Share of a node's places for pods that are taken.",
                unit="percentunit",
                queries=[(f"max by (node) ({_kubelet('kubelet_running_pods')}) / {_given('pods')}", _NAME)],
                limits=limits.of("NodePodsNearlyFull"),
            ),
            graph(
                "Containers Running",
                description="Containers that run on each node.",
                unit="short",
                queries=[
                    (
                        "max by (node) (" + _kubelet("kubelet_running_containers", 'container_state="running", ') + ")",
                        _NAME,
                    )
                ],
            ),
            "Kubelets",
            graph(
                "Time to See All Containers",
                description="The slowest hundredth; after three minutes without, the node is not ready.",
                unit="s",
                queries=[(f"histogram_quantile(0.99, sum by (node, le) (rate({buckets}{RATE})))", _NAME)],
                limits=limits.of("KubeletSlow"),
            ),
            graph(
                "Errors of the Container Runtime",
                description="Share of what kubelets ask of it that fails, commands in containers left out.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f"sum by (node) (rate({_kubelet('kubelet_runtime_operations_errors_total', commands)}{RATE}))"
                            f" / (sum by (node) (rate({_kubelet('kubelet_runtime_operations_total', commands)}{RATE})) > 0)"
                        ),
                        _NAME,
                    )
                ],
                limits=limits.of("KubeletRuntimeErrors"),
            ),
            graph(
                "Pods Put Out",
                description="Pods that kubelets put out for want of something, in a quarter of an hour.",
                unit="short",
                queries=[
                    (
                        f"sum by (node, eviction_signal) (increase({_kubelet('kubelet_evictions')}[15m]))",
                        "{{node}} {{eviction_signal}}",
                    )
                ],
                limits=limits.of("KubeletEvicts"),
            ),
            graph(
                "Certificates",
                description="How long the certificates are good with which kubelets log in, and answer; they renew them by themselves.",
                unit="s",
                queries=[
                    (
                        f"min by (node) ({_kubelet(f'kubelet_certificate_manager_{way}_ttl_seconds')}) < Inf",
                        f"{_NAME} {way}",
                    )
                    for way in ("client", "server")
                ],
                limits=limits.of("KubeletCertificateExpiring", below=True),
            ),
            graph(
                "CPU of Kubelets",
                description="Cores that kubelets themselves take.",
                unit="short",
                queries=[(f"sum by (node) (rate({_kubelet('process_cpu_seconds_total')}{RATE}))", _NAME)],
            ),
            graph(
                "Memory of Kubelets",
                description="Memory that kubelets themselves take.",
                unit="bytes",
                queries=[(f"max by (node) ({_kubelet('process_resident_memory_bytes')})", _NAME)],
            ),
        ],
    )
