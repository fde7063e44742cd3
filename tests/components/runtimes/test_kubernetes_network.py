"""NetworkPolicies: what may talk to what, judged by an evaluator over the manifests."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from components.manifests import manifests
from components.runtimes.kubernetes_network import NAME_OF_NAMESPACE
from specs.flow import ANYWHERE, CLIENT, NEVER, End, Flow, Net, Part, Pods
from specs.flows import flows, namespace_of
from specs.settings import load
from specs.stack import Stack, build
from tests.components.runtimes.policies import Host, Outside, Pod, Policy, allowed, selecting
from tests.specs.support import EVERY_RECEIVER, ROOT, whole

SHOP = Pod(namespace="shop", labels={"app": "shop"}, namespace_labels={NAME_OF_NAMESPACE: "shop"}, address="10.1.9.9")
CLIENT_POD = Pod(
    namespace="shop",
    labels=dict([CLIENT]),
    namespace_labels={NAME_OF_NAMESPACE: "shop"},
    address="10.1.9.8",
)
DNS_POD = Pod(
    namespace="kube-system", namespace_labels={NAME_OF_NAMESPACE: "kube-system"}, labels={"k8s-app": "kube-dns"}
)
INTERNET = Outside("203.0.113.7")
METADATA = Outside("169.254.169.254")
STACKS = ("small", "medium", "large", "everything")
"""The project's production stack in each size, and one with each optional part."""


@cache
def _stack(name: str) -> Stack:
    if name != "everything":
        sized = load(ROOT / "Pulumi.prod.yaml").model_copy(update={"size": name})
        return build(sized, file="Pulumi.prod.yaml")
    return whole(
        runtime="kubernetes",
        elk=True,
        apm=True,
        errors="glitchtip",
        alerting=EVERY_RECEIVER,
        kubernetes={"ingress": {"hosts": {"grafana": "grafana.example.com"}, "controller": ["edge"]}},
    )


