"""Examples of the alerts about what is declared in a cluster, its pods and its volumes."""

from collections.abc import Mapping

from tests.rules import cluster_node_examples
from tests.rules.examples import (
    BOUNDARY,
    CRITICAL,
    HAIR,
    INFO,
    NO_LIMIT,
    WARNING,
    Course,
    Example,
    Firing,
    counter,
    gauge,
    labels,
    series,
    tried,
    without,
)

STATE = {"app": "shop", "job": "kube-state-metrics", "instance": "kube-state-metrics:8080", "namespace": "shop"}


def _object(kind: str, name: str = "backend") -> dict[str, str]:
    return labels(name, **STATE, **{kind: name})


DEPLOYMENT = _object("deployment")
SET = _object("statefulset", "db")
DAEMONS = _object("daemonset", "agent")
JOB = _object("job_name", "nightly-1")
CRON = _object("cronjob", "nightly")
SCALER = _object("horizontalpodautoscaler")
BUDGET = _object("poddisruptionbudget")
QUOTA = _object("resourcequota", "all") | {"resource": "pods"}
POD = labels("backend", **STATE, pod="backend-75cb4df6c9-bk967")
CONTAINER = labels("web", **STATE, pod="backend-75cb4df6c9-bk967", container="web")
ON_NODE = CONTAINER | {"job": "kubelet-containers", "instance": "n1", "node": "n1", "id": "/pod1/web"}
CLAIM = _object("persistentvolumeclaim", "data")
VOLUME = CLAIM | {"job": "kubelet", "instance": "n1", "node": "n1"}


def _told(of: Mapping[str, str], severity: Mapping[str, str], summary: str, description: str) -> Firing:
    return Firing(
        labels={**without(of, "job", "instance", "node", "id"), **severity}, summary=summary, description=description
    )


def _deployment(**courses: Course) -> dict[str, Course]:
    return {series(f"kube_deployment_{name}", DEPLOYMENT): course for name, course in courses.items()}


