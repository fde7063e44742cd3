"""Alerts about pods and their containers."""

from specs.cluster.names import WORKLOADS, by, most
from specs.monitoring import Alert
from specs.settings import Severity

DASHBOARD = WORKLOADS
_POD = "{{ $labels.namespace }}/{{ $labels.pod }}"
_CONTAINER = f"{{{{ $labels.container }}}} of {_POD}"
_EACH = ("namespace", "pod", "container")
_PULLING = "ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|RegistryUnavailable"
_CREATING = "CreateContainerConfigError|CreateContainerError|RunContainerError"


def _waits(reasons: str) -> str:
    """Whether a container waits for one of these reasons; between two attempts it may have another one for a moment."""
    return f'max {by(*_EACH)} (max_over_time(kube_pod_container_status_waiting_reason{{reason=~"{reasons}"}}[5m])) == 1'


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_not_running(), *_suffering())


def _not_running() -> tuple[Alert, ...]:
    alive = 'max by (environment, namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown|Running"}) == 1'
    return (
        Alert(
            name="PodCrashLooping",
            expr=_waits("CrashLoopBackOff"),
            for_="10m",
            severity=Severity.WARNING,
            summary=f"Container {_CONTAINER} ends again and again",
            description="Kubernetes waits ever longer before it starts it again (waiting is {{ $value }}).",
            action="kubectl logs --previous has what it said before it ended, kubectl describe pod its exit status; 137 is most often want of memory.",
        ),
        Alert(
            name="PodRestarting",
            expr=f"sum {by(*_EACH)} (increase(kube_pod_container_status_restarts_total[1h])) > $threshold",
            threshold=4,
            severity=Severity.WARNING,
            summary=f"Container {_CONTAINER} is restarted often",
            description="It was restarted {{ $value | humanize }} times in an hour (limit $threshold).",
            action="kubectl describe pod says whether it ended by itself, was killed for its memory, or failed its liveness probe (PodLivenessFailing).",
        ),
        Alert(
            name="PodImagePullFailing",
            expr=_waits(_PULLING),
            for_="10m",
            severity=Severity.WARNING,
            summary=f"The image of {_CONTAINER} cannot be pulled",
            description="It has been tried for 10 minutes (waiting is {{ $value }}).",
            action="kubectl describe pod has the registry's answer: a tag that does not exist, a secret that is missing, or a limit of pulls.",
        ),
        Alert(
            name="PodContainerNotCreated",
            expr=_waits(_CREATING),
            for_="10m",
            severity=Severity.WARNING,
            summary=f"Container {_CONTAINER} cannot be created",
            description="What it needs is not there (waiting is {{ $value }}).",
            action="kubectl describe pod names it: a key of a Secret or ConfigMap that does not exist, or a command that is not in the image.",
        ),
        Alert(
            name="PodUnschedulable",
            expr=most("kube_pod_status_unschedulable", "namespace", "pod") + " == 1",
            for_="15m",
            severity=Severity.WARNING,
            summary=f"Pod {_POD} finds no node",
            description="No node has had room for it for 15 minutes, or none may have it (unschedulable is {{ $value }}).",
            action="kubectl describe pod counts the nodes by reason: too little CPU or memory, a taint, a volume in another zone.",
        ),
        Alert(
            name="PodNotReady",
            # Pods that have ended are not ready either.
            expr=f"""
{most("kube_pod_status_ready", "namespace", "pod", where='condition=~"false|unknown"')} == 1
and on (environment, namespace, pod) {alive}""",
            for_="15m",
            severity=Severity.WARNING,
            summary=f"Pod {_POD} is not ready",
            description="For 15 minutes it has not been fit to work (not ready is {{ $value }}).",
            action="kubectl describe pod: its events tell of probes that fail, images that cannot be pulled, volumes that cannot be mounted.",
        ),
    )


def _suffering() -> tuple[Alert, ...]:
    killed = most("kube_pod_container_status_last_terminated_reason", *_EACH, where='reason="OOMKilled"')
    periods = f"sum {by(*_EACH)} (rate(container_cpu_cfs_{{}}_total[5m]))"
    return (
        Alert(
            name="PodOutOfMemoryKill",
            expr=f"""
sum {by(*_EACH)} (increase(kube_pod_container_status_restarts_total[10m])) > $threshold
and on (environment, namespace, pod, container) {killed} == 1""",
            threshold=0,
            severity=Severity.WARNING,
            summary=f"Container {_CONTAINER} was killed for want of memory",
            description="It was started {{ $value | humanize }} times in 10 minutes, after it had taken more than its limit.",
            action="See on its dashboard whether its memory grew all the time (a leak) or with load; mend it, or raise its limit.",
        ),
        Alert(
            name="PodMemoryNearlyFull",
            expr=f"""
max {by(*_EACH)} (container_memory_working_set_bytes)
/ (max {by(*_EACH)} (container_spec_memory_limit_bytes) > 0)
> $threshold""",
            threshold=0.9,
            for_="10m",
            severity=Severity.WARNING,
            summary=f"Container {_CONTAINER} nearly fills its memory",
            description="{{ $value | humanizePercentage }} of its limit is in use (limit $threshold); beyond it the kernel kills it.",
            action="See on its dashboard whether it grows all the time (a leak) or came with load. Then mend it, or raise its limit.",
        ),
        Alert(
            name="PodThrottled",
            # A container that hardly runs is throttled in half of very few periods: that says nothing.
            expr=f"{periods.format('throttled_periods')}\n/ ({periods.format('periods')} > 1)\n> $threshold",
            threshold=0.5,
            for_="15m",
            # Many parts of managed clusters have tight limits, and live with them.
            severity=Severity.INFO,
            summary=f"Container {_CONTAINER} waits for its share of the CPU",
            description="It was held back in {{ $value | humanizePercentage }} of the periods in which it ran (limit $threshold).",
            action="Raise its CPU limit, or take it away: the request alone keeps others from starving it.",
        ),
        Alert(
            name="PodLivenessFailing",
            expr=f'sum {by(*_EACH)} (increase(prober_probe_total{{probe_type="Liveness", result="failed"}}[10m])) > $threshold',
            threshold=5,
            for_="5m",
            severity=Severity.WARNING,
            summary=f"Container {_CONTAINER} often fails its liveness probe",
            description="{{ $value | humanize }} probes failed in 10 minutes (limit $threshold); a few in a row and it is started again.",
            action="It hangs, or is too busy to answer in time. See its CPU, then the probe's timeout.",
        ),
    )
