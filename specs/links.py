"""The way in from outside of a cluster: which parts have a host there, and who asks people who they are."""

from collections.abc import Mapping, Sequence

from specs.model import SettingsError
from specs.part import Context
from specs.settings import KEY, Ingress
from specs.workload import SecretRef, Workload

LOGINS = frozenset({"grafana", "glitchtip", "kibana", "elasticsearch", "apm-server"})
"""Parts that ask themselves who somebody is."""
TAKERS = frozenset({"collector", "logstash"})
"""Parts that take telemetry in, and answer no questions about it."""
USERS = "auth"
"""Key of the Secret of `users`, as ingress-nginx wants it."""
ISSUERS = ("cert-manager.io/cluster-issuer", "cert-manager.io/issuer")
"""Annotations by which cert-manager makes a certificate for an Ingress."""
_NO_PAGES = frozenset({"logstash"})
"""Parts whose main port does not speak HTTP."""


def ingress(context: Context) -> Ingress | None:
    """How parts are reached from outside; None where nothing is, or there is no cluster."""
    return context.settings.kubernetes.ingress if context.on_cluster else None


def hosts(context: Context) -> Mapping[str, str]:
    """Host by part, of those that are reached from outside of the cluster."""
    asked = ingress(context)
    return asked.hosts if asked else {}


def public_url(context: Context, part: str) -> str | None:
    """The URL by which people open `part` from outside of the cluster, without a slash at its end; None: they cannot."""
    host = hosts(context).get(part)
    return f"https://{host}" if host else None


def secrets(context: Context) -> tuple[SecretRef, ...]:
    """Secrets of the way in."""
    asked = ingress(context)
    return (asked.users.ref,) if asked and asked.users else ()


def asks(part: str) -> bool:
    """Whether `part` has a login of its own."""
    return part in LOGINS


def controllers(asked: Ingress) -> tuple[str, ...]:
    """Namespaces and ranges of addresses that requests from outside come from; none: anywhere."""
    if not asked.controller and asked.gateway:
        return (asked.gateway.partition("/")[0],)
    return asked.controller


def refuse(context: Context, workloads: Sequence[Workload]) -> None:
    """Ways in that lead nowhere, or to a part that shows everything to everybody.

    Raises SettingsError naming the key.
    """
    settings = context.settings.kubernetes
    here = f"{context.file}: {KEY}.kubernetes"
    names = {workload.name for workload in workloads}
    for name in settings.dials:
        if name not in names:
            accepted = ", ".join(sorted(names))
            raise SettingsError(f"{here}.dials.{name}: not a part of this stack (accepted: {accepted})")
    asked = ingress(context)
    if asked is None:
        return
    parts = sorted(
        workload.name for workload in workloads if workload.ports[0].published and workload.name not in _NO_PAGES
    )
    for part in asked.hosts:
        if part not in parts:
            raise SettingsError(
                f"{here}.ingress.hosts.{part}: no page of this stack has that name (accepted: {', '.join(parts)})"
            )
    open_to_all = [part for part in asked.hosts if not asks(part)]
    if not open_to_all:
        return
    if not (asked.users or asked.guard or asked.filter or asked.trusted):
        ways = "filter" if asked.kind == "gateway" else "users or guard"
        raise SettingsError(
            f"{here}.ingress.hosts.{open_to_all[0]}: has no login of its own, so everybody could read it (accepted:"
            f" {ways} to ask who they are, or trusted: true where something before it does)"
        )
    if settings.network_policies and not controllers(asked):
        raise SettingsError(
            f"{here}.ingress.controller: required for {open_to_all[0]}, which has no login of its own: it would be"
            " dialled from anywhere past what asks (accepted: the controller's namespace, like [ingress-nginx], or ranges"
            " of a load balancer's addresses)"
        )
    existing = settings.secrets.get(asked.users.secret) if asked.users else None
    if existing and existing.key != USERS:
        raise SettingsError(
            f'{here}.secrets.{asked.users.secret if asked.users else ""}.key: "{existing.key}" is not where'
            f" ingress-nginx looks (accepted: {USERS})"
        )