@cache
def _objects(name: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(yaml.load(text, Loader=yaml.CSafeLoader) for text in manifests(_stack(name)).values())


@cache
def _policies(name: str) -> tuple[Policy, ...]:
    """The policies of a stack, as manifests."""
    return tuple(found for found in _objects(name) if found["kind"] == "NetworkPolicy")


def _pods(name: str, *, replica: int = 0, addresses: bool = True) -> dict[str, Pod]:
    """A pod of each part, by the templates of the manifests. `addresses` says whether the network takes pods for
    addresses, too."""
    placed = [found for found in _objects(name) if "template" in found.get("spec", {})]
    return {
        found["metadata"]["name"]: Pod(
            namespace=found["metadata"]["namespace"],
            labels=found["spec"]["template"]["metadata"]["labels"],
            namespace_labels={NAME_OF_NAMESPACE: found["metadata"]["namespace"]},
            address=f"10.1.{replica}.{index + 1}" if addresses else "",
        )
        for index, found in enumerate(placed)
    }


def _ports(stack: Stack) -> Iterator[tuple[str, int, str]]:
    """Every port of every program, by the part that it belongs to."""
    for workload in stack.workloads:
        for program in (workload, *workload.beside):
            yield from ((workload.name, port.number, port.protocol) for port in program.ports)


def _has(found: Sequence[Flow], source: End, target: End, port: int, protocol: str) -> bool:
    return any(
        flow.source == source
        and flow.target == target
        and any(reach.protocol == protocol and reach.number in {0, port} for reach in flow.ports)
        for flow in found
    )


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("addresses", [False, True])
def test_two_parts_may_talk_exactly_when_there_is_a_flow(name: str, *, addresses: bool) -> None:
    """For each pair of parts and each port, a replica of one may dial one of the other if the model has a flow there,
    and may not if it has none: on networks that take pods for addresses, and on those that do not."""
    stack = _stack(name)
    found = flows(stack)
    sources, targets = (_pods(name, replica=replica, addresses=addresses) for replica in (0, 1))
    assert sources.keys() == stack.names
    about = {part: selecting(_policies(name), pod) for part, pod in sources.items()}
    needed = others = 0
    for source, (target, port, protocol) in itertools.product(sources, _ports(stack)):
        ends = Part(source, sources[source].namespace), Part(target, targets[target].namespace)
        wanted = _has(found, *ends, port, protocol)
        policies = [*about[source], *about[target]]
        got = allowed(policies, sources[source], targets[target], port, protocol.upper())
        assert got == wanted, f"{source} → {target}:{port}/{protocol} is {'allowed' if got else 'denied'}"
        needed, others = needed + wanted, others + (not wanted)

    assert needed > len(stack.workloads)
    assert others > needed


def test_a_rule_too_many_or_too_few_is_noticed() -> None:
    """What the proof above compares differs as soon as a policy does: it can fail."""
    pods, policies = _pods("small"), _policies("small")
    without = [each for each in policies if each["metadata"]["name"] != "loki"]
    anybody: Policy = {"metadata": {"namespace": "observability"}, "spec": {"podSelector": {}, "ingress": [{}]}}
    opened = [*policies, anybody]

    assert allowed(policies, pods["collector"], pods["loki"], 3100)
    assert not allowed(without, pods["collector"], pods["loki"], 3100)
    assert not allowed(policies, pods["collector"], pods["loki"], 9095)
    assert not allowed(opened, pods["collector"], pods["loki"], 9095)
    assert not allowed(policies, SHOP, pods["loki"], 3100)
    assert allowed(opened, SHOP, pods["loki"], 3100)


@pytest.mark.parametrize("name", STACKS)
def test_other_pods_may_dial_what_is_for_them(name: str) -> None:
    """A pod of an application dials what takes telemetry or has a login; with the label of clients every published
    port, and no other. The internet dials what has a host outside, where nobody said who stands before it."""
    stack = _stack(name)
    found, pods = flows(stack), _pods(name)
    for part, port, protocol in _ports(stack):
        end = Part(part, pods[part].namespace)
        everybody = _has(found, Pods(), end, port, protocol)
        marked = everybody or _has(found, Pods(labels=(CLIENT,)), end, port, protocol)
        entered = _has(found, ANYWHERE, end, port, protocol)
        published = any(each.published and each.number == port for each in stack.workload(part).ports)
        for source, wanted in ((SHOP, everybody), (CLIENT_POD, marked), (INTERNET, entered), (METADATA, False)):
            assert allowed(_policies(name), source, pods[part], port, protocol.upper()) == wanted, (part, port, source)
        assert marked == published

    assert allowed(_policies(name), SHOP, pods["collector"], 4318)
    assert not allowed(_policies(name), SHOP, pods["prometheus"], 9090)


def _matches(end: End, host: Host) -> bool:
    """Whether a flow's end is `host`."""
    match end:
        case Pods(namespace, marked):
            return (
                isinstance(host, Pod) and namespace in {"", host.namespace} and set(marked) <= set(host.labels.items())
            )
        case Net(ranges):
            at = ip_address(host.address) if host.address else None
            return at is not None and any(
                at in ip_network(each) and not any(at in ip_network(never) for never in NEVER.get(each, ()))
                for each in ranges
            )
        case Part():
            return False


@pytest.mark.parametrize("name", STACKS)
def test_parts_may_leave_exactly_where_a_flow_goes(name: str) -> None:
    """From each part to an application, to DNS, to the internet and to the addresses by which clouds hand out
    passwords, at ports that mean something: allowed exactly when a flow goes there."""
    stack = _stack(name)
    found = flows(stack)
    outside: tuple[Host, ...] = (SHOP, DNS_POD, INTERNET, METADATA, Outside("169.254.20.10"))
    left = 0
    for source, pod in _pods(name).items():
        mine = [flow for flow in found if flow.source == Part(source, pod.namespace)]
        for host, port, protocol in itertools.product(
            outside, (53, 80, 443, 587, 988, 5432, 6379, 6443, 8000, 9200, 10250), ("tcp", "udp")
        ):
            wanted = any(
                _matches(flow.target, host)
                and any(reach.protocol == protocol and reach.number in {0, port} for reach in flow.ports)
                for flow in mine
            )
            got = allowed(_policies(name), pod, host, port, protocol.upper())
            assert got == wanted, f"{source} → {host}:{port}/{protocol} is {'allowed' if got else 'denied'}"
            left += wanted

    assert left


def test_nothing_that_is_started_by_hand_is_open() -> None:
    """A pod that the model does not know may neither dial nor be dialled in the stack's namespaces."""
    stack, pods = _stack("small"), _pods("small")
    for namespace in ("observability", "observability-node"):
        stranger = Pod(
            namespace=namespace,
            labels={"app": "debug"},
            namespace_labels={NAME_OF_NAMESPACE: namespace},
            address="10.1.7.7",
        )
        for part, port, protocol in _ports(stack):
            pod = pods[part]
            assert not allowed(_policies("small"), stranger, pod, port, protocol.upper())
            assert not allowed(_policies("small"), pod, stranger, port, protocol.upper())
        assert not allowed(_policies("small"), stranger, INTERNET, 443)
        assert not allowed(_policies("small"), SHOP, stranger, 4318)


def test_people_come_in_by_the_controller_alone() -> None:
    """The namespace of the ingress controller may dial the page of a host, at its port, and no other part."""
    edge, pods = Pod(namespace="edge", namespace_labels={NAME_OF_NAMESPACE: "edge"}), _pods("everything")

    assert allowed(_policies("everything"), edge, pods["grafana"], 3000)
    assert not allowed(_policies("everything"), edge, pods["prometheus"], 9090)
    assert not allowed(_policies("everything"), edge, pods["grafana"], 3001)


def test_each_policy_is_valid_and_strict() -> None:
    """Kubernetes' own schema accepts each, every part has one, and each namespace one that denies everything."""
    stack = _stack("everything")
    for policy in _policies("everything"):
        kubernetes_validate.validate(dict(policy), "1.34", strict=True)
    named = {(policy["metadata"]["namespace"], policy["metadata"]["name"]) for policy in _policies("everything")}
    settings = stack.context.settings

    assert named == {
        *((namespace_of(workload, settings.kubernetes), workload.name) for workload in stack.workloads),
        ("observability", "deny"),
        ("observability-node", "deny"),
    }
    for policy in _policies("everything"):
        spec = cast("dict[str, Any]", policy["spec"])
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert bool(spec["podSelector"]) != (policy["metadata"]["name"] == "deny")


def test_a_stack_may_have_none() -> None:
    """network_policies: false leaves the network as it is."""
    stack = whole(runtime="kubernetes", kubernetes={"network_policies": False}, alerting=EVERY_RECEIVER)

    assert not any(file.startswith("networkpolicy") for file in manifests(stack))


# The evaluator itself, against the examples of https://kubernetes.io/docs/concepts/services-networking/network-policies/.


def _policy(name: str, **spec: Any) -> Policy:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


DOCUMENTED = _policy(
    "test-network-policy",
    podSelector={"matchLabels": {"role": "db"}},
    policyTypes=["Ingress", "Egress"],
    ingress=[
        {
            "from": [
                {"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}},
                {"namespaceSelector": {"matchLabels": {"project": "myproject"}}},
                {"podSelector": {"matchLabels": {"role": "frontend"}}},
            ],
            "ports": [{"protocol": "TCP", "port": 6379}],
        }
    ],
    egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}], "ports": [{"protocol": "TCP", "port": 5978}]}],
)
DB = Pod(namespace="default", labels={"role": "db"}, ports={"redis": 6379})
FRONTEND = Pod(namespace="default", labels={"role": "frontend"})
PROJECT = Pod(namespace="mine", namespace_labels={"project": "myproject"})


