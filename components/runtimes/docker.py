"""The Docker runtime: workloads as containers of one Docker engine, on a network of their own."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property

import pulumi
import pulumi_docker as docker

from components.runtimes.containers import CONFIG, DATA, HOST, REGISTRY, labels
from components.runtimes.extras import extras
from components.runtimes.images import reference
from components.runtimes.secret_files import secret_file
from specs.addresses import Addresses
from specs.model import size_bytes
from specs.settings import Settings
from specs.stack import Stack
from specs.workload import Workload

STOP_SECONDS = 30
"""Without it the provider kills containers outright when it replaces them."""


def of(stack: Stack, secrets: Mapping[str, pulumi.Output[str]]) -> "DockerRuntime":
    """The runtime on the engine that Docker's own environment variables and contexts name."""
    return DockerRuntime(settings=stack.context.settings, addresses=stack.context.addresses, secrets=secrets)


def config_hash(workload: Workload) -> str:
    """Says whether two containers were given the same files; secrets have no part in it."""
    text = json.dumps({"files": dict(workload.files), "secrets": sorted(workload.secrets)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class DockerRuntime:
    """Containers on one network. Names of containers and volumes start with the network's."""

    def __init__(self, *, settings: Settings, addresses: Addresses, secrets: Mapping[str, pulumi.Output[str]]) -> None:
        self._settings = settings
        self._addresses = addresses
        self._secrets = secrets
        self._network = docker.Network("network", name=settings.docker.network)

    @property
    def home(self) -> str:
        """Empty: containers have no directory on this machine."""
        return ""

    def deploy(self, workload: Workload, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Declare one Container, and a Volume where data must survive it."""
        asked = extras(workload)
        volumes = self._volumes(workload, parent)
        # A new volume belongs to root and no image has a shell to change that, so what writes to one runs as root,
        # without a single capability: such a root may do no more to the system than any other user.
        user = 0 if volumes else workload.program.user
        memory = size_bytes(workload.resources.memory) // 2**20
        container = docker.Container(
            workload.name,
            name=self._name(workload.name),
            # Tags are fixed versions: nothing is missed by Docker's not noticing a tag that moves.
            image=reference(workload.program, self._settings.docker.registry),
            entrypoints=list(workload.program.entrypoint) or None,
            command=list(workload.args),
            working_dir=DATA,
            user=f"{user}:{user}",
            envs=[f"{name}={value}" for name, value in workload.environment.items()] or None,
            uploads=self._uploads(workload, user) or None,
            volumes=volumes or None,
            tmpfs=None if workload.volume else {DATA: f"uid={user},gid={user},mode=0700,size=64m"},
            mounts=[_host()] if asked.host else None,
            pid_mode="host" if asked.host else None,
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=self._network.name, aliases=[workload.name])],
            ports=self._ports(workload) or None,
            # Unless swap is named too, the engine makes up a number, and every preview shows that as a change.
            memory=memory,
            memory_swap=memory,
            cpu_shares=_shares(workload.resources.cpu),
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            restart="unless-stopped",
            # No health check: it would execute a command inside, and the images have neither shell nor client.
            # Whether a program is ready has to be asked from outside, which is another issue's work.
            must_run=True,
            destroy_grace_seconds=STOP_SECONDS,
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            labels=[
                docker.ContainerLabelArgs(label=label, value=value)
                for label, value in {**labels(workload), "observability/config-hash": config_hash(workload)}.items()
            ],
            # Two containers of one name cannot be.
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )
        url = f"http://{self._addresses.outside(workload.name, workload.ports[0].number)}"
        return container.id.apply(lambda _: url)

    def _name(self, name: str) -> str:
        return f"{self._settings.docker.network}-{name}"

    def _uploads(self, workload: Workload, user: int) -> list[docker.ContainerUploadArgs]:
        # One secret among them makes the engine treat the whole list as secret, so that no file of such a workload
        # shows in a diff. A workload without secrets keeps a list that people can read.
        return [
            *(
                docker.ContainerUploadArgs(file=f"{CONFIG}/{path}", content=text)
                for path, text in workload.files.items()
            ),
            *(
                docker.ContainerUploadArgs(
                    file=f"{CONFIG}/{path}",
                    content=secret_file(ref, self._secrets[ref.key]),
                    owner=str(user),
                    group=str(user),
                    permissions="0400",
                )
                for path, ref in workload.secrets.items()
            ),
        ]

    def _volumes(self, workload: Workload, parent: pulumi.Resource) -> list[docker.ContainerVolumeArgs]:
        mounted: list[docker.ContainerVolumeArgs] = []
        if workload.volume:
            # Without labels: a change of a label replaces a volume, and the data is gone. Docker does not limit sizes.
            name = f"{workload.name}-data"
            volume = docker.Volume(
                name, name=self._name(name), opts=pulumi.ResourceOptions(parent=parent, retain_on_delete=True)
            )
            mounted.append(docker.ContainerVolumeArgs(volume_name=volume.name, container_path=DATA))
        if extras(workload).registry:
            mounted.append(docker.ContainerVolumeArgs(volume_name=self._registry.name, container_path=REGISTRY))
        return mounted

    @cached_property
    def _registry(self) -> docker.Volume:
        """What applications register. They may have it mounted while the stack goes: so it stays, as their files do."""
        return docker.Volume(
            "registry", name=self._name("registry"), opts=pulumi.ResourceOptions(retain_on_delete=True)
        )

    def _ports(self, workload: Workload) -> list[docker.ContainerPortArgs]:
        return [
            docker.ContainerPortArgs(
                internal=port.number,
                external=port.number + self._settings.port_offset,
                ip="127.0.0.1",
                protocol=port.protocol,
            )
            for port in workload.ports
            if port.published
        ]


def _host() -> docker.ContainerMountArgs:
    """The host's files, read-only, with what is mounted there later."""
    return docker.ContainerMountArgs(
        type="bind",
        source="/",
        target=HOST,
        read_only=True,
        bind_options=docker.ContainerMountBindOptionsArgs(propagation="rslave"),
    )


def _shares(cpu: str) -> int:
    """Kubernetes' `100m` as Docker's relative weight, where 1024 is one processor."""
    return int(cpu.removesuffix("m")) * 1024 // 1000 if cpu.endswith("m") else int(float(cpu) * 1024)
