"""The vocabulary of what runs: plain values, the same for every runtime.

Every workload finds the same three directories beside each other, whatever the runtime, and is started inside
its data directory. Paths in arguments and files are therefore relative, and the files are the same bytes
everywhere (docs/decisions/002-relative-paths.md):

    <workload>/config   files and secrets, replaced by a deployment          CONFIG
    <workload>/data     the working directory; survives a deployment         DATA
    ../registry         shared: what applications register (scrape targets, log files)   REGISTRY

On Kubernetes a workload may have replicas, peers and programs beside it (docs/kubernetes.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CONFIG = "../config"
DATA = "."
REGISTRY = "../../registry"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """The name of a secret. Its value exists only at the edge, as an `Output`."""

    key: str
    template: str = ""
    """Text of the file around the secret, where a program wants more than the bare value: `$secret` becomes the
    value as a JSON string (which is good Python and YAML too). Empty: the file holds the value alone."""
    generated: bool = False
    """Whether a runtime may make up a random value, once, when the stack names none."""
    others: tuple[str, ...] = ()
    """Names of further secrets of the same file. In its template `${<name>}`, of these and of `key`, becomes the value
    as it stands, for forms that know no quotes."""

    def each(self) -> tuple["SecretRef", ...]:
        """This one and the further ones, each as something that needs a value."""
        return (self, *(SecretRef(name) for name in self.others))


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Software: what containers pull and what processes execute."""

    name: str
    image: str
    """Repository of the container image, without a tag; empty where the program runs as a process only."""
    version: str
    """Tag of the image, as its registry spells it."""
    binary: str
    """Executable of the process runtime, found by `tools.native` or in the virtual environment."""
    entrypoint: tuple[str, ...] = ()
    """What a container executes, where the image's own entry point would not do; arguments follow."""
    user: int = 65534
    """User and group that containers and pods run as."""
    behind: str = ""
    """Executable that `binary`, a launcher of ours, becomes: the process runtime hands its path on as last argument,
    since the PATH of what keeps programs running may be older than the user's."""
    client: Literal["", "wget", "curl"] = ""
    """HTTP client inside the image, with which a container can ask itself whether it is healthy; empty: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A port a workload listens on. The number is the one inside its own network."""

    name: str
    number: int
    protocol: Literal["tcp", "udp"] = "tcp"
    published: bool = False
    """Whether people or applications outside the stack's own network dial it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """Healthy means: GET `path` on the port called `port` answers 200. A program that speaks no HTTP has `command`."""

    port: str
    path: str = "/"
    command: tuple[str, ...] = ()
    """What is run inside, in the data directory, instead of asking by HTTP: exit status 0 means healthy."""
    start_seconds: int = 60
    """How long a start may take before it counts as failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reload:
    """How a running program takes a new configuration, and how it says that it did.

    POST `path` on port `port`; then `metric` must be 1 and `<metric>` with its timestamp suffix must have moved.
    The convention is Prometheus', Alertmanager's and the blackbox exporter's own.
    """

    port: str
    path: str = "/-/reload"
    metric: str
    timestamp_metric: str


@dataclass(frozen=True, slots=True)
class Check:
    """The program's own checker, run inside a directory that holds the workload's files.

    `argv[0]` is an executable's name. Exit status 0 means that the files are good.
    """

    argv: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one replica may take."""

    memory: str
    """Limit and request, in Kubernetes' form: `256Mi`."""
    cpu: str
    """Request, in Kubernetes' form: `100m`."""
    processors: float = 1.0
    """Most processors it may use on Docker, where everything shares a developer's machine."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Storage for the data directory."""

    size: str
    """Kubernetes' form: `20Gi`."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Extra: the workload sees the shared registry directory (REGISTRY)."""


@dataclass(frozen=True, slots=True)
class HostView:
    """Extra: the workload measures the host it runs on and sees its root filesystem read-only at /host."""


@dataclass(frozen=True, slots=True)
class HostPaths:
    """Extra: the workload sees paths of the host, read-only."""

    paths: tuple[tuple[str, str], ...]
    """Path on the host and path inside, both absolute."""


@dataclass(frozen=True, slots=True)
class Outward:
    """Extra: the workload dials what is monitored or is dialled by it, and so joins the networks of applications."""