def test_the_evaluator_reads_the_documented_policy_as_documented() -> None:
    """The documentation's own example: who may dial the database's pods, and what they may dial."""
    wanted: tuple[tuple[Host, int, str, bool], ...] = (
        (FRONTEND, 6379, "TCP", True),
        (FRONTEND, 6380, "TCP", False),
        (FRONTEND, 6379, "UDP", False),
        (PROJECT, 6379, "TCP", True),
        (Pod(namespace="other", labels={"role": "frontend"}), 6379, "TCP", False),
        (Outside("172.17.0.1"), 6379, "TCP", True),
        (Outside("172.17.2.255"), 6379, "TCP", True),
        (Outside("172.17.1.7"), 6379, "TCP", False),
        (Outside("10.0.0.1"), 6379, "TCP", False),
    )
    for source, port, protocol, answer in wanted:
        assert allowed([DOCUMENTED], source, DB, port, protocol) is answer, (source, port)
    assert allowed([DOCUMENTED], DB, Outside("10.0.0.9"), 5978)
    assert not allowed([DOCUMENTED], DB, Outside("10.0.1.9"), 5978)
    assert not allowed([DOCUMENTED], DB, Outside("10.0.0.9"), 5979)
    # Pods that no policy selects are as they were, and so is the same policy elsewhere.
    assert allowed([DOCUMENTED], FRONTEND, PROJECT, 80)
    assert allowed([DOCUMENTED], PROJECT, Pod(namespace="mine", labels={"role": "db"}), 80)


