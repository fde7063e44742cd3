"""NetworkPolicies that hold: the node's packet filter drops what none of them allows, as a cluster's network would.

Where networks differ, it is as narrow as the narrowest: a block of addresses is no pod's address.
"""

import subprocess
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from threading import Event, Thread
from typing import Any

import httpx

from tests.cluster.network import Network
from tests.kubernetes.control_plane import ControlPlane
from tools import native

SECONDS = 0.5
"""How long a new pod may be without what it is allowed."""
_TABLE = "policies"
_Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with an address of its own."""

    address: str
    namespace: str
    labels: _Labels


def chosen(selector: Mapping[str, Any], labels: _Labels) -> bool:
    """Whether a label selector takes what has `labels`; an empty one takes everything."""
    required: dict[str, str] = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in required.items()):
        return False
    for each in selector.get("matchExpressions", []):
        key, values = each["key"], each.get("values", [])
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds[each["operator"]]:
            return False
    return True


def rules(
    policies: Sequence[Mapping[str, Any]], pods: Sequence[Pod], namespaces: Mapping[str, _Labels], network: Network
) -> str:
    """What `nft` reads: for each pod that a policy selects, what it may send and what it may get."""
    chains: list[str] = []
    jumps: list[str] = []
    for number, pod in enumerate(pods):
        own = [
            policy["spec"]
            for policy in policies
            if policy["metadata"]["namespace"] == pod.namespace and chosen(policy["spec"]["podSelector"], pod.labels)
        ]
        for kind, direction, other in (("Egress", "saddr", "daddr"), ("Ingress", "daddr", "saddr")):
            held = [spec for spec in own if kind in spec["policyTypes"]]
            if not held:
                continue
            allowed = [
                f"{who} {what} return"
                for spec in held
                for rule in spec.get(kind.lower(), [])
                for addresses in _peers(rule.get("to" if kind == "Egress" else "from"), pod, pods, namespaces)
                for who in _among(addresses, f"ip {other}", network)
                for what in _ports(rule.get("ports"))
            ]
            name = f"{kind.lower()}-{number}"
            chains.append(f"chain {name} {{\n" + "\n".join([*dict.fromkeys(allowed), "drop"]) + "\n}")
            jumps.append(f"ip {direction} {pod.address} jump {name}")
    # What comes from the node or the machine is kubelet's, or a test's; what goes to the node itself is not forwarded.
    always = f"ct state established,related accept\nip saddr {{ {network.machine}, {network.node} }} accept\n"
    hooks = "".join(
        f"chain {hook} {{\ntype filter hook {hook} priority 0\n{always}" + "\n".join(jumps) + "\n}\n"
        for hook in ("forward", "input")
    )
    # In one piece: what was there is replaced at once.
    whole = "\n".join(chains)
    return f"table inet {_TABLE} {{}}\ndelete table inet {_TABLE}\ntable inet {_TABLE} {{\n{whole}\n{hooks}}}\n"


def _peers(
    peers: Sequence[Mapping[str, Any]] | None, pod: Pod, pods: Sequence[Pod], namespaces: Mapping[str, _Labels]
) -> Iterable[Mapping[str, Any] | Sequence[str]]:
    """Blocks of addresses, and addresses of pods."""
    for peer in peers or ({"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}):
        if "ipBlock" in peer:
            yield peer["ipBlock"]
            continue
        among = peer.get("namespaceSelector")
        yield [
            other.address
            for other in pods
            if chosen(peer.get("podSelector", {}), other.labels)
            and (other.namespace == pod.namespace if among is None else chosen(among, namespaces[other.namespace]))
        ]


def _among(addresses: Mapping[str, Any] | Sequence[str], field: str, network: Network) -> Iterable[str]:
    """The filter's words for them; none for a block of the other family, and for no pods."""
    if not isinstance(addresses, Mapping):
        if addresses:
            yield f"{field} {{ {', '.join(addresses)} }}"
    elif ip_network(addresses["cidr"]).version == ip_network(network.pods).version:
        outside = ", ".join([*addresses.get("except", []), str(network.pods)])
        yield f"{field} {addresses['cidr']} {field} != {{ {outside} }}"


def _ports(ports: Sequence[Mapping[str, Any]] | None) -> Iterable[str]:
    if not ports:
        yield ""
    for each in ports or ():
        protocol = each.get("protocol", "TCP").lower()
        last = f"-{each['endPort']}" if "endPort" in each else ""
        yield f"{protocol} dport {int(each['port'])}{last}" if "port" in each else f"meta l4proto {protocol}"


def _items(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(path).raise_for_status().json()["items"]
    return found


def _look(client: httpx.Client, network: Network) -> str:
    namespaces = {
        each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in _items(client, "/api/v1/namespaces")
    }
    pods = [
        Pod(each["status"]["podIP"], each["metadata"]["namespace"], each["metadata"].get("labels", {}))
        for each in _items(client, "/api/v1/pods")
        if each["status"].get("podIP") and ip_address(each["status"]["podIP"]) in network.pods
    ]
    return rules(_items(client, "/apis/networking.k8s.io/v1/networkpolicies"), pods, namespaces, network)


@contextmanager
def enforced(control: ControlPlane, network: Network, node: int) -> Generator[None]:
    """Enforce the cluster's policies in the network of the process `node`, as they and the pods change."""
    filters = native.ensure(["nft"])["nft"].path
    ended = Event()

    def follow() -> None:
        last = ""
        with control.client() as client:
            while not ended.wait(SECONDS):
                try:
                    now = _look(client, network)
                except httpx.HTTPError:
                    continue
                if now != last:
                    command = ["nsenter", f"--target={node}", "--net", str(filters), "--file=-"]
                    done = subprocess.run(command, input=now, text=True, capture_output=True, check=False)
                    if done.returncode != 0 and not ended.is_set():
                        print(done.stderr)
                    last = now

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