DEPLOYMENTS = (
    *tried(
        "DeploymentUnavailable",
        _deployment(spec_replicas=gauge(2), status_replicas_available=gauge(0, 1)),
        _told(
            DEPLOYMENT,
            CRITICAL,
            "Deployment shop/backend has no pod that works",
            "0 of its replicas are available: whoever asks it gets no answer.",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    Example(
        alert="DeploymentUnavailable",
        says="none is wanted",
        series={
            series("kube_deployment_spec_replicas", DEPLOYMENT): "0x60",
            series("kube_deployment_status_replicas_available", DEPLOYMENT): "0x60",
        },
        at="10m",
    ),
    *tried(
        "DeploymentReplicasMissing",
        _deployment(spec_replicas=gauge(3), status_replicas_available=gauge(1, 3), status_replicas_updated=gauge(3)),
        _told(
            DEPLOYMENT,
            WARNING,
            "Deployment shop/backend has fewer replicas than it wants",
            "2 replicas have been missing for 15 minutes (limit 0).",
        ),
        wait="15m",
    ),
    Example(
        alert="DeploymentReplicasMissing",
        says="a rollout goes on, slowly",
        series={
            series("kube_deployment_spec_replicas", DEPLOYMENT): "9x160",
            series("kube_deployment_status_replicas_available", DEPLOYMENT): "8x160",
            series("kube_deployment_status_replicas_updated", DEPLOYMENT): " ".join(f"{n}x19" for n in range(1, 9)),
        },
        at="38m",
    ),
    *tried(
        "DeploymentRolloutStuck",
        {
            series("kube_deployment_status_condition", DEPLOYMENT, condition="Progressing", status=status): course
            for status, course in (("false", gauge(1, 0)), ("true", gauge(0, 1)))
        },
        _told(
            DEPLOYMENT,
            WARNING,
            "The rollout of Deployment shop/backend is stuck",
            "It made no progress within its deadline (condition is 1): old and new pods run side by side.",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
)

SETS = (
    *tried(
        "StatefulSetUnavailable",
        {
            series("kube_statefulset_replicas", SET): gauge(1),
            series("kube_statefulset_status_replicas_ready", SET): gauge(0, 1),
        },
        _told(
            SET,
            CRITICAL,
            "StatefulSet shop/db has no pod that works",
            "0 of its replicas are ready: whoever asks it gets no answer.",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "StatefulSetReplicasMissing",
        {
            series("kube_statefulset_replicas", SET): gauge(3),
            series("kube_statefulset_status_replicas_ready", SET): gauge(2, 3),
            series("kube_statefulset_status_replicas_updated", SET): gauge(3),
        },
        _told(
            SET,
            WARNING,
            "StatefulSet shop/db has fewer replicas than it wants",
            "1 replicas have been missing for 15 minutes (limit 0).",
        ),
        wait="15m",
    ),
    *tried(
        "StatefulSetRolloutStuck",
        {
            series("kube_statefulset_replicas", SET): gauge(3),
            series("kube_statefulset_status_replicas_updated", SET): gauge(1, 3),
        },
        _told(
            SET,
            WARNING,
            "The rollout of StatefulSet shop/db is stuck",
            "2 replicas still are of the old version, and none has been renewed for half an hour.",
        ),
        wait="30m",
        step="1m",
    ),
    *tried(
        "DaemonSetPodsMissing",
        {
            series("kube_daemonset_status_desired_number_scheduled", DAEMONS): gauge(5),
            series("kube_daemonset_status_number_ready", DAEMONS): gauge(4, 5),
            series("kube_daemonset_status_updated_number_scheduled", DAEMONS): gauge(5),
        },
        _told(
            DAEMONS,
            WARNING,
            "DaemonSet shop/agent does not run on every node",
            "On 1 nodes it has had no pod that is ready for 15 minutes (limit 0).",
        ),
        wait="15m",
    ),
)

JOBS = (
    *tried(
        "JobFailed",
        {
            series("kube_job_failed", JOB, condition="true"): gauge(1, 0),
            series("kube_job_failed", JOB, condition="false"): gauge(0, 1),
        },
        _told(JOB, WARNING, "Job shop/nightly-1 failed", "It gave up after its last attempt (condition is 1)."),
        border=NO_LIMIT,
    ),
    Example(
        alert="CronJobLate",
        says="it should have run an hour ago, and runs at last",
        series={
            series("kube_cronjob_next_schedule_time", CRON): "0x65 90000x20",
            series("kube_cronjob_spec_suspend", CRON): "0x90",
        },
        at="61m",
        resolved_at="70m",
        step="1m",
        fires=(
            _told(
                CRON,
                WARNING,
                "CronJob shop/nightly does not run when it should",
                "Its next run is 1h 1m 0s late (limit 3600 s).",
            ),
        ),
    ),
    Example(
        alert="CronJobLate",
        says=BOUNDARY,
        series={
            series("kube_cronjob_next_schedule_time", CRON): "0x60",
            series("kube_cronjob_spec_suspend", CRON): "0x60",
        },
        at="1h",
        step="1m",
    ),
    Example(
        alert="CronJobLate",
        says="it is suspended",
        series={
            series("kube_cronjob_next_schedule_time", CRON): "0x90",
            series("kube_cronjob_spec_suspend", CRON): "1x90",
        },
        at="90m",
        step="1m",
    ),
)


def _scaler(**courses: Course) -> dict[str, Course]:
    return {series(f"kube_horizontalpodautoscaler_{name}", SCALER): course for name, course in courses.items()}


def _active(status: str, course: Course) -> dict[str, Course]:
    name = "kube_horizontalpodautoscaler_status_condition"
    return {series(name, SCALER, condition="ScalingActive", status=status): course}


SCALERS = (
    *tried(
        "AutoscalerAtMaximum",
        _scaler(status_current_replicas=gauge(10, 9), spec_max_replicas=gauge(10), spec_min_replicas=gauge(2)),
        _told(
            SCALER,
            WARNING,
            "Autoscaler shop/backend is at its maximum",
            "All of the 10 replicas that it may have run for 15 minutes: it cannot follow the load any further.",
        ),
        wait="15m",
        border=NO_LIMIT,
    ),
    Example(
        alert="AutoscalerAtMaximum",
        says="it may have one number of replicas only",
        series={
            series("kube_horizontalpodautoscaler_status_current_replicas", SCALER): "3x90",
            series("kube_horizontalpodautoscaler_spec_max_replicas", SCALER): "3x90",
            series("kube_horizontalpodautoscaler_spec_min_replicas", SCALER): "3x90",
        },
        at="20m",
    ),
    *tried(
        "AutoscalerBlind",
        _active("false", gauge(1, 0)) | _active("true", gauge(0, 1)) | _scaler(status_desired_replicas=gauge(3)),
        _told(
            SCALER,
            WARNING,
            "Autoscaler shop/backend gets no measurements",
            "It cannot say how many replicas are needed (condition is 1): their number stays whatever the load.",
        ),
        wait="15m",
        border=NO_LIMIT,
    ),
    Example(
        alert="AutoscalerBlind",
        says="somebody set the Deployment to no replicas",
        series={
            next(iter(_active("false", gauge(1)))): "1x90",
            series("kube_horizontalpodautoscaler_status_desired_replicas", SCALER): "0x90",
        },
        at="20m",
    ),
)


def _budget(**courses: Course) -> dict[str, Course]:
    return {series(f"kube_poddisruptionbudget_status_{name}", BUDGET): course for name, course in courses.items()}


BUDGETS = (
    *tried(
        "DisruptionBudgetBroken",
        _budget(desired_healthy=gauge(2), current_healthy=gauge(1, 2)),
        _told(
            BUDGET,
            WARNING,
            "Fewer pods of shop/backend are healthy than its budget asks for",
            "1 pods too few are healthy (limit 0): nodes cannot be drained, and one failure more may be too many.",
        ),
        wait="15m",
    ),
    *tried(
        "DisruptionBudgetBlocks",
        _budget(
            pod_disruptions_allowed=gauge(0, 1),
            expected_pods=gauge(2),
            current_healthy=gauge(2),
            desired_healthy=gauge(2, 1),
        ),
        _told(
            BUDGET,
            INFO,
            "The budget shop/backend lets no pod go, ever",
            "All of its pods are healthy, and 0 may go: draining a node with one of them does not end.",
        ),
        wait="1h",
        step="1m",
        border=NO_LIMIT,
    ),
    *tried(
        "QuotaNearlyFull",
        {
            series("kube_resourcequota", QUOTA, type="used"): gauge(19, 18, 10),
            series("kube_resourcequota", QUOTA, type="hard"): gauge(20),
        },
        _told(
            QUOTA,
            INFO,
            "Namespace shop has used up nearly all of its pods",
            "95% of quota all is taken (limit 0.9); when all of it is, new pods are refused.",
        ),
        wait="15m",
    ),
    *tried(
        "QuotaExceeded",
        {
            series("kube_resourcequota", QUOTA, type="used"): gauge(22, 20, 10),
            series("kube_resourcequota", QUOTA, type="hard"): gauge(20),
        },
        _told(
            QUOTA,
            WARNING,
            "Namespace shop has more pods than its quota allows",
            "110% of quota all is taken: nothing that ends is replaced.",
        ),
        wait="5m",
    ),
)


def _waiting(reason: str) -> str:
    return series("kube_pod_container_status_waiting_reason", CONTAINER, reason=reason)


def _waits(alert: str, reason: str, summary: str, description: str) -> tuple[Example, ...]:
    return tried(
        alert,
        {_waiting(reason): gauge(1, 0), _waiting("ContainerCreating"): gauge(0, 1)},
        _told(CONTAINER, WARNING, summary, description),
        wait="10m",
        window="5m",
        border=NO_LIMIT,
    )


PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
PODS = (
    *_waits(
        "PodCrashLooping",
        "CrashLoopBackOff",
        "Container web of shop/backend-75cb4df6c9-bk967 ends again and again",
        "Kubernetes waits ever longer before it starts it again (waiting is 1).",
    ),
    *_waits(
        "PodImagePullFailing",
        "ImagePullBackOff",
        "The image of web of shop/backend-75cb4df6c9-bk967 cannot be pulled",
        "It has been tried for 10 minutes (waiting is 1).",
    ),
    Example(
        alert="PodImagePullFailing",
        says="it is tried, and waits, in turn",
        series={_waiting("ErrImagePull"): "1 _ _ _ " * 20, _waiting("ImagePullBackOff"): "_ 1 1 1 " * 20},
        at="15m",
        quiet_at="9m45s",
        fires=(
            _told(
                CONTAINER,
                WARNING,
                "The image of web of shop/backend-75cb4df6c9-bk967 cannot be pulled",
                "It has been tried for 10 minutes (waiting is 1).",
            ),
        ),
    ),
    *_waits(
        "PodContainerNotCreated",
        "CreateContainerConfigError",
        "Container web of shop/backend-75cb4df6c9-bk967 cannot be created",
        "What it needs is not there (waiting is 1).",
    ),
    *tried(
        "PodRestarting",
        {series("kube_pod_container_status_restarts_total", CONTAINER): counter(2, 1, 0)},
        _told(
            CONTAINER,
            WARNING,
            "Container web of shop/backend-75cb4df6c9-bk967 is restarted often",
            "It was restarted 8 times in an hour (limit 4).",
        ),
        window="1h",
        step="15m",
    ),
    *tried(
        "PodUnschedulable",
        {series("kube_pod_status_unschedulable", POD): gauge(1, 0)},
        _told(
            POD,
            WARNING,
            "Pod shop/backend-75cb4df6c9-bk967 finds no node",
            "No node has had room for it for 15 minutes, or none may have it (unschedulable is 1).",
        ),
        wait="15m",
        border=NO_LIMIT,
    ),
    *tried(
        "PodNotReady",
        {
            series("kube_pod_status_ready", POD, condition="false"): gauge(1, 0),
            series("kube_pod_status_ready", POD, condition="true"): gauge(0, 1),
            **{series("kube_pod_status_phase", POD, phase=name): gauge(name == "Running") for name in PHASES},
        },
        _told(
            POD,
            WARNING,
            "Pod shop/backend-75cb4df6c9-bk967 is not ready",
            "For 15 minutes it has not been fit to work (not ready is 1).",
        ),
        wait="15m",
        border=NO_LIMIT,
    ),
    Example(
        alert="PodNotReady",
        says="it has done what it was for",
        series={
            series("kube_pod_status_ready", POD, condition="false"): "1x90",
            **{series("kube_pod_status_phase", POD, phase=name): f"{name == 'Succeeded':d}x90" for name in PHASES},
        },
        at="20m",
    ),
)


def _ended(reason: str) -> str:
    return series("kube_pod_container_status_last_terminated_reason", CONTAINER, reason=reason)


def _probes(result: str) -> str:
    return series("prober_probe_total", ON_NODE | {"job": "kubelet-probes"}, probe_type="Liveness", result=result)


SUFFERING = (
    *tried(
        "PodOutOfMemoryKill",
        {
            series("kube_pod_container_status_restarts_total", CONTAINER): counter(1, 0),
            _ended("OOMKilled"): gauge(1),
        },
        _told(
            CONTAINER,
            WARNING,
            "Container web of shop/backend-75cb4df6c9-bk967 was killed for want of memory",
            "It was started 40 times in 10 minutes, after it had taken more than its limit.",
        ),
        window="10m",
    ),
    Example(
        alert="PodOutOfMemoryKill",
        says="it ended for another reason",
        series={
            series("kube_pod_container_status_restarts_total", CONTAINER): "0+1x80",
            _ended("Error"): "1x80",
        },
        at="15m",
    ),
    *tried(
        "PodMemoryNearlyFull",
        {
            series("container_memory_working_set_bytes", ON_NODE): gauge(95, 90, 50),
            series("container_spec_memory_limit_bytes", ON_NODE): gauge(100),
        },
        _told(
            CONTAINER,
            WARNING,
            "Container web of shop/backend-75cb4df6c9-bk967 nearly fills its memory",
            "95% of its limit is in use (limit 0.9); beyond it the kernel kills it.",
        ),
        wait="10m",
    ),
    Example(
        alert="PodMemoryNearlyFull",
        says="it has no limit",
        series={
            series("container_memory_working_set_bytes", ON_NODE): "95x80",
            series("container_spec_memory_limit_bytes", ON_NODE): "0x80",
        },
        at="15m",
    ),
    *tried(
        "PodThrottled",
        {
            series("container_cpu_cfs_throttled_periods_total", ON_NODE): counter(90, 75, 10),
            series("container_cpu_cfs_periods_total", ON_NODE): counter(150),
        },
        _told(
            CONTAINER,
            INFO,
            "Container web of shop/backend-75cb4df6c9-bk967 waits for its share of the CPU",
            "It was held back in 60% of the periods in which it ran (limit 0.5).",
        ),
        wait="15m",
        window="5m",
    ),
    Example(
        alert="PodThrottled",
        says="it hardly runs",
        series={
            series("container_cpu_cfs_throttled_periods_total", ON_NODE): "0+9x120",
            series("container_cpu_cfs_periods_total", ON_NODE): "0+12x120",
        },
        at="30m",
    ),
    *tried(
        "PodLivenessFailing",
        {_probes("failed"): counter(1, 0.5, 0)},
        _told(
            CONTAINER,
            WARNING,
            "Container web of shop/backend-75cb4df6c9-bk967 often fails its liveness probe",
            "10 probes failed in 10 minutes (limit 5); a few in a row and it is started again.",
        ),
        wait="5m",
        window="10m",
        step="1m",
    ),
)


def _volume(**courses: Course) -> dict[str, Course]:
    return {series(f"kubelet_volume_stats_{name}", VOLUME): course for name, course in courses.items()}


def _shrinking(start: int) -> dict[str, str]:
    """A tenth of a gigabyte goes in ten minutes, until nothing does any more."""
    last = start - 48 * 10**8
    return {
        series("kubelet_volume_stats_available_bytes", VOLUME): f"{start}-100000000x48 {last}x60",
        series("kubelet_volume_stats_capacity_bytes", VOLUME): "100000000000x120",
    }


VOLUMES = (
    *tried(
        "VolumeNearlyFull",
        _volume(available_bytes=gauge(5, 10, 50), capacity_bytes=gauge(100)),
        _told(CLAIM, WARNING, "Volume shop/data is nearly full", "5% of it is free (limit 0.1)."),
        wait="5m",
        leveled=True,
    ),
    *tried(
        "VolumeNearlyFull",
        _volume(available_bytes=gauge(2, 3, 50), capacity_bytes=gauge(100)),
        _told(CLAIM, CRITICAL, "Volume shop/data is nearly full", "2% of it is free (limit 0.03)."),
        wait="1m",
        leveled=True,
    ),
    Example(
        alert="VolumeWillFill",
        says="it loses half of what is left each day, until that ends",
        series=_shrinking(29 * 10**9),
        at="8h",
        quiet_at="1h",
        resolved_at="15h",
        step="10m",
        fires=(
            _told(
                CLAIM,
                WARNING,
                "Volume shop/data fills within four days",
                "At the pace of the last six hours there would be -31.11GiB left in four days.",
            ),
        ),
    ),
    Example(
        alert="VolumeWillFill",
        says=HAIR,
        series=_shrinking(349 * 10**8),
        at="8h",
        step="10m",
    ),
    *tried(
        "VolumeInodesLow",
        _volume(inodes_free=gauge(4, 5, 50), inodes=gauge(100)),
        _told(
            CLAIM,
            WARNING,
            "Volume shop/data runs out of inodes",
            "4% of its inodes are free (limit 0.05), however much space is left.",
        ),
        wait="5m",
    ),
    Example(
        alert="VolumeInodesLow",
        says="its filesystem counts none",
        series={
            series("kubelet_volume_stats_inodes_free", VOLUME): "0x60",
            series("kubelet_volume_stats_inodes", VOLUME): "0x60",
        },
        at="10m",
    ),
    *tried(
        "VolumeClaimUnbound",
        {
            series("kube_persistentvolumeclaim_status_phase", CLAIM, phase="Pending"): gauge(1, 0),
            series("kube_persistentvolumeclaim_status_phase", CLAIM, phase="Bound"): gauge(0, 1),
        },
        _told(
            CLAIM,
            WARNING,
            "Claim shop/data gets no volume",
            "It has waited for half an hour (pending is 1): pods that want it do not start.",
        ),
        wait="30m",
        border=NO_LIMIT,
    ),
    *tried(
        "VolumeClaimLost",
        {
            series("kube_persistentvolumeclaim_status_phase", CLAIM, phase="Lost"): gauge(1, 0),
            series("kube_persistentvolumeclaim_status_phase", CLAIM, phase="Bound"): gauge(0, 1),
        },
        _told(
            CLAIM,
            CRITICAL,
            "Claim shop/data has lost its volume",
            "The volume that it was bound to is not there any more (lost is 1).",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "PersistentVolumeFailed",
        {
            series(
                "kube_persistentvolume_status_phase",
                labels("kube-state-metrics", app="cluster", instance="kube-state-metrics:8080"),
                persistentvolume="pv1",
                phase=phase,
            ): course
            for phase, course in (("Failed", gauge(1, 0)), ("Bound", gauge(0, 1)))
        },
        Firing(
            labels={
                "app": "cluster",
                "environment": "test",
                "service": "volume",
                "persistentvolume": "pv1",
                **WARNING,
            },
            summary="Volume pv1 could not be given back",
            description="Its claim is gone, and it could neither be kept nor deleted (failed is 1).",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
)

EXAMPLES = (
    *DEPLOYMENTS,
    *SETS,
    *JOBS,
    *SCALERS,
    *BUDGETS,
    *PODS,
    *SUFFERING,
    *VOLUMES,
    *cluster_node_examples.EXAMPLES,
)
