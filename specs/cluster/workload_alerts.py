"""Alerts about what is declared and does not come about: Deployments and the like, Jobs, autoscalers, budgets, quotas."""

from specs.cluster.names import WORKLOADS, by, most
from specs.monitoring import Alert
from specs.settings import Severity

DASHBOARD = WORKLOADS
_WHICH = "{{ $labels.namespace }}/{{ $labels."


def _deployments() -> tuple[Alert, ...]:
    wanted = most("kube_deployment_spec_replicas", "namespace", "deployment")
    available = most("kube_deployment_status_replicas_available", "namespace", "deployment")
    updated = by("namespace", "deployment")
    return (
        Alert(
            name="DeploymentUnavailable",
            expr=f"{available} == 0 and {wanted} > 0",
            for_="5m",
            severity=Severity.CRITICAL,
            summary=f"Deployment {_WHICH}deployment }}}} has no pod that works",
            description="{{ $value }} of its replicas are available: whoever asks it gets no answer.",
            action="kubectl describe its pods: an image that cannot be pulled, a probe that fails, no room on any node. After a rollout: kubectl rollout undo.",
        ),
        Alert(
            name="DeploymentReplicasMissing",
            # While a rollout goes on, replicas are missing on purpose; with none at all it is another alert.
            expr=f"""
({wanted} - ({available} > 0)) > $threshold
unless max {updated} (changes(kube_deployment_status_replicas_updated[10m])) > 0""",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary=f"Deployment {_WHICH}deployment }}}} has fewer replicas than it wants",
            description="{{ $value }} replicas have been missing for 15 minutes (limit $threshold).",
            action="kubectl describe those of its pods that are not ready; PodUnschedulable, PodCrashLooping and PodNotReady name the reason.",
        ),
        Alert(
            name="DeploymentRolloutStuck",
            expr=most(
                "kube_deployment_status_condition",
                *("namespace", "deployment"),
                where='condition="Progressing", status="false"',
            )
            + " == 1",
            for_="5m",
            severity=Severity.WARNING,
            summary=f"The rollout of Deployment {_WHICH}deployment }}}} is stuck",
            description="It made no progress within its deadline (condition is {{ $value }}): old and new pods run side by side.",
            action="kubectl rollout status and describe the newest pods; kubectl rollout undo brings the old version back.",
        ),
    )


def _sets() -> tuple[Alert, ...]:
    wanted = most("kube_statefulset_replicas", "namespace", "statefulset")
    ready = most("kube_statefulset_status_replicas_ready", "namespace", "statefulset")
    new = most("kube_statefulset_status_replicas_updated", "namespace", "statefulset")
    moved = f"max {by('namespace', 'statefulset')} (changes(kube_statefulset_status_replicas_updated[10m])) > 0"
    nodes = most("kube_daemonset_status_desired_number_scheduled", "namespace", "daemonset")
    served = most("kube_daemonset_status_number_ready", "namespace", "daemonset")
    renewed = f"max {by('namespace', 'daemonset')} (changes(kube_daemonset_status_updated_number_scheduled[10m])) > 0"
    return (
        Alert(
            name="StatefulSetUnavailable",
            expr=f"{ready} == 0 and {wanted} > 0",
            for_="5m",
            severity=Severity.CRITICAL,
            summary=f"StatefulSet {_WHICH}statefulset }}}} has no pod that works",
            description="{{ $value }} of its replicas are ready: whoever asks it gets no answer.",
            action="kubectl describe its pods and their volume claims: a volume that cannot be attached is the usual reason after a node was lost.",
        ),
        Alert(
            name="StatefulSetReplicasMissing",
            expr=f"({wanted} - ({ready} > 0)) > $threshold unless {moved}",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary=f"StatefulSet {_WHICH}statefulset }}}} has fewer replicas than it wants",
            description="{{ $value }} replicas have been missing for 15 minutes (limit $threshold).",
            action="kubectl describe those of its pods that are not ready, and their volume claims.",
        ),
        Alert(
            name="StatefulSetRolloutStuck",
            expr=f"({wanted} - {new}) > $threshold unless {moved}",
            threshold=0,
            for_="30m",
            severity=Severity.WARNING,
            summary=f"The rollout of StatefulSet {_WHICH}statefulset }}}} is stuck",
            description="{{ $value }} replicas still are of the old version, and none has been renewed for half an hour.",
            action="It waits for the pod that it renewed last: kubectl describe that one. With the strategy OnDelete, or a partition, it is on purpose.",
        ),
        Alert(
            name="DaemonSetPodsMissing",
            expr=f"({nodes} - {served}) > $threshold unless {renewed}",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary=f"DaemonSet {_WHICH}daemonset }}}} does not run on every node",
            description="On {{ $value }} nodes it has had no pod that is ready for 15 minutes (limit $threshold).",
            action="kubectl get pods -o wide names the nodes; NodeNotReady and NodePressure say when it is the node.",
        ),
    )


