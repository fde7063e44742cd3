"""The Docker runtime: workloads as containers of one Docker engine, on a network of their own.

What the provider makes of its inputs is less than obvious; docs/docker.md says what each odd one here is about.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import pulumi
import pulumi_docker as docker

from components.runtimes.containers import CONFIG, DATA, HOST, REGISTRY, labels, part_of
from components.runtimes.docker_preparation import (
    CAPABILITIES,
    FILES,
    MEMORY,
    SEED,
    joined,
    place_files,
    place_secrets,
    prepares,
)
from components.runtimes.extras import extras
from components.runtimes.images import reference
from components.runtimes.secret_files import secret_file
from specs.addresses import Addresses
from specs.model import size_bytes
from specs.programs import PREPARE
from specs.settings import Settings
from specs.stack import Stack
from specs.workload import Program, Workload

STOP_SECONDS = 30
"""Without it the provider kills containers outright when it replaces them."""
ASK_SECONDS = 10
"""Between two questions of a health check: each starts a process in the container."""
NO_NEW_RIGHTS = "no-new-privileges:true"
TMP = "/tmp"  # noqa: S108 - a filesystem of the container's own


def of(stack: Stack, secrets: Mapping[str, pulumi.Output[str]], lock: Mapping[str, str]) -> "DockerRuntime":
    """The runtime on the engine that Docker's own environment variables and contexts, or `docker:host`, name."""
    context = stack.context
    return DockerRuntime(settings=context.settings, addresses=context.addresses, secrets=secrets, lock=lock)


def health_check(workload: Workload) -> list[str] | None:
    """What a container runs inside itself to know whether it is healthy; None where its image has nothing for that."""
    probe = workload.probe
    if probe.command:
        return ["CMD", *probe.command]
    url = f"http://127.0.0.1:{workload.port(probe.port).number}{probe.path}"
    match workload.program.client:
        case "wget":
            # Not --spider: it hangs up before the answer, which Grafana logs as an error each time.
            return ["CMD", "wget", "-q", "-O", "/dev/null", url]
        case "curl":
            return ["CMD", "curl", "-fsS", "-o", "/dev/null", url]
        case "":
            return None


def temporary(workload: Workload) -> dict[str, str]:
    """Filesystems in memory, by path: what the program writes to and need not keep. They count as its memory."""
    user = workload.program.user
    own = f"uid={user},gid={user},mode=0700,exec"
    # Programs run code of their own from there, as they may in a pod: Java's native libraries, for one.
    found = {TMP: "mode=1777,exec", **dict.fromkeys(workload.scratch, own)}
    return found if workload.volume else {DATA: own, **found}


def config_hash(workload: Workload) -> str:
    """Says whether two containers were given the same files, and the same of what the provider cannot change in a
    container that exists and does not replace one for: health check and temporary filesystems. No secret is in it."""
    given = {
        "files": dict(workload.files),
        "secrets": sorted(workload.secrets),
        "health": health_check(workload),
        "start_seconds": workload.probe.start_seconds,
        "temporary": temporary(workload),
    }
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]


def go_duration(seconds: int) -> str:
    """`seconds` as the engine writes them back: any other form is a change in every preview."""
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{left}s"


def succeeded(name: str) -> Callable[[int | None], None]:
    """What refuses the exit status of the container `name` that should have ended well, with pulumi.RunError: the
    provider takes any end for a success."""

    def check(status: int | None) -> None:
        if status:
            raise pulumi.RunError(
                f"{name} ended with exit status {status}: docker logs {name} says why; then docker rm {name}, and"
                " pulumi up --refresh"
            )

    return check


