"""What the dashboards about a Kubernetes cluster share: variables, matchers, ways from one to the next."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import alert_marks, app, board, deployments, environment, siblings, variable

TAG = "kubernetes"
HERE = 'environment=~"$environment"'
"""Matcher of the environments that are chosen."""
OBJECTS = f'{HERE}, app=~"$app", namespace=~"$namespace"'
"""Matchers of what is in the systems and namespaces that are chosen."""
ON_NODES = f'{HERE}, node=~"$node"'
"""Matchers of the nodes that are chosen."""
RATE = "[$__rate_interval]"
WRONG = 'alertname=~"(AdmissionWebhook|Api|Autoscaler|Cluster|Controllers|CronJob|DaemonSet|Deployment|DisruptionBudget|Dns|Job|Kubelet|Node|PersistentVolume|Pod|Quota|Scheduler|StatefulSet|Volume).*", alertname!="JobVanished"'
"""Matcher of the alerts about a cluster."""


def page(title: str, *, description: str) -> Dashboard:
    """An empty dashboard about a cluster, with the ways to the others."""
    return (
        board(title, description=description, tags=[TAG])
        .with_variable(environment("kube_node_info"))
        .annotation(deployments())
        .link(siblings("Cluster", TAG))
    )


def of_namespaces(onto: Dashboard, series: str) -> Dashboard:
    """`onto` with the variables `app` and `namespace`, of what has `series`."""
    return (
        onto.with_variable(app(f"{series}{{{HERE}}}"))
        .with_variable(
            variable(
                "namespace",
                f'label_values({series}{{{HERE}, app=~"$app"}}, namespace)',
                label="Namespace",
                description="Which namespaces are shown.",
            )
        )
        .annotation(alert_marks(f"{OBJECTS}, {WRONG}"))
    )


def of_nodes(onto: Dashboard) -> Dashboard:
    """`onto` with the variable `node`."""
    return onto.with_variable(
        variable(
            "node", f"label_values(kube_node_info{{{HERE}}}, node)", label="Node", description="Which nodes are shown."
        )
    ).annotation(alert_marks(f"{ON_NODES}, {WRONG}"))


def asked(resource: str, scope: str, by: str) -> str:
    """What pods that have not ended ask for."""
    requests = f'kube_pod_container_resource_requests{{resource="{resource}", {scope}}}'
    alive = f'max by (environment, namespace, pod) (kube_pod_status_phase{{phase=~"Pending|Running", {HERE}}}) == 1'
    return f"sum by ({by}) ({requests} and on (environment, namespace, pod) {alive})"
