"""How people reach the parts from outside of the cluster: an Ingress or an HTTPRoute for each host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking

from components.runtimes.containers import labels, part_of
from components.runtimes.secret_files import secret_file
from specs import links
from specs.settings import Ingress
from specs.stack import Stack
from specs.workload import Workload

_NGINX = "nginx.ingress.kubernetes.io/auth-"
_NAME = "ingress-users"


def declare(
    stack: Stack,
    secrets: Mapping[str, pulumi.Output[str]],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
) -> None:
    """Declare the way in to each part that has a host; nothing where the settings want none.

    `secrets` are the stack's, by key.
    """
    asked = links.ingress(stack.context)
    if asked is None:
        return
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on))
    declared = _route if asked.kind == "gateway" else _ingress
    door = _Door(
        asked=asked,
        namespace=stack.context.settings.kubernetes.namespace,
        users=_users(stack, asked, secrets, opts),
        opts=opts,
    )
    for part, host in asked.hosts.items():
        declared(door, stack.workload(part), host)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Door:
    """What all ways in have in common."""

    asked: Ingress
    namespace: str
    users: pulumi.Input[str] | None
    """Name of the Secret with who may open parts without a login."""
    opts: pulumi.ResourceOptions


def _users(
    stack: Stack, asked: Ingress, secrets: Mapping[str, pulumi.Output[str]], opts: pulumi.ResourceOptions
) -> pulumi.Input[str] | None:
    """The Secret with who may open parts without a login; None where no part asks for one."""
    if asked.users is None or all(links.asks(part) for part in asked.hosts):
        return None
    settings = stack.context.settings.kubernetes
    existing = settings.secrets.get(asked.users.secret)
    if existing:
        return existing.name
    ref = asked.users.ref
    made = core.Secret(
        _NAME,
        metadata=meta.ObjectMetaArgs(name=_NAME, namespace=settings.namespace, labels=part_of(_NAME)),
        # The controller follows what is in it: its name stays.
        string_data={links.USERS: secret_file(ref, secrets)},
        opts=opts,
    )
    return made.metadata.name


def _ingress(door: _Door, workload: Workload, host: str) -> None:
    asked, namespace = door.asked, door.namespace
    annotations: dict[str, pulumi.Input[str]] = {
        # Some controllers never say at which address they serve it, and Pulumi would wait for that.
        "pulumi.com/skipAwait": "true",
        **asked.annotations,
    }
    if not links.asks(workload.name):
        annotations |= asked.guard
        if door.users is not None:
            annotations |= {
                f"{_NGINX}type": "basic",
                f"{_NGINX}secret": door.users,
                f"{_NGINX}realm": f"{workload.name} of {namespace}",
            }
    made = any(name in asked.annotations for name in links.ISSUERS)
    port = workload.ports[0]
    networking.Ingress(
        f"{workload.name}-ingress",
        metadata=meta.ObjectMetaArgs(
            name=workload.name, namespace=namespace, labels=labels(workload), annotations=annotations
        ),
        spec=networking.IngressSpecArgs(
            ingress_class_name=asked.class_name,
            # Also without a Secret: the host is then served with the certificate that the controller has.
            tls=[
                networking.IngressTLSArgs(
                    hosts=[host], secret_name=asked.tls_secret or (f"{workload.name}-tls" if made else None)
                )
            ],
            rules=[
                networking.IngressRuleArgs(
                    host=host,
                    http=networking.HTTPIngressRuleValueArgs(
                        paths=[
                            networking.HTTPIngressPathArgs(
                                path="/",
                                path_type="Prefix",
                                backend=networking.IngressBackendArgs(
                                    service=networking.IngressServiceBackendArgs(
                                        name=workload.name,
                                        port=networking.ServiceBackendPortArgs(number=port.number),
                                    )
                                ),
                            )
                        ]
                    ),
                )
            ],
        ),
        opts=door.opts,
    )


def _route(door: _Door, workload: Workload, host: str) -> None:
    asked = door.asked
    where, _, gateway = (asked.gateway or "").partition("/")
    rule: dict[str, object] = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"name": workload.name, "port": workload.ports[0].number}],
    }
    if asked.filter and not links.asks(workload.name):
        named = {"group": asked.filter.group, "kind": asked.filter.kind, "name": asked.filter.name}
        rule["filters"] = [{"type": "ExtensionRef", "extensionRef": named}]
    CustomResource(
        f"{workload.name}-route",
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        metadata=meta.ObjectMetaArgs(
            name=workload.name,
            namespace=door.namespace,
            labels=labels(workload),
            annotations=dict(asked.annotations) or None,
        ),
        spec={
            # By the name of the listener: any other may be without TLS.
            "parentRefs": [{"namespace": where, "name": gateway, "sectionName": asked.listener}],
            "hostnames": [host],
            "rules": [rule],
        },
        opts=door.opts,
    )
