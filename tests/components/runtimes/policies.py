"""Says whether NetworkPolicies let a connection through, by the rules of Kubernetes' own documentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]
"""A NetworkPolicy as a manifest."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod, as policies see it."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    namespace_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    address: str = ""
    """Empty: no range of addresses holds it, as on networks for which pods have no addresses."""
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """Those with names."""


@dataclass(frozen=True)
class Outside:
    """Something that is no pod."""

    address: str


Host = Pod | Outside


@dataclass(frozen=True)
class _Connection:
    source: Host
    target: Host
    port: int
    protocol: str


def allowed(policies: Sequence[Policy], source: Host, target: Host, port: int, protocol: str = "TCP") -> bool:
    """Whether `source` may connect to `port` of `target`: it may leave there, and enter here."""
    wanted = _Connection(source, target, port, protocol)
    leaves = not isinstance(source, Pod) or _may(policies, "Egress", source, target, wanted)
    enters = not isinstance(target, Pod) or _may(policies, "Ingress", target, source, wanted)
    return leaves and enters


def selecting(policies: Sequence[Policy], pod: Pod) -> list[Policy]:
    """The policies that are about `pod`."""
    return [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and _selects(policy["spec"].get("podSelector", {}), pod.labels)
    ]


def _may(policies: Sequence[Policy], direction: str, pod: Pod, other: Host, wanted: _Connection) -> bool:
    mine = [policy for policy in selecting(policies, pod) if direction in _types(policy["spec"])]
    if not mine:
        # Nothing isolates it in this direction.
        return True
    rules, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return any(
        _holds_peer(rule.get(peers), policy["metadata"]["namespace"], other) and _holds_port(rule.get("ports"), wanted)
        for policy in mine
        for rule in policy["spec"].get(rules) or ()
    )


def _types(spec: Mapping[str, Any]) -> Sequence[str]:
    """What a policy is about; where it does not say so, ingress always, and egress if it has rules for it."""
    return spec.get("policyTypes") or (["Ingress", "Egress"] if "egress" in spec else ["Ingress"])


def _holds_peer(peers: Sequence[Mapping[str, Any]] | None, namespace: str, other: Host) -> bool:
    return not peers or any(_is_peer(peer, namespace, other) for peer in peers)


def _is_peer(peer: Mapping[str, Any], namespace: str, other: Host) -> bool:
    if "ipBlock" in peer:
        return _in_block(peer["ipBlock"], other.address)
    if not isinstance(other, Pod):
        return False
    where = (
        _selects(peer["namespaceSelector"], other.namespace_labels)
        if "namespaceSelector" in peer
        else other.namespace == namespace
    )
    return where and _selects(peer.get("podSelector", {}), other.labels)


def _in_block(block: Mapping[str, Any], address: str) -> bool:
    if not address:
        return False
    found = ip_address(address)
    return found in ip_network(block["cidr"]) and not any(found in ip_network(each) for each in block.get("except", ()))


def _holds_port(ports: Sequence[Mapping[str, Any]] | None, wanted: _Connection) -> bool:
    return not ports or any(_is_port(each, wanted) for each in ports)


def _is_port(port: Mapping[str, Any], wanted: _Connection) -> bool:
    if port.get("protocol", "TCP") != wanted.protocol:
        return False
    number = port.get("port")
    if number is None:
        return True
    if isinstance(number, str):
        return isinstance(wanted.target, Pod) and wanted.target.ports.get(number) == wanted.port
    return bool(number <= wanted.port <= port.get("endPort", number))


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions", ())
    )


def _holds(wanted: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(wanted["key"])
    match wanted["operator"]:
        case "In":
            return value in wanted["values"]
        case "NotIn":
            return value not in wanted["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case unknown:
            raise AssertionError(unknown)