def test_the_evaluator_knows_both_meanings_of_two_selectors() -> None:
    """Two selectors in one entry mean both; in two entries either, as the documentation warns."""
    both = _policy(
        "both",
        podSelector={},
        ingress=[
            {
                "from": [
                    {
                        "namespaceSelector": {"matchLabels": {"user": "alice"}},
                        "podSelector": {"matchLabels": {"role": "client"}},
                    }
                ]
            }
        ],
    )
    either = _policy(
        "either",
        podSelector={},
        ingress=[
            {
                "from": [
                    {"namespaceSelector": {"matchLabels": {"user": "alice"}}},
                    {"podSelector": {"matchLabels": {"role": "client"}}},
                ]
            }
        ],
    )
    alice = Pod(namespace="alice", namespace_labels={"user": "alice"})
    client = Pod(namespace="default", labels={"role": "client"})
    both_of_them = Pod(namespace="alice", namespace_labels={"user": "alice"}, labels={"role": "client"})

    assert [allowed([both], source, DB, 1) for source in (alice, client, both_of_them)] == [False, False, True]
    assert [allowed([either], source, DB, 1) for source in (alice, client, both_of_them)] == [True, True, True]


def test_the_evaluator_knows_the_documented_defaults() -> None:
    """Deny all, allow all, policies that add up, and types that are not named."""
    deny_in = _policy("deny-in", podSelector={}, policyTypes=["Ingress"])
    allow_in = _policy("allow-in", podSelector={}, policyTypes=["Ingress"], ingress=[{}])
    deny_out = _policy("deny-out", podSelector={}, policyTypes=["Egress"])
    deny_all = _policy("deny-all", podSelector={}, policyTypes=["Ingress", "Egress"])
    implied = _policy("implied", podSelector={}, egress=[{}])

    assert not allowed([deny_in], FRONTEND, DB, 80)
    assert allowed([deny_in, allow_in], FRONTEND, DB, 80)
    assert allowed([deny_in], DB, PROJECT, 80)
    assert not allowed([deny_out], DB, PROJECT, 80)
    assert allowed([deny_out], PROJECT, DB, 80)
    assert not allowed([deny_all], DB, INTERNET, 443)
    assert not allowed([deny_all], PROJECT, DB, 443)
    # Rules for egress alone isolate from ingress as well, where no types are named.
    assert not allowed([implied], PROJECT, DB, 80)
    assert allowed([implied], DB, PROJECT, 80)


def test_the_evaluator_knows_ranges_and_names_of_ports_and_expressions() -> None:
    """A range of ports, a port by the name that the target's pod gives it, a port of any number, and each operator."""
    ports = _policy(
        "ports",
        podSelector={"matchExpressions": [{"key": "role", "operator": "Exists"}]},
        ingress=[
            {"ports": [{"port": 32000, "endPort": 32768}, {"port": "redis"}, {"protocol": "UDP"}]},
        ],
    )
    assert [allowed([ports], PROJECT, DB, port) for port in (31999, 32000, 32768, 32769, 6379, 6380)] == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]
    assert allowed([ports], PROJECT, DB, 1, "UDP")
    operators = {
        ("In", ("a",)): (True, False),
        ("NotIn", ("a",)): (False, True),
        ("Exists", ()): (True, False),
        ("DoesNotExist", ()): (False, True),
    }
    for (operator, values), answers in operators.items():
        wanted = {"key": "k", "operator": operator, **({"values": list(values)} if values else {})}
        chosen = _policy(
            "chosen", podSelector={}, ingress=[{"from": [{"podSelector": {"matchExpressions": [wanted]}}]}]
        )
        pods = (Pod(namespace="default", labels={"k": "a"}), Pod(namespace="default"))
        assert tuple(allowed([chosen], pod, DB, 1) for pod in pods) == answers, operator
