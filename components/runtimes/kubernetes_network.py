"""What may talk to what on the network of a cluster: nothing, but for the flows of the model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import pulumi
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking

from components.runtimes.containers import labels, part_of, selector
from specs.flow import NEVER, End, Flow, Net, Part, Pods, Reach
from specs.flows import flows, namespace_of
from specs.stack import Stack
from specs.workload import Workload

NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""Label that every namespace has, with its name."""


def declare(stack: Stack, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()) -> None:
    """Declare the policies of `stack`: one that denies everything in each of its namespaces, and one for each part.

    Nothing where the settings want none.
    """
    settings = stack.context.settings
    if not settings.kubernetes.network_policies:
        return
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on))
    own = tuple(dict.fromkeys(namespace_of(workload, settings.kubernetes) for workload in stack.workloads))
    for namespace in own:
        networking.NetworkPolicy(
            f"{namespace}-deny",
            metadata=meta.ObjectMetaArgs(name="deny", namespace=namespace, labels=part_of("deny")),
            # An empty selector is every pod; both types without a rule allow nothing.
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=meta.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
            ),
            opts=opts,
        )
    needed = _Policies(stack, own)
    for workload in stack.workloads:
        needed.declare(workload, opts)


class _Policies:
    def __init__(self, stack: Stack, own: Sequence[str]) -> None:
        self._settings = stack.context.settings
        self._workloads = {workload.name: workload for workload in stack.workloads}
        self._own = sorted(own)
        self._inward, self._outward = _needs(flows(stack))

    def declare(self, workload: Workload, opts: pulumi.ResourceOptions) -> None:
        """The policy of one part."""
        namespace = namespace_of(workload, self._settings.kubernetes)
        part = Part(workload.name, namespace)
        networking.NetworkPolicy(
            f"{workload.name}-network",
            metadata=meta.ObjectMetaArgs(name=workload.name, namespace=namespace, labels=labels(workload)),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=meta.LabelSelectorArgs(match_labels=selector(workload)),
                # Without rules, both types deny. An empty list would not be kept, and so be set anew each time.
                policy_types=["Ingress", "Egress"],
                ingress=[
                    networking.NetworkPolicyIngressRuleArgs(from_=peers, ports=ports)
                    for peers, ports in self._rules(namespace, self._inward.get(part, {}))
                ]
                or None,
                egress=[
                    networking.NetworkPolicyEgressRuleArgs(to=peers, ports=ports)
                    for peers, ports in self._rules(namespace, self._outward.get(part, {}))
                ]
                or None,
            ),
            opts=opts,
        )

    def _rules(
        self, namespace: str, needed: Mapping[tuple[Reach, ...], list[End]]
    ) -> list[tuple[list[networking.NetworkPolicyPeerArgs], list[networking.NetworkPolicyPortArgs]]]:
        return [
            ([*self._peers(namespace, ends)], [_port(port) for port in ports]) for ports, ends in sorted(needed.items())
        ]

    def _peers(self, namespace: str, ends: Iterable[End]) -> Iterator[networking.NetworkPolicyPeerArgs]:
        """What `ends` are to a policy in `namespace`. Whole namespaces of others share one."""
        named: list[str] = []
        for end in ends:
            match end:
                case Part(name, where):
                    pods = meta.LabelSelectorArgs(match_labels=selector(self._workloads[name]))
                    elsewhere = _namespaces("In", [where]) if where != namespace else None
                    yield networking.NetworkPolicyPeerArgs(namespace_selector=elsewhere, pod_selector=pods)
                case Pods(where, ()) if where:
                    named.append(where)
                case Pods(where, marked):
                    yield networking.NetworkPolicyPeerArgs(
                        # Parts of the stack are allowed by name, or not at all.
                        namespace_selector=_namespaces("In", [where]) if where else _namespaces("NotIn", self._own),
                        pod_selector=meta.LabelSelectorArgs(match_labels=dict(marked)) if marked else None,
                    )
                case Net(ranges):
                    for each in ranges:
                        block = networking.IPBlockArgs(cidr=each, except_=list(NEVER.get(each, ())) or None)
                        yield networking.NetworkPolicyPeerArgs(ip_block=block)
        if named:
            yield networking.NetworkPolicyPeerArgs(namespace_selector=_namespaces("In", named))


_Needs = dict[End, dict[tuple[Reach, ...], list[End]]]
"""By an end, the ports of its flows, and the other ends: those that share ports share a rule."""


def _needs(every: Iterable[Flow]) -> tuple[_Needs, _Needs]:
    """What ends are dialled by, and what they dial."""
    inward: _Needs = {}
    outward: _Needs = {}
    for flow in every:
        inward.setdefault(flow.target, {}).setdefault(flow.ports, []).append(flow.source)
        outward.setdefault(flow.source, {}).setdefault(flow.ports, []).append(flow.target)
    return inward, outward


def _namespaces(operator: Literal["In", "NotIn"], names: Sequence[str]) -> meta.LabelSelectorArgs:
    if operator == "In" and len(names) == 1:
        return meta.LabelSelectorArgs(match_labels={NAME_OF_NAMESPACE: names[0]})
    chosen = meta.LabelSelectorRequirementArgs(key=NAME_OF_NAMESPACE, operator=operator, values=sorted(names))
    return meta.LabelSelectorArgs(match_expressions=[chosen])


def _port(port: Reach) -> networking.NetworkPolicyPortArgs:
    return networking.NetworkPolicyPortArgs(protocol=port.protocol.upper(), port=port.number or None)
