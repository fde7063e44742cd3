"""The pod that runs a workload: what the Pod Security Standard `restricted` asks for, and no more than the spec's."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from components.runtimes.containers import CONFIG, DATA, DATA_VOLUME, HOST, REGISTRY, labels, selector
from components.runtimes.extras import Extras, extras
from components.runtimes.images import reference
from specs.workload import Workload

CONFIG_VOLUME = "config"
HOST_VOLUME = "host"
REGISTRY_VOLUME = "registry"
SCRATCH_VOLUME = "scratch"
TMP_VOLUME = "tmp"
LEAVE_SECONDS = 5
"""How long a replica that is told to go still answers: nodes take a moment to hear that others are to be asked."""
_IDENTITY = (
    ("POD_NAME", "metadata.name"),
    ("POD_NAMESPACE", "metadata.namespace"),
    ("POD_IP", "status.podIP"),
    ("NODE_NAME", "spec.nodeName"),
)


def template(
    workload: Workload,
    *,
    files: Mapping[str, Sequence[core.VolumeProjectionArgs]],
    registry: str | None,
    lock: Mapping[str, str],
    priority: pulumi.Input[str] | None,
) -> core.PodTemplateSpecArgs:
    """The pod of `workload`. `files` is what the configuration directory of each of its programs is made of, by name,
    `lock` is what images.lock says, `registry` the mirror that images come from, `priority` the name of a class.

    Raises AssertionError for an extra that a pod cannot have.
    """
    asked = extras(workload)
    on_node = workload.on_nodes
    if asked.kernel_log or (asked.paths and not on_node):
        raise AssertionError(f"{workload.name}: only a pod on every node sees paths of it, and none its kernel's log")
    volumes, mounts = _directories(workload, asked)
    containers: list[core.ContainerArgs] = []
    for program in (workload, *workload.beside):
        own = list(mounts)
        # Each program finds its own files at the same path.
        if files.get(program.name):
            volume = CONFIG_VOLUME if program is workload else f"{CONFIG_VOLUME}-{program.name}"
            own.append(core.VolumeMountArgs(name=volume, mount_path=CONFIG, read_only=True))
            projected = core.ProjectedVolumeSourceArgs(sources=list(files[program.name]))
            volumes.append(core.VolumeArgs(name=volume, projected=projected))
        image = reference(program.program, registry, lock)
        one_of_many = workload.replicas > 1
        containers.append(_container(program, image=image, asked=asked, one_of_many=one_of_many, mounts=own))
    user = workload.program.user
    return core.PodTemplateSpecArgs(
        metadata=meta.ObjectMetaArgs(labels=labels(workload)),
        spec=core.PodSpecArgs(
            service_account_name=workload.name,
            automount_service_account_token=bool(asked.access),
            # Variables like LOKI_PORT=tcp://… would be taken for settings by some programs.
            enable_service_links=False,
            host_pid=True if asked.host else None,
            # What measures a node, or reads its logs, does so on every node.
            tolerations=[core.TolerationArgs(operator="Exists")] if on_node else None,
            priority_class_name=priority,
            topology_spread_constraints=_spread(workload) if workload.replicas > 1 and not on_node else None,
            termination_grace_period_seconds=workload.stop_seconds,
            security_context=core.PodSecurityContextArgs(
                run_as_non_root=user != 0,
                run_as_user=user,
                run_as_group=user,
                fs_group=user,
                # Large volumes are not walked through at each start.
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            containers=containers,
            volumes=volumes,
        ),
    )


def _directories(workload: Workload, asked: Extras) -> tuple[list[core.VolumeArgs], list[core.VolumeMountArgs]]:
    """Volumes of the pod, and where every program in it sees them; its files apart."""
    empty = core.EmptyDirVolumeSourceArgs()
    mounts = [
        core.VolumeMountArgs(name=DATA_VOLUME, mount_path=DATA),
        core.VolumeMountArgs(name=TMP_VOLUME, mount_path="/tmp"),  # noqa: S108 - a volume of the pod's own
    ]
    volumes = [core.VolumeArgs(name=TMP_VOLUME, empty_dir=empty)]
    if asked.node_data:
        kept = core.HostPathVolumeSourceArgs(path=asked.node_data, type="DirectoryOrCreate")
        volumes.append(core.VolumeArgs(name=DATA_VOLUME, host_path=kept))
    elif workload.volume is None:
        volumes.append(core.VolumeArgs(name=DATA_VOLUME, empty_dir=empty))
    if asked.registry:
        # Nothing is shared between pods: in a cluster applications register by annotations. The directory exists
        # nevertheless, so that no program stumbles over a path that is missing.
        mounts.append(core.VolumeMountArgs(name=REGISTRY_VOLUME, mount_path=REGISTRY))
        volumes.append(core.VolumeArgs(name=REGISTRY_VOLUME, empty_dir=empty))
    for index, path in enumerate(workload.scratch):
        mounts.append(core.VolumeMountArgs(name=f"{SCRATCH_VOLUME}-{index}", mount_path=path))
        volumes.append(core.VolumeArgs(name=f"{SCRATCH_VOLUME}-{index}", empty_dir=empty))
    seen = [("/", HOST)] if asked.host else list(asked.paths)
    for index, (path, inside) in enumerate(seen):
        name = HOST_VOLUME if asked.host else f"{HOST_VOLUME}-{index}"
        mounts.append(
            core.VolumeMountArgs(name=name, mount_path=inside, read_only=True, mount_propagation="HostToContainer")
        )
        volumes.append(core.VolumeArgs(name=name, host_path=core.HostPathVolumeSourceArgs(path=path)))
    return volumes, mounts


def _spread(workload: Workload) -> list[core.TopologySpreadConstraintArgs]:
    """Replicas in different zones and on different nodes, where there are any: a small cluster still runs them all."""
    return [
        core.TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=key,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=meta.LabelSelectorArgs(match_labels=selector(workload)),
        )
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _container(
    workload: Workload, *, image: str, asked: Extras, one_of_many: bool, mounts: list[core.VolumeMountArgs]
) -> core.ContainerArgs:
    memory = workload.resources.memory
    # First, since later variables may name them.
    who = [
        core.EnvVarArgs(
            name=name,
            value_from=core.EnvVarSourceArgs(field_ref=core.ObjectFieldSelectorArgs(api_version="v1", field_path=path)),
        )
        for name, path in _IDENTITY
        if asked.identity
    ]
    return core.ContainerArgs(
        name=workload.name,
        image=image,
        command=list(workload.program.entrypoint) or None,
        args=list(workload.args),
        working_dir=DATA,
        env=[*who, *(core.EnvVarArgs(name=name, value=value) for name, value in workload.environment.items())] or None,
        ports=[
            core.ContainerPortArgs(name=port.name, container_port=port.number, protocol=port.protocol.upper())
            for port in workload.ports
        ],
        resources=core.ResourceRequirementsArgs(
            limits={"memory": memory}, requests={"memory": memory, "cpu": workload.resources.cpu}
        ),
        security_context=core.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"], add=["DAC_READ_SEARCH"] if asked.any_file else None),
        ),
        lifecycle=core.LifecycleArgs(
            pre_stop=core.LifecycleHandlerArgs(sleep=core.SleepActionArgs(seconds=LEAVE_SECONDS))
        )
        if one_of_many
        else None,
        startup_probe=_probe(workload, period=5, failures=-(-workload.probe.start_seconds // 5)),
        readiness_probe=_probe(workload, period=10, failures=3),
        # Slower to judge than readiness: a program that is busy for a minute is not one to kill.
        liveness_probe=_probe(workload, period=30, failures=6),
        volume_mounts=mounts,
    )


def _probe(workload: Workload, *, period: int, failures: int) -> core.ProbeArgs:
    probe = workload.probe
    by_http = core.HTTPGetActionArgs(path=probe.path, port=workload.port(probe.port).name)
    return core.ProbeArgs(
        http_get=None if probe.command else by_http,
        exec_=core.ExecActionArgs(command=list(probe.command)) if probe.command else None,
        period_seconds=period,
        timeout_seconds=5,
        failure_threshold=failures,
    )
