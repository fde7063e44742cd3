"""Alertmanager: who is told."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from specs import history, links, messages, routing
from specs.alertmanager_alerts import NAME, PORT, monitoring
from specs.inbox import NAME as INBOX
from specs.model import Secret, SettingsError, key_path
from specs.monitoring import to_yaml
from specs.part import Context
from specs.programs import ALERTMANAGER
from specs.routing import DEAD_MANS_SWITCH, NOBODY, WATCHDOG, Route, SystemRoutes, Tree
from specs.settings import KEY, MuteTime, Receiver
from specs.workload import CONFIG, DATA, Check, Identity, Port, Probe, Reload, Resources, SecretRef, Volume, Workload

__all__ = ["NAME", "PORT", "WATCHDOG", "configuration", "monitoring", "tree", "workload"]

GOSSIP = 9094
NO_ROUTES: Mapping[str, SystemRoutes] = MappingProxyType({})


def _secret_path(receiver: str, channel: str) -> str:
    return f"secrets/{receiver}-{channel}"


def _receiver(name: str, receiver: Receiver) -> tuple[dict[str, Any], dict[str, SecretRef]]:
    """Alertmanager's form of a receiver, and the secret files it reads (paths relative to its configuration)."""
    spec: dict[str, Any] = {"name": name}
    secrets: dict[str, SecretRef] = {}

    def secret(channel: str, value: Secret) -> str:
        path = _secret_path(name, channel)
        secrets[path] = value.ref
        return f"{CONFIG}/{path}"

    if receiver.webhook:
        url = receiver.webhook.url
        address = {"url": url} if isinstance(url, str) else {"url_file": secret("webhook", url)}
        spec["webhook_configs"] = [{**address, "send_resolved": True}]
    if receiver.slack:
        spec["slack_configs"] = [
            {
                "api_url_file": secret("slack", receiver.slack.url),
                "channel": receiver.slack.channel,
                "send_resolved": True,
                **messages.SLACK,
            }
        ]
    if receiver.pagerduty:
        key = secret("pagerduty", receiver.pagerduty.routing_key)
        spec["pagerduty_configs"] = [{"routing_key_file": key, "send_resolved": True, **messages.PAGERDUTY}]
    if receiver.email:
        mail = receiver.email
        spec["email_configs"] = [
            {
                "to": mail.to,
                "from": mail.from_,
                "smarthost": mail.smarthost,
                "require_tls": True,
                "send_resolved": True,
                **({"auth_username": mail.username} if mail.username else {}),
                **({"auth_password_file": secret("email", mail.password)} if mail.password else {}),
                **messages.EMAIL,
            }
        ]
    return spec, secrets


def tree(context: Context, inbox: str | None, routes: Mapping[str, SystemRoutes] = NO_ROUTES) -> Tree:
    """Who is told: the routes of the stack and those of its systems' profiles.

    Raises SettingsError for a receiver or a mute time that the stack does not declare.
    """
    alerting = context.settings.alerting
    known = ", ".join(sorted(alerting.receivers)) or "none, since no receivers are declared"

    def named(name: str, system: str) -> str:
        if name in alerting.receivers or (inbox and not alerting.receivers):
            return name
        if not system:
            at = key_path(f"{KEY}.alerting", next(at for found, at in alerting.named() if found == name))
            raise SettingsError(f'{context.file}: {at}: "{name}" is not a receiver (accepted: {known})')
        if alerting.stand_in:
            return alerting.stand_in
        raise SettingsError(
            f"{context.file}: {KEY}.alerting.receivers.{name}: required by the routes of {system}.yaml, but missing"
            f" (accepted: a receiver of that name, or one of {known} as stand_in for what profiles name)"
        )

    for system, own in routes.items():
        for time in (name for names in own.mute.values() for name in names):
            if time not in alerting.mute_times:
                raise SettingsError(
                    f"{context.file}: {KEY}.alerting.mute_times.{time}: required by the routes of {system}.yaml, but"
                    " missing (accepted: hours of some days)"
                )
    default = named(alerting.default, "") if alerting.default else INBOX if inbox else NOBODY
    return routing.tree(alerting, routes, default=default, named=named)


def _route(route: Route) -> dict[str, Any]:
    """Alertmanager's form of a route."""
    return {
        **({"receiver": route.receiver} if route.receiver else {}),
        **({"matchers": [str(matcher) for matcher in route.matchers]} if route.matchers else {}),
        **({"continue": True} if route.continues else {}),
        **({"group_by": list(route.group_by)} if route.group_by else {}),
        **({"group_wait": route.wait} if route.wait else {}),
        **({"group_interval": route.interval} if route.interval else {}),
        **({"repeat_interval": route.repeat} if route.repeat else {}),
        **({"mute_time_intervals": list(route.mute)} if route.mute else {}),
        **({"routes": [_route(inner) for inner in route.routes]} if route.routes else {}),
    }


def _mute_time(time: MuteTime) -> dict[str, Any]:
    """Alertmanager's form of a mute time; it knows no times over midnight."""
    over = time.from_ > time.to
    ranges = [("00:00", time.to), (time.from_, "24:00")] if over else [(time.from_, time.to)]
    return {
        "times": [{"start_time": start, "end_time": end} for start, end in ranges if start != end],
        **({"weekdays": list(time.weekdays)} if time.weekdays else {}),
        "location": time.location,
    }