def _jobs() -> tuple[Alert, ...]:
    return (
        Alert(
            name="JobFailed",
            expr=most("kube_job_failed", "namespace", "job_name", where='condition="true"') + " == 1",
            severity=Severity.WARNING,
            summary=f"Job {_WHICH}job_name }}}} failed",
            description="It gave up after its last attempt (condition is {{ $value }}).",
            action="kubectl logs job/<name> says why. Delete the Job once that is mended: it is told of for as long as it is there.",
        ),
        Alert(
            name="CronJobLate",
            expr=f"""
time() - {most("kube_cronjob_next_schedule_time", "namespace", "cronjob")} > $threshold
and {most("kube_cronjob_spec_suspend", "namespace", "cronjob")} == 0""",
            threshold=3600,
            severity=Severity.WARNING,
            summary=f"CronJob {_WHICH}cronjob }}}} does not run when it should",
            description="Its next run is {{ $value | humanizeDuration }} late (limit $threshold s).",
            action="kubectl describe it: a run before that has not ended (concurrencyPolicy: Forbid), or a quota that is full.",
        ),
    )


def _autoscalers() -> tuple[Alert, ...]:
    def scaler(metric: str, where: str = "") -> str:
        return most(f"kube_horizontalpodautoscaler_{metric}", "namespace", "horizontalpodautoscaler", where=where)

    most_of = scaler("spec_max_replicas")
    return (
        Alert(
            name="AutoscalerAtMaximum",
            # One that may not scale has no maximum to be at.
            expr=f"{scaler('status_current_replicas')} >= {most_of} and {most_of} > {scaler('spec_min_replicas')}",
            for_="15m",
            severity=Severity.WARNING,
            summary=f"Autoscaler {_WHICH}horizontalpodautoscaler }}}} is at its maximum",
            description="All of the {{ $value }} replicas that it may have run for 15 minutes: it cannot follow the load any further.",
            action="See whether the load is wanted; then raise maxReplicas, or give each replica more.",
        ),
        Alert(
            name="AutoscalerBlind",
            # Nothing to scale, by a Deployment of no replicas, is said in the same way.
            expr=f"""
{scaler("status_condition", 'condition="ScalingActive", status="false"')} == 1
and {scaler("status_desired_replicas")} > 0""",
            for_="15m",
            severity=Severity.WARNING,
            summary=f"Autoscaler {_WHICH}horizontalpodautoscaler }}}} gets no measurements",
            description="It cannot say how many replicas are needed (condition is {{ $value }}): their number stays whatever the load.",
            action="kubectl describe it names what it asks for; most often metrics-server is away, or a container declares no request.",
        ),
    )


def _budgets() -> tuple[Alert, ...]:
    def budget(metric: str) -> str:
        return most(f"kube_poddisruptionbudget_status_{metric}", "namespace", "poddisruptionbudget")

    healthy, wanted = budget("current_healthy"), budget("desired_healthy")
    return (
        Alert(
            name="DisruptionBudgetBroken",
            expr=f"({wanted} - {healthy}) > $threshold",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary=f"Fewer pods of {_WHICH}poddisruptionbudget }}}} are healthy than its budget asks for",
            description="{{ $value }} pods too few are healthy (limit $threshold): nodes cannot be drained, and one failure more may be too many.",
            action="kubectl describe pdb names its selector: see which of those pods are not ready, and why.",
        ),
        Alert(
            name="DisruptionBudgetBlocks",
            # As many as are wanted, and none may go: that is how it was declared.
            expr=f"{budget('pod_disruptions_allowed')} == 0 and {budget('expected_pods')} > 0 and {healthy} >= {wanted}",
            for_="1h",
            severity=Severity.INFO,
            summary=f"The budget {_WHICH}poddisruptionbudget }}}} lets no pod go, ever",
            description="All of its pods are healthy, and {{ $value }} may go: draining a node with one of them does not end.",
            action="Give it one replica more, or maxUnavailable: 1.",
        ),
    )


def _quotas() -> tuple[Alert, ...]:
    labels = ("namespace", "resourcequota", "resource")
    used, hard = (most("kube_resourcequota", *labels, where=f'type="{kind}"') for kind in ("used", "hard"))
    share = f"{used} / ({hard} > 0)"
    return (
        Alert(
            name="QuotaNearlyFull",
            expr=f"{share} > $threshold",
            threshold=0.9,
            for_="15m",
            severity=Severity.INFO,
            summary="Namespace {{ $labels.namespace }} has used up nearly all of its {{ $labels.resource }}",
            description="{{ $value | humanizePercentage }} of quota {{ $labels.resourcequota }} is taken (limit $threshold); when all of it is, new pods are refused.",
            action="See what takes it, then ask for a larger quota before the next rollout, which needs room for old and new.",
        ),
        Alert(
            name="QuotaExceeded",
            expr=f"{share} > $threshold",
            threshold=1,
            for_="5m",
            severity=Severity.WARNING,
            summary="Namespace {{ $labels.namespace }} has more {{ $labels.resource }} than its quota allows",
            description="{{ $value | humanizePercentage }} of quota {{ $labels.resourcequota }} is taken: nothing that ends is replaced.",
            action="The quota was made smaller than what runs already. Raise it, or take something away.",
        ),
    )


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_deployments(), *_sets(), *_jobs(), *_autoscalers(), *_budgets(), *_quotas())
