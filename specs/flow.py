"""The vocabulary of who talks to whom: plain values, and how people read them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KUBELET = 10250
"""The kubelet's port, on the node."""


@dataclass(frozen=True, order=True, slots=True)
class Reach:
    """A port of a flow's target."""

    number: int
    """0: every port of the protocol."""
    protocol: Literal["tcp", "udp"] = "tcp"

    def __str__(self) -> str:
        return f"{self.number or 'every'}/{self.protocol}"


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """Every replica of a workload of the stack."""

    name: str
    namespace: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, order=True, slots=True)
class Pods:
    """Pods that are not the stack's."""

    namespace: str = ""
    """Empty: every one but the stack's."""
    labels: tuple[tuple[str, str], ...] = ()
    """What they carry; none: all of them."""

    def __str__(self) -> str:
        where = f"namespace {self.namespace}" if self.namespace else "every namespace"
        marked = ", ".join(f"{name}={value}" for name, value in self.labels)
        return f"pods with {marked} of {where}" if marked else where


@dataclass(frozen=True, order=True, slots=True)
class Net:
    """Addresses, of what is no pod, or cannot be told by labels."""

    ranges: tuple[str, ...]

    def __str__(self) -> str:
        return "anywhere" if self == ANYWHERE else ", ".join(self.ranges)


End = Part | Pods | Net
"""One side of a flow."""

ANYWHERE = Net(("0.0.0.0/0", "::/0"))
"""Every address but those that a node has for itself (NEVER)."""
NEVER = {"0.0.0.0/0": ("169.254.0.0/16",), "::/0": ("fd00:ec2::/32", "fe80::/10")}
"""What `anywhere` does not mean: addresses by which a cloud tells its machines their passwords."""
EVERY_POD = Pods()
CLIENT = ("observability/client", "true")
"""Label of pods that may dial every published port of the stack, also of parts that ask nobody who they are."""
EVERY_TCP = (Reach(0),)
API_SERVER = (Reach(443), Reach(6443))
"""The usual ports of API servers: of their Service, and of most of them themselves."""
WEB = (Reach(80), Reach(443))
NAME_SERVERS = (Pods("kube-system"), Net(("169.254.20.10/32", "169.254.169.254/32")))
"""CoreDNS or kube-dns; NodeLocal DNSCache; GKE's Cloud DNS."""
DNS = (Reach(53), Reach(53, "udp"))
IDENTITY = (
    (Net(("169.254.169.254/32", "169.254.170.23/32")), (Reach(80),)),
    (Net(("169.254.169.252/32",)), (Reach(988),)),
    (ANYWHERE, (Reach(443),)),
)
"""Who says which identity of a cloud a pod has: machines' metadata, EKS' agent, GKE's; and the cloud's own token service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """Connections that are needed: from `source` to `ports` of `target`."""

    source: End
    target: End
    ports: tuple[Reach, ...]
    why: str
    """For people."""


_KINDS: tuple[type[End], ...] = (Part, Pods, Net)


def _order(flow: Flow) -> tuple[object, ...]:
    return (_KINDS.index(type(flow.source)), flow.source, _KINDS.index(type(flow.target)), flow.target)


def merged(flows: Iterable[Flow]) -> tuple[Flow, ...]:
    """One flow for each pair of ends, with the ports and reasons of all, in the order that people look for."""
    found: dict[tuple[End, End], list[Flow]] = {}
    for flow in flows:
        found.setdefault((flow.source, flow.target), []).append(flow)
    made = [
        Flow(
            source=source,
            target=target,
            ports=_ports(port for flow in same for port in flow.ports),
            why="; ".join(dict.fromkeys(flow.why for flow in same)),
        )
        for (source, target), same in found.items()
    ]
    return tuple(sorted(made, key=_order))


def _ports(ports: Iterable[Reach]) -> tuple[Reach, ...]:
    """Each once, and none that another holds."""
    found = set(ports)
    every = {port.protocol for port in found if not port.number}
    return tuple(sorted(port for port in found if not port.number or port.protocol not in every))


def table(flows: Iterable[Flow]) -> str:
    """Flows as a table of Markdown; sources that need the same share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for flow in merged(flows):
        needs = (str(flow.target), ", ".join(map(str, flow.ports)), flow.why)
        rows.setdefault(needs, []).append(str(flow.source))
    lines = [f"| {', '.join(sources)} | {' | '.join(needs)} |" for needs, sources in rows.items()]
    return "\n".join(("| from | to | ports | why |", "|---|---|---|---|", *lines)) + "\n"