def configuration(
    context: Context, inbox: str | None, routes: Mapping[str, SystemRoutes] = NO_ROUTES
) -> tuple[dict[str, Any], dict[str, SecretRef]]:
    """Alertmanager's configuration and the secrets it reads from files.

    `inbox` is the base URL of the stack's own inbox: it takes what no receiver of the settings does.
    """
    alerting = context.settings.alerting
    who = tree(context, inbox, routes)
    receivers: list[dict[str, Any]] = []
    secrets: dict[str, SecretRef] = {}
    for name, receiver in alerting.receivers.items():
        spec, files = _receiver(name, receiver)
        receivers.append(spec)
        secrets |= files
    own = dict.fromkeys(route.receiver for route in routing.walk(who.root) if route.receiver)
    for name in own:
        if name in who.silent:
            receivers.append({"name": name})
        elif name not in alerting.receivers and name != DEAD_MANS_SWITCH:
            receivers.append({"name": name, "webhook_configs": [{"url": f"{inbox}/alerts", "send_resolved": True}]})
    beat: dict[str, Any] = {"name": DEAD_MANS_SWITCH}
    if alerting.dead_mans_switch:
        spec, files = _receiver(DEAD_MANS_SWITCH, Receiver(webhook=alerting.dead_mans_switch))
        # A resolved message would count as a beat at some services.
        spec["webhook_configs"][0]["send_resolved"] = False
        beat, secrets = spec, secrets | files
    elif inbox:
        beat["webhook_configs"] = [{"url": f"{inbox}/beat", "send_resolved": False}]
    receivers.append(beat)
    times = [
        {"name": name, "time_intervals": [_mute_time(time) for time in times]}
        for name, times in alerting.mute_times.items()
    ]
    return {
        "global": {"resolve_timeout": "5m"},
        "templates": [messages.FILE],
        "route": _route(who.root),
        "inhibit_rules": [
            {
                "name": rule.name,
                "source_matchers": [str(matcher) for matcher in rule.source],
                "target_matchers": [str(matcher) for matcher in rule.target],
                "equal": list(rule.equal),
            }
            for rule in who.inhibitions
        ],
        **({"time_intervals": times} if times else {}),
        "receivers": receivers,
        **history.alertmanager_config(context),
    }, secrets


def _gossip(context: Context) -> tuple[str, ...]:
    """How replicas find each other, so that each notification is sent once and a silence holds at all of them."""
    replicas = context.scale.alertmanager
    if replicas == 1:
        # An empty address also keeps the port shut.
        return ("--cluster.listen-address=",)
    return (
        f"--cluster.listen-address={context.addresses.listen(GOSSIP)}",
        # By itself it would look for a private address, and find none on clusters that have others.
        f"--cluster.advertise-address=[$(POD_IP)]:{GOSSIP}",
        # Addresses of pods are used again: another stack's must not be joined by accident.
        f"--cluster.label={NAME}.{context.settings.kubernetes.namespace}",
        # A replica comes back at another address: where it was counts as lost for six hours otherwise.
        "--cluster.reconnect-timeout=5m",
        *(f"--cluster.peer={peer}" for peer in context.addresses.each(NAME, GOSSIP, replicas)),
    )


def workload(context: Context, inbox: str | None, *, routes: Mapping[str, SystemRoutes] = NO_ROUTES) -> Workload:
    """Alertmanager with the routes of the settings, and those of the profiles of systems by the system's name."""
    config, secrets = configuration(context, inbox, routes)
    several = context.scale.alertmanager > 1
    return Workload(
        name=NAME,
        program=context.program(ALERTMANAGER),
        summary="groups alerts and tells people",
        ports=(
            Port(name="http", number=PORT, published=True),
            *(
                (Port(name="gossip", number=GOSSIP), Port(name="gossip-udp", number=GOSSIP, protocol="udp"))
                if several
                else ()
            ),
        ),
        args=(
            f"--config.file={CONFIG}/alertmanager.yml",
            f"--storage.path={DATA}",
            # How often silences, and who was told what, are written down: a crash loses what came after.
            "--data.maintenance-interval=1m",
            f"--web.listen-address={context.addresses.listen(PORT)}",
            f"--web.external-url={links.public_url(context, NAME) or 'http://' + context.addresses.outside(NAME, PORT)}",
            *_gossip(context),
            *history.ALERTMANAGER_ARGS,
        ),
        files={"alertmanager.yml": to_yaml(config), messages.FILE: messages.TEMPLATES},
        secrets=secrets,
        probe=Probe(port="http", path="/-/ready"),
        checks=(Check(("amtool", "check-config", "alertmanager.yml")),),
        reload=Reload(
            port="http",
            metric="alertmanager_config_last_reload_successful",
            timestamp_metric="alertmanager_config_last_reload_success_timestamp_seconds",
        ),
        resources=Resources(memory="128Mi", cpu="50m"),
        volume=Volume("1Gi"),
        extras=(Identity(),) if several else (),
        replicas=context.scale.alertmanager,
        peers=("gossip", "gossip-udp") if several else (),
        page="/#/alerts",
    )