@dataclass(frozen=True, slots=True)
class KernelLog:
    """Extra: the workload reads the kernel's log at /dev/kmsg, where out-of-memory kills are told."""


@dataclass(frozen=True, slots=True)
class EveryNode:
    """Extra: on a cluster, one of it runs on every node, in the namespace of what sees its node (as with HostView).

    HostPaths are allowed for such a workload only."""


@dataclass(frozen=True, slots=True)
class NodeData:
    """Extra: what runs on every node keeps its data in the directory `path` of the node, which outlives the pod."""

    path: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Extra: on a cluster, the variables POD_NAME, POD_NAMESPACE, POD_IP and NODE_NAME say which replica this is.

    Arguments may use them as `$(POD_NAME)`; files only where the program itself expands variables."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiRule:
    """What a workload may do with objects of a cluster, in RBAC's words."""

    groups: tuple[str, ...] = ("",)
    resources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("get", "list", "watch")
    urls: tuple[str, ...] = ()
    """Paths that are no object's, such as `/metrics`; a rule has either these or resources."""


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Extra: on a cluster, the workload asks the API server, and may do what `rules` say in every namespace. Whatever
    has no such extra has no token."""

    rules: tuple[ApiRule, ...]


@dataclass(frozen=True, slots=True)
class Dials:
    """Extra: on a cluster, the workload may dial any address at `ports`, since which one it is only a secret has, or
    what people enter later."""

    ports: tuple[int, ...]
    why: str
    """For people: what is dialled."""


@dataclass(frozen=True, slots=True)
class AnyFile:
    """Extra: on a cluster, a workload that runs as root reads files whoever owns them and whatever their mode."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Extra: on a cluster, the old replica has ended before a new one starts, since both at once would tell everything
    twice."""


Extra = (
    Registry
    | HostView
    | HostPaths
    | Outward
    | KernelLog
    | EveryNode
    | NodeData
    | Identity
    | ApiAccess
    | Dials
    | AnyFile
    | Alone
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One long-running program, described the same way for every runtime."""

    name: str
    program: Program
    ports: tuple[Port, ...]
    """The first is the main one: its URL is what a person opens."""
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path under CONFIG → text. Never a secret."""
    secrets: Mapping[str, SecretRef] = field(default_factory=dict[str, SecretRef])
    """Path under CONFIG → secret, a file that only the program may read."""
    probe: Probe
    checks: tuple[Check, ...] = ()
    reload: Reload | None = None
    """None: a new configuration takes a restart."""
    resources: Resources
    volume: Volume | None = None
    scratch: tuple[str, ...] = ()
    """Absolute paths inside the image that the program writes to and need not keep; /tmp is always one."""
    extras: tuple[Extra, ...] = ()
    replicas: int = 1
    """How many of it run, on Kubernetes; elsewhere it is one."""
    sticky: bool = False
    """Whether one client is answered by one replica, on Kubernetes, since what replicas know differs a little."""
    stop_seconds: int = 60
    """How long it may take to end in order, before it is killed, on Kubernetes."""
    peers: tuple[str, ...] = ()
    """Names of ports at which replicas talk to each other. Each replica then keeps a name of its own
    (`Addresses.each`), and all of them are found under one (`Addresses.peers`)."""
    dials: tuple[str, ...] = ()
    """`host:port` of workloads that it finds by other means than an address in its files: they gossip."""
    beside: tuple["Workload", ...] = ()
    """Programs that run in the same pod, on Kubernetes only. Each has files and ports of its own, and sees this
    workload's data directory as its own; it is dialled as this workload, by its own ports. No volume, no extras."""
    summary: str = ""
    """One line for people: what this part is for."""
    page: str = "/"
    """Path of the page that a person opens on the main port."""

    @property
    def on_nodes(self) -> bool:
        """Whether, on a cluster, one of it runs on every node, in the namespace of what sees its node."""
        return any(isinstance(extra, HostView | EveryNode) for extra in self.extras)

    def port(self, name: str) -> Port:
        """The port called `name`; KeyError when there is none."""
        for port in self.ports:
            if port.name == name:
                return port
        raise KeyError(f"{self.name} has no port {name!r}")
