"""What may talk to what on the network of a cluster: nothing, but for the flows of the model."""

from collections.abc import Iterable, Sequence

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
    own = tuple(dict.fromkeys(namespace_of(workload, settings) for workload in stack.workloads))
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
        self._flows = flows(stack)

    def declare(self, workload: Workload, opts: pulumi.ResourceOptions) -> None:
        """The policy of one part."""
        namespace = namespace_of(workload, self._settings)
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
                    for peers, ports in self._rules(namespace, _by_ports(self._flows, target=part))
                ]
                or None,
                egress=[
                    networking.NetworkPolicyEgressRuleArgs(to=peers, ports=ports)
                    for peers, ports in self._rules(namespace, _by_ports(self._flows, source=part))
                ]
                or None,
            ),
            opts=opts,
        )

    def _rules(
        self, namespace: str, needed: Iterable[tuple[tuple[Reach, ...], list[End]]]
    ) -> list[tuple[list[networking.NetworkPolicyPeerArgs], list[networking.NetworkPolicyPortArgs]]]:
        return [
            ([peer for end in ends for peer in self._peers(namespace, end)], [_port(port) for port in ports])
            for ports, ends in needed
        ]

    def _peers(self, namespace: str, end: End) -> list[networking.NetworkPolicyPeerArgs]:
        """What `end` is to a policy in `namespace`."""
        match end:
            case Part(name, where):
                pods = meta.LabelSelectorArgs(match_labels=selector(self._workloads[name]))
                elsewhere = _named(where) if where != namespace else None
                return [networking.NetworkPolicyPeerArgs(namespace_selector=elsewhere, pod_selector=pods)]
            case Pods(where, marked):
                chosen = meta.LabelSelectorArgs(match_labels=dict(marked)) if marked else None
                # Parts of the stack are allowed by name, or not at all.
                others = _named(where) if where else _not_named(self._own)
                return [networking.NetworkPolicyPeerArgs(namespace_selector=others, pod_selector=chosen)]
            case Net(ranges):
                return [
                    networking.NetworkPolicyPeerArgs(
                        ip_block=networking.IPBlockArgs(cidr=each, except_=list(NEVER.get(each, ())) or None)
                    )
                    for each in ranges
                ]


def _by_ports(
    every: Iterable[Flow], *, source: Part | None = None, target: Part | None = None
) -> list[tuple[tuple[Reach, ...], list[End]]]:
    """The other ends of the flows from `source`, or to `target`: those that share ports share a rule."""
    found: dict[tuple[Reach, ...], list[End]] = {}
    for flow in every:
        if source is not None and flow.source == source:
            found.setdefault(flow.ports, []).append(flow.target)
        if target is not None and flow.target == target:
            found.setdefault(flow.ports, []).append(flow.source)
    return sorted(found.items())


def _named(namespace: str) -> meta.LabelSelectorArgs:
    return meta.LabelSelectorArgs(match_labels={NAME_OF_NAMESPACE: namespace})


def _not_named(namespaces: Sequence[str]) -> meta.LabelSelectorArgs:
    return meta.LabelSelectorArgs(
        match_expressions=[
            meta.LabelSelectorRequirementArgs(key=NAME_OF_NAMESPACE, operator="NotIn", values=list(namespaces))
        ]
    )


def _port(port: Reach) -> networking.NetworkPolicyPortArgs:
    return networking.NetworkPolicyPortArgs(protocol=port.protocol.upper(), port=port.number or None)
