"""Alerts about nodes, their kubelets, and whether they have room."""

from specs.cluster.names import KUBELET, NODES
from specs.monitoring import Alert
from specs.settings import Severity

DASHBOARD = NODES
SERVICE = "node"
"""The label `service` of alerts about nodes."""
_PRESSURE = "MemoryPressure|DiskPressure|PIDPressure|NetworkUnavailable"


def _condition(where: str, *more: str) -> str:
    return f"max by (app, environment, {', '.join(('node', *more))}) (kube_node_status_condition{{{where}}})"


def _overcommitted(resource: str) -> str:
    """By how much requests of pods are more than all nodes but the largest can give."""
    matcher = f'resource="{resource}"'
    asked = f"max by (environment, namespace, pod, container) (kube_pod_container_resource_requests{{{matcher}}})"
    alive = 'max by (environment, namespace, pod) (kube_pod_status_phase{phase=~"Pending|Running"}) == 1'
    given = f"max by (app, environment, node) (kube_node_status_allocatable{{{matcher}}})"
    of_all = f"sum by (app, environment) ({given})"
    # On one node, to lose it is to lose everything.
    return f"""
sum by (environment) ({asked} and on (environment, namespace, pod) {alive})
/ on (environment) group_right ()
({of_all} - max by (app, environment) ({given}) > 0)
> $threshold
and count by (app, environment) ({given}) > 1"""


def _state() -> tuple[Alert, ...]:
    ready = _condition('condition="Ready", status="true"')
    ready_series = 'kube_node_status_condition{condition="Ready", status="true"}'
    cordoned = "max by (app, environment, node) (kube_node_spec_unschedulable) == 1"
    return (
        Alert(
            name="NodeNotReady",
            # One that is drained may go away.
            expr=f"{ready} == 0 unless {cordoned}",
            for_="10m",
            severity=Severity.WARNING,
            summary="Node {{ $labels.node }} is not ready, or cannot be reached",
            description="For 10 minutes its kubelet has not said that all is well (ready is {{ $value }}): its pods are made anew elsewhere, where there is room.",
            action="kubectl describe node: conditions of status Unknown mean that nothing is heard of it (host or network), others name what fails.",
        ),
        Alert(
            name="NodesNotReady",
            expr=f"1 - avg by (app, environment) ({ready}) > $threshold",
            # One of three is lost now and then; one of two is half of everything.
            threshold=0.4,
            for_="5m",
            severity=Severity.CRITICAL,
            summary="A large part of the nodes is not ready",
            description="{{ $value | humanizePercentage }} of the nodes are not ready (limit $threshold): what ran there finds no room elsewhere.",
            action="Look for what they share: a zone, a network, an image of their system, the API server that they report to.",
        ),
        Alert(
            name="NodeReadinessFlapping",
            expr=f"max by (app, environment, node) (changes({ready_series}[30m])) > $threshold",
            threshold=4,
            severity=Severity.WARNING,
            summary="Node {{ $labels.node }} is ready, and not, and again",
            description="That changed {{ $value }} times in half an hour (limit $threshold): pods are moved back and forth.",
            action="Its kubelet is starved, or its network comes and goes: see NodePressure, KubeletSlow and its dashboard.",
        ),
        Alert(
            name="NodePressure",
            expr=_condition(f'condition=~"{_PRESSURE}", status="true"', "condition") + " == 1",
            for_="5m",
            severity=Severity.WARNING,
            summary="Node {{ $labels.node }} says of itself: {{ $labels.condition }}",
            description="It has been so for 5 minutes (condition is {{ $value }}): it takes no new pods, and puts out those that take most.",
            action="Memory: find pods without limits. Disk: images and logs fill it. PIDs: something forks. Network: the CNI's pod on that node.",
        ),
        Alert(
            name="NodePodsNearlyFull",
            expr="""
max by (app, environment, node) (kubelet_running_pods)
/ (max by (app, environment, node) (kube_node_status_allocatable{resource="pods"}) > 0)
> $threshold""",
            threshold=0.95,
            for_="15m",
            severity=Severity.INFO,
            summary="Node {{ $labels.node }} runs nearly as many pods as it may",
            description="{{ $value | humanizePercentage }} of its places are taken (limit $threshold), whatever CPU and memory are left.",
            action="Add a node, or raise maxPods of its kubelet where the network has addresses for more.",
        ),
        *(
            Alert(
                name=f"Cluster{name}Overcommitted",
                expr=_overcommitted(resource),
                threshold=1,
                for_="30m",
                # Autoscaled clusters are filled to the brim on purpose.
                severity=Severity.INFO,
                summary=f"The cluster has too little {words} to lose a node",
                description=f"Pods ask for {{{{ $value | humanizePercentage }}}} of the {words} that is left without the largest node (limit $threshold).",
                action="Add a node, or lower requests of what does not use them (dashboard of workloads), before one fails.",
            )
            for name, resource, words in (("Cpu", "cpu", "CPU"), ("Memory", "memory", "memory"))
        ),
    )


