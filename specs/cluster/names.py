"""Words that the parts of this package share."""

APP = "cluster"
"""The label `app` of what belongs to the cluster itself, and to no system."""
OVERVIEW, WORKLOADS, NODES, VOLUMES, CONTROL_PLANE = (
    "cluster",
    "cluster-workloads",
    "cluster-nodes",
    "cluster-volumes",
    "cluster-control-plane",
)
"""The dashboards' uids."""
DASHBOARDS = (OVERVIEW, WORKLOADS, NODES, VOLUMES, CONTROL_PLANE)

STATE = "kube-state-metrics"
"""Workload and scrape job that say what is declared in the cluster, and what became of it."""
STATE_SELF = "kube-state-metrics-self"
KUBELET = "kubelet"
CONTAINERS = "kubelet-containers"
PROBES = "kubelet-probes"
API = "apiserver"
DNS = "coredns"
SCHEDULER = "kube-scheduler"
CONTROLLERS = "kube-controller-manager"


def by(*labels: str) -> str:
    """An aggregation that keeps whose a sample is, and `labels`."""
    return f"by ({', '.join(('app', 'environment', 'service', *labels))})"


def most(metric: str, *labels: str, where: str = "") -> str:
    """The greatest value of a metric by `labels`: replicas of Prometheus' targets say the same twice."""
    return f"max {by(*labels)} ({metric}{f'{{{where}}}' if where else ''})"
