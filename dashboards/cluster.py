"""A Kubernetes cluster at a glance: is something wrong, is there room, who takes it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import WIDTH, Panel, alert_marks, fill, value_link
from dashboards.clusters import HERE, RATE, WRONG, asked, page
from dashboards.limits import Limit, Limits
from dashboards.panels import Column, firing, graph, lights, number, table_of

FOLDER = "cluster"
_ANY = Limit(value=0, severity="warning")
_PARTS = "kube-state-metrics|kubelet|apiserver|coredns|kube-scheduler|kube-controller-manager"


def _given(resource: str) -> str:
    return f'sum(kube_node_status_allocatable{{resource="{resource}", {HERE}}})'


def _used(resource: str, by: str = "") -> str:
    grouped = f"sum by ({by})" if by else "sum"
    if resource == "cpu":
        return f"{grouped} (rate(container_cpu_usage_seconds_total{{{HERE}}}{RATE}))"
    return f"{grouped} (container_memory_working_set_bytes{{{HERE}}})"


def _waiting(by: str) -> str:
    return f'sum by ({by}) (kube_pod_container_status_waiting_reason{{reason!~"ContainerCreating|PodInitializing", {HERE}}})'


def _not_ready(by: str) -> str:
    ready = f'kube_pod_status_ready{{condition="false", {HERE}}} == 1'
    alive = f'kube_pod_status_phase{{phase=~"Pending|Running|Unknown", {HERE}}} == 1'
    return f"count by ({by}) ({ready} and on (environment, namespace, pod) {alive})"


def _room(resource: str, words: str) -> list[Panel]:
    return [
        number(
            f"{words} Used",
            description=f"Share of the {words} of all nodes that containers use.",
            unit="percentunit",
            expr=f"{_used(resource)} / {_given(resource)}",
        ),
        number(
            f"{words} Asked For",
            description=f"Share of the {words} of all nodes that pods ask for: beyond all of it, none is scheduled.",
            unit="percentunit",
            expr=f"{asked(resource, HERE, 'environment')} / on () group_left () {_given(resource)}",
            bad_above=0.95,
        ),
    ]


def dashboard(limits: Limits) -> Dashboard:
    """What is wrong first, then what there is room for."""
    onto = page("Cluster", description="A Kubernetes cluster at a glance.").annotation(alert_marks(f"{HERE}, {WRONG}"))
    ready = f'kube_node_status_condition{{condition="Ready", status="true", {HERE}}}'
    namespaces = value_link("Its workloads", "/d/cluster-workloads?var-namespace=${__value.text}")
    return fill(
        onto,
        [
            lights(
                "Status",
                description="Whether the parts of the cluster answer Prometheus; of kubelets, all of them.",
                queries=[(f'min by (job) (up{{job=~"{_PARTS}", {HERE}}})', "{{job}}")],
            ),
            firing("Firing Alerts", f"{HERE}, {WRONG}", width=WIDTH),
            number(
                "Nodes", description="Members of the cluster.", unit="short", expr=f"count(kube_node_info{{{HERE}}})"
            ),
            number(
                "Nodes Not Ready",
                description="Nodes whose kubelet does not say that all is well.",
                unit="short",
                expr=f"count({ready} == 0) or vector(0)",
                bad_above=1,
            ),
            number(
                "Namespaces in Use",
                description="Namespaces that are not being deleted.",
                unit="short",
                expr=f'sum(kube_namespace_status_phase{{phase="Active", {HERE}}})',
            ),
            number(
                "Pods Running",
                description="Pods that run.",
                unit="short",
                expr=f'sum(kube_pod_status_phase{{phase="Running", {HERE}}})',
            ),
            number(
                "Pods Not Ready",
                description="Pods that should be fit to work, and are not.",
                unit="short",
                expr=f"sum({_not_ready('namespace')}) or vector(0)",
                limits=(_ANY,),
            ),
            number(
                "Pods without a Node",
                description="Pods that no node has room for, or none may have.",
                unit="short",
                expr=f"sum(kube_pod_status_unschedulable{{{HERE}}}) or vector(0)",
                limits=(_ANY,),
            ),
            "Room",
            *_room("cpu", "CPU"),
            *_room("memory", "Memory"),
            number(
                "Pods of Those Possible",
                description="Share of the places for pods that are taken.",
                unit="percentunit",
                expr=f"sum(kubelet_running_pods{{{HERE}}}) / {_given('pods')}",
                limits=limits.of("NodePodsNearlyFull"),
            ),
            number(
                "Fullest Volume",
                description="Share that is taken of the volume where that is most.",
                unit="percentunit",
                expr=f"1 - min(kubelet_volume_stats_available_bytes{{{HERE}}} / kubelet_volume_stats_capacity_bytes{{{HERE}}})",
                limits=limits.of("VolumeNearlyFull", rest=True),
            ),
            graph(
                "CPU",
                description="Cores that pods may have, that they ask for, and that they use.",
                unit="short",
                queries=[
                    (_given("cpu"), "there"),
                    (asked("cpu", HERE, "environment"), "asked for"),
                    (_used("cpu"), "used"),
                ],
            ),
            graph(
                "Memory",
                description="Memory that pods may have, that they ask for, and that they use.",
                unit="bytes",
                queries=[
                    (_given("memory"), "there"),
                    (asked("memory", HERE, "environment"), "asked for"),
                    (_used("memory"), "used"),
                ],
            ),
            "Who Takes It",
            table_of(
                "Namespaces",
                description="What each namespace has, takes and asks for, what takes most memory first.",
                columns=[
                    Column(title="Pods", expr=f"count by (namespace) (kube_pod_info{{{HERE}}})"),
                    Column(title="Not ready", expr=_not_ready("namespace"), limits=(_ANY,)),
                    Column(
                        title="Restarts in an hour",
                        expr=f"sum by (namespace) (increase(kube_pod_container_status_restarts_total{{{HERE}}}[1h]))",
                    ),
                    Column(title="CPU used", expr=_used("cpu", "namespace")),
                    Column(title="CPU asked for", expr=asked("cpu", HERE, "namespace")),
                    Column(title="Memory used", expr=_used("memory", "namespace"), unit="bytes"),
                    Column(title="Memory asked for", expr=asked("memory", HERE, "namespace"), unit="bytes"),
                ],
                labels=("namespace",),
                links=[namespaces],
                sort_by="Memory used",
                width=WIDTH,
                height=10,
            ),
            graph(
                "Pods by Phase",
                description="Pods that wait, run, have ended well or ill, and those of nodes that are not heard of.",
                unit="short",
                queries=[(f"sum by (phase) (kube_pod_status_phase{{{HERE}}})", "{{phase}}")],
            ),
            graph(
                "Containers That Wait",
                description="Containers that do not run, by what they wait for.",
                unit="short",
                queries=[(_waiting("reason"), "{{reason}}")],
            ),
        ],
    )
