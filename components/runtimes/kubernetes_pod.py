"""The pod that runs a workload: what the Pod Security Standard `restricted` asks for, and no more than the spec's."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from components.runtimes.containers import CONFIG, DATA, HOST, REGISTRY, labels
from components.runtimes.extras import extras
from components.runtimes.images import reference
from specs.workload import Workload

CONFIG_VOLUME = "config"
DATA_VOLUME = "data"
HOST_VOLUME = "host"
REGISTRY_VOLUME = "registry"
SCRATCH_VOLUME = "scratch"
TMP_VOLUME = "tmp"
STOP_SECONDS = 60


def key_of(path: str) -> str:
    """`path` as the key of a ConfigMap or Secret, which takes letters, digits, dots, dashes and underscores only.

    Two paths never share a key: `/` becomes `__`, and of anything else each byte becomes `_` and two digits.
    """
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
    return "".join(
        char if char in plain else "__" if char == "/" else "".join(f"_{byte:02x}" for byte in char.encode())
        for char in path
    )


def template(
    workload: Workload,
    *,
    config: pulumi.Input[str] | None,
    secret: pulumi.Input[str] | None,
    lock: Mapping[str, str],
) -> core.PodTemplateSpecArgs:
    """The pod of `workload`; `config` and `secret` are the names of the ConfigMap and the Secret with its files, `lock`
    is what images.lock says.

    Raises AssertionError for an extra that a pod cannot have.
    """
    asked = extras(workload)
    user = workload.program.user
    projected = _files(workload, config, secret)
    mounts = [
        *([core.VolumeMountArgs(name=CONFIG_VOLUME, mount_path=CONFIG, read_only=True)] if projected else []),
        core.VolumeMountArgs(name=DATA_VOLUME, mount_path=DATA),
        core.VolumeMountArgs(name=TMP_VOLUME, mount_path="/tmp"),  # noqa: S108 - a volume of the pod's own
    ]
    volumes = [
        *([core.VolumeArgs(name=CONFIG_VOLUME, projected=projected)] if projected else []),
        core.VolumeArgs(name=TMP_VOLUME, empty_dir=core.EmptyDirVolumeSourceArgs()),
    ]
    if workload.volume is None:
        volumes.append(core.VolumeArgs(name=DATA_VOLUME, empty_dir=core.EmptyDirVolumeSourceArgs()))
    if asked.registry:
        # Nothing is shared between pods: in a cluster applications register by annotations. The directory exists
        # nevertheless, so that no program stumbles over a path that is missing.
        mounts.append(core.VolumeMountArgs(name=REGISTRY_VOLUME, mount_path=REGISTRY))
        volumes.append(core.VolumeArgs(name=REGISTRY_VOLUME, empty_dir=core.EmptyDirVolumeSourceArgs()))
    if asked.paths or asked.kernel_log:
        raise AssertionError(f"{workload.name}: a pod sees all paths of its node or none, and not its kernel's log")
    for index, path in enumerate(workload.scratch):
        mounts.append(core.VolumeMountArgs(name=f"{SCRATCH_VOLUME}-{index}", mount_path=path))
        volumes.append(core.VolumeArgs(name=f"{SCRATCH_VOLUME}-{index}", empty_dir=core.EmptyDirVolumeSourceArgs()))
    if asked.host:
        mounts.append(
            core.VolumeMountArgs(name=HOST_VOLUME, mount_path=HOST, read_only=True, mount_propagation="HostToContainer")
        )
        volumes.append(core.VolumeArgs(name=HOST_VOLUME, host_path=core.HostPathVolumeSourceArgs(path="/")))
    return core.PodTemplateSpecArgs(
        metadata=meta.ObjectMetaArgs(labels=labels(workload)),
        spec=core.PodSpecArgs(
            automount_service_account_token=False,
            # Variables like LOKI_PORT=tcp://… would be taken for settings by some programs.
            enable_service_links=False,
            host_pid=True if asked.host else None,
            # What measures a node measures every node.
            tolerations=[core.TolerationArgs(operator="Exists")] if asked.host else None,
            termination_grace_period_seconds=STOP_SECONDS,
            security_context=core.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=user,
                run_as_group=user,
                fs_group=user,
                # Large volumes are not walked through at each start.
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            containers=[_container(workload, mounts, lock)],
            volumes=volumes,
        ),
    )


def _container(workload: Workload, mounts: list[core.VolumeMountArgs], lock: Mapping[str, str]) -> core.ContainerArgs:
    memory = workload.resources.memory
    return core.ContainerArgs(
        name=workload.name,
        image=reference(workload.program, None, lock),
        command=list(workload.program.entrypoint) or None,
        args=list(workload.args),
        working_dir=DATA,
        env=[core.EnvVarArgs(name=name, value=value) for name, value in workload.environment.items()] or None,
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
            capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        ),
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


def _files(
    workload: Workload, config: pulumi.Input[str] | None, secret: pulumi.Input[str] | None
) -> core.ProjectedVolumeSourceArgs | None:
    """ConfigMap and Secret as one directory; None where there are neither."""
    sources: list[core.VolumeProjectionArgs] = []
    if config is not None:
        items = _items(workload.files, 0o444)
        sources.append(core.VolumeProjectionArgs(config_map=core.ConfigMapProjectionArgs(name=config, items=items)))
    if secret is not None:
        # Files belong to root and the pod's own group, which is what lets the program read its secrets.
        items = _items(workload.secrets, 0o440)
        sources.append(core.VolumeProjectionArgs(secret=core.SecretProjectionArgs(name=secret, items=items)))
    return core.ProjectedVolumeSourceArgs(sources=sources) if sources else None


def _items(paths: Mapping[str, object], mode: int) -> list[core.KeyToPathArgs]:
    return [core.KeyToPathArgs(key=key_of(path), path=path, mode=mode) for path in paths]