class DockerRuntime:
    """Containers on one network. Names of containers and volumes start with the network's."""

    def __init__(
        self,
        *,
        settings: Settings,
        addresses: Addresses,
        secrets: Mapping[str, pulumi.Output[str]],
        lock: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._secrets = secrets
        self._lock = lock
        self._network = docker.Network(
            "network", name=settings.docker.network, opts=pulumi.ResourceOptions(delete_before_replace=True)
        )

    @property
    def home(self) -> str:
        """Empty: containers have no directory on this machine."""
        return ""

    def connect(self, stack: Stack, parent: pulumi.Resource) -> None:
        """Nothing: what shares a network may dial each other, and ports are published by their containers."""

    def deploy(self, workload: Workload, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Declare one Container, the Volumes that it needs, and what fills them first."""
        asked = extras(workload)
        mounted = self._volumes(workload, parent)
        files, secrets = self._prepare(workload, mounted, parent)
        user = f"{workload.program.user}:{workload.program.user}"
        check = health_check(workload)
        start = workload.probe.start_seconds
        container = docker.Container(
            workload.name,
            name=self._name(workload.name),
            image=self._image(workload.program),
            entrypoints=list(workload.program.entrypoint) or None,
            command=list(workload.args),
            working_dir=DATA,
            user=user,
            envs=[f"{name}={value}" for name, value in workload.environment.items()] or None,
            volumes=[_volume(name, path, read_only=path != DATA) for path, name in mounted.items()] or None,
            tmpfs=temporary(workload),
            mounts=[
                *([_mount("/", HOST, later=True)] if asked.host else []),
                *(_mount(source, target) for source, target in asked.paths),
            ]
            or None,
            devices=[_kernel_log()] if asked.kernel_log else None,
            pid_mode="host" if asked.host else None,
            # The engine adds the second to who sees the host's processes; unsaid, a refresh would find it.
            security_opts=[NO_NEW_RIGHTS, *(["label=disable"] if asked.host else [])],
            networks_advanced=self._networks(workload, outward=asked.outward),
            ports=self._ports(workload) or None,
            **_limits(size_bytes(workload.resources.memory) // 2**20),
            cpus=str(float(workload.resources.processors)),
            cpu_shares=_shares(workload.resources.cpu),
            read_only=True,
            capabilities=docker.ContainerCapabilitiesArgs(
                drops=["ALL"], adds=["CAP_SYSLOG"] if asked.kernel_log else None
            ),
            restart="unless-stopped",
            healthcheck=_health(check, start) if check else None,
            wait=check is not None,
            # Nothing counts as failed before the start has had its time, and then it takes three questions.
            wait_timeout=start + 3 * ASK_SECONDS if check else None,
            must_run=True,
            destroy_grace_seconds=STOP_SECONDS,
            labels=_labels(
                {
                    **labels(workload),
                    "observability/config-hash": config_hash(workload),
                    # A new secret is a new container that places it: its id changes, and nobody learns the secret.
                    **({"observability/secrets": secrets.id} if secrets else {}),
                },
            ),
            # Two containers of one name cannot be.
            opts=pulumi.ResourceOptions(
                parent=parent,
                delete_before_replace=True,
                depends_on=[prepared for prepared in (files, secrets) if prepared],
            ),
        )
        url = f"http://{self._addresses.outside(workload.name, workload.ports[0].number)}"
        ended = [
            prepared.exit_code.apply(succeeded(self._name(name)))
            for name, prepared in ((f"{workload.name}-files", files), (f"{workload.name}-secrets", secrets))
            if prepared
        ]
        return pulumi.Output.all(container.id, *ended).apply(lambda _: url)

    def _name(self, name: str) -> str:
        return f"{self._settings.docker.network}-{name}"

    def _image(self, program: Program) -> str:
        return reference(program, self._settings.docker.registry, self._lock)

    def _prepare(
        self, workload: Workload, mounted: Mapping[str, pulumi.Input[str]], parent: pulumi.Resource
    ) -> tuple[docker.Container | None, docker.Container | None]:
        """What places the workload's files, and what places its secrets."""
        if not prepares(workload, registry=REGISTRY in mounted):
            return None, None
        volumes = [_volume(name, path, read_only=False) for path, name in mounted.items()]
        files = self._once(
            f"{workload.name}-files",
            command=place_files(workload),
            volumes=volumes,
            uploads=[docker.ContainerUploadArgs(file=FILES, content=joined(workload))] if workload.files else None,
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )
        if not workload.secrets:
            return files, None
        secrets = self._once(
            f"{workload.name}-secrets",
            command=place_secrets(workload),
            volumes=[_volume(mounted[CONFIG], CONFIG, read_only=False)],
            uploads=[
                docker.ContainerUploadArgs(
                    file=f"{SEED}/{path}", content=secret_file(ref, self._secrets), permissions="0400"
                )
                for path, ref in sorted(workload.secrets.items())
            ],
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True, depends_on=[files]),
        )
        return files, secrets

    def _once(self, name: str, **inputs: Any) -> docker.Container:
        """A container that runs to its end as root, with no network and the few capabilities it needs."""
        version = self._settings.versions.get(PREPARE.name, PREPARE.version)
        return docker.Container(
            name,
            name=self._name(name),
            image=self._image(replace(PREPARE, version=version)),
            user="0:0",
            network_mode="none",
            security_opts=[NO_NEW_RIGHTS],
            **_limits(MEMORY),
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=list(CAPABILITIES)),
            restart="no",
            attach=True,
            must_run=False,
            # Not the workload's labels: another version would replace it, and a filter by name would find it too.
            labels=_labels(part_of(name)),
            **inputs,
        )

    def _volumes(self, workload: Workload, parent: pulumi.Resource) -> dict[str, pulumi.Input[str]]:
        """Names of the volumes by where they are mounted. None has labels: a changed one would replace the volume."""
        mounted: dict[str, pulumi.Input[str]] = {}
        if workload.files or workload.secrets:
            name = f"{workload.name}-config"
            mounted[CONFIG] = docker.Volume(
                name, name=self._name(name), opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True)
            ).name
        if workload.volume:
            # Docker does not limit sizes.
            name = f"{workload.name}-data"
            mounted[DATA] = docker.Volume(name, name=self._name(name), opts=self._kept(parent)).name
        if extras(workload).registry:
            mounted[REGISTRY] = self._registry.name
        return mounted

    @cached_property
    def _registry(self) -> docker.Volume:
        """What applications register. They may have it mounted while the stack goes."""
        return docker.Volume("registry", name=self._name("registry"), opts=self._kept(None))

    def _kept(self, parent: pulumi.Resource | None) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=parent, delete_before_replace=True, retain_on_delete=self._settings.docker.keep_volumes
        )

    def _networks(self, workload: Workload, *, outward: bool) -> list[docker.ContainerNetworksAdvancedArgs]:
        own = docker.ContainerNetworksAdvancedArgs(name=self._network.name, aliases=[workload.name])
        # No alias on networks that are not ours: `prometheus` may be somebody's there. The container's name resolves.
        others = self._settings.docker.networks if outward else ()
        return [own, *(docker.ContainerNetworksAdvancedArgs(name=name) for name in others)]

    def _ports(self, workload: Workload) -> list[docker.ContainerPortArgs]:
        return [
            docker.ContainerPortArgs(
                internal=port.number,
                external=port.number + self._settings.port_offset,
                ip=self._settings.bind,
                protocol=port.protocol,
            )
            # As the provider reads them back, or every refresh would find another order.
            for port in sorted(workload.ports, key=lambda port: port.number)
            if port.published
        ]