def _kubelets() -> tuple[Alert, ...]:
    relist = "sum by (app, environment, node, le) (rate(kubelet_pleg_relist_duration_seconds_bucket[5m]))"
    return (
        Alert(
            name="KubeletDown",
            expr=f'max by (app, environment, node) (up{{job="{KUBELET}"}}) == 0',
            for_="10m",
            severity=Severity.WARNING,
            summary="The kubelet of {{ $labels.node }} does not answer",
            description="For 10 minutes Prometheus has not been able to scrape it (up is {{ $value }}), while the node is still a member: its pods are not measured.",
            action="The node is gone, a firewall is in the way to port 10250, or Prometheus may not ask it: its page of targets has the error.",
        ),
        Alert(
            name="KubeletSlow",
            expr=f"histogram_quantile(0.99, {relist}) > $threshold",
            threshold=5,
            for_="10m",
            severity=Severity.WARNING,
            summary="The kubelet of {{ $labels.node }} is slow to see its containers",
            description="It takes {{ $value | humanizeDuration }} to look at all of them (limit $threshold s); after 3 minutes without, the node is not ready.",
            action="The container runtime or the disk below it is overloaded: very many containers, or probes that run commands.",
        ),
        Alert(
            name="KubeletRuntimeErrors",
            # Commands run inside containers fail for reasons of the containers.
            expr="""
sum by (app, environment, node) (rate(kubelet_runtime_operations_errors_total{operation_type!~"exec.*"}[10m]))
/ (sum by (app, environment, node) (rate(kubelet_runtime_operations_total{operation_type!~"exec.*"}[10m])) > 0.1)
> $threshold""",
            threshold=0.2,
            for_="15m",
            severity=Severity.WARNING,
            summary="The container runtime of {{ $labels.node }} fails",
            description="{{ $value | humanizePercentage }} of what its kubelet asks of it ends in an error (limit $threshold).",
            action="The log of the runtime on that node (journalctl -u containerd) names it: a full disk, a broken image, no cgroup.",
        ),
        Alert(
            name="KubeletEvicts",
            expr="sum by (app, environment, node, eviction_signal) (increase(kubelet_evictions[15m])) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="Node {{ $labels.node }} puts pods out for want of resources",
            description="{{ $value | humanize }} pods were put out in 15 minutes, for {{ $labels.eviction_signal }}.",
            action="Find what took it (memory: pods without limits; nodefs and imagefs: logs, images, emptyDirs) and give it a limit.",
        ),
        Alert(
            name="KubeletCertificateExpiring",
            expr=f"""
min by (app, environment, node) ({{__name__=~"kubelet_certificate_manager_(client|server)_ttl_seconds", job="{KUBELET}"}})
< $threshold""",
            threshold=86400,
            for_="1h",
            severity=Severity.WARNING,
            summary="A certificate of the kubelet of {{ $labels.node }} expires, and is not renewed",
            description="It is good for another {{ $value | humanizeDuration }} (limit $threshold s); without it, the node leaves the cluster.",
            action="kubectl get csr: a request of that node that nobody approves. Its kubelet's log says what else keeps it from a new one.",
        ),
    )


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_state(), *_kubelets())