def _volume(name: pulumi.Input[str], path: str, *, read_only: bool) -> docker.ContainerVolumeArgs:
    return docker.ContainerVolumeArgs(volume_name=name, container_path=path, read_only=read_only or None)


def _mount(source: str, target: str, *, later: bool = False) -> docker.ContainerMountArgs:
    """Files of the host, read-only; `later`: with what is mounted there later, which takes a host that shares it."""
    return docker.ContainerMountArgs(
        type="bind",
        source=source,
        target=target,
        read_only=True,
        bind_options=docker.ContainerMountBindOptionsArgs(propagation="rslave") if later else None,
    )


def _kernel_log() -> docker.ContainerDeviceArgs:
    return docker.ContainerDeviceArgs(host_path="/dev/kmsg", container_path="/dev/kmsg", permissions="r")


def _limits(memory: int) -> dict[str, Any]:
    """What every container has: `memory` MiB and no swap, and logs that are rotated."""
    return {
        "memory": memory,
        # Unless swap is named too, the engine makes up a number, and every preview shows that as a change.
        "memory_swap": memory,
        "log_driver": "json-file",
        "log_opts": {"max-size": "10m", "max-file": "3"},
    }


def _health(check: list[str], start_seconds: int) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=check,
        interval=go_duration(ASK_SECONDS),
        timeout=go_duration(ASK_SECONDS),
        retries=3,
        start_period=go_duration(start_seconds),
    )


def _labels(named: Mapping[str, pulumi.Input[str]]) -> list[docker.ContainerLabelArgs]:
    return [docker.ContainerLabelArgs(label=label, value=value) for label, value in named.items()]


def _shares(cpu: str) -> int:
    """Kubernetes' `100m` as Docker's relative weight, where 1024 is one processor."""
    return int(cpu.removesuffix("m")) * 1024 // 1000 if cpu.endswith("m") else int(float(cpu) * 1024)
