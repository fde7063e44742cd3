"""Alertmanager: who is told."""

from typing import Any

from specs.model import Secret
from specs.monitoring import Alert, RuleGroup, to_yaml
from specs.part import Context, Monitoring
from specs.programs import ALERTMANAGER
from specs.settings import Receiver, Severity
from specs.workload import CONFIG, DATA, Check, Port, Probe, Reload, Resources, SecretRef, Volume, Workload

NAME = "alertmanager"
PORT = 9093
DEAD_MANS_SWITCH = "dead-mans-switch"
WATCHDOG = "Watchdog"


def monitoring(context: Context) -> Monitoring:
    """How Alertmanager is watched."""
    return Monitoring(
        jobs=(context.job(NAME, PORT),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="AlertmanagerConfigReloadFailed",
                        expr="alertmanager_config_last_reload_successful == 0",
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="Alertmanager runs on an old configuration",
                        description="The last reload of {{ $labels.instance }} failed: new routes and receivers are not in effect (successful is {{ $value }}).",
                        action="Read Alertmanager's log for the line it refuses, mend the stack file, deploy again.",
                    ),
                    Alert(
                        name="AlertmanagerNotificationsFailing",
                        expr="""
sum by (app, environment, instance, integration, service) (rate(alertmanager_notifications_failed_total[5m]))
/
sum by (app, environment, instance, integration, service) (rate(alertmanager_notifications_total[5m]) > 0)
> $threshold""",
                        threshold=0.01,
                        for_="10m",
                        severity=Severity.CRITICAL,
                        summary="Notifications by {{ $labels.integration }} do not arrive",
                        description="{{ $value | humanizePercentage }} of the notifications by {{ $labels.integration }} failed in 5 minutes (limit $threshold).",
                        action="Read Alertmanager's log: it names the receiver and the answer it got. Check the secret and the address.",
                    ),
                ),
            ),
        ),
    )


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
                "title": "{{ .CommonAnnotations.summary }}",
                "text": "{{ range .Alerts }}{{ .Annotations.description }}\n{{ .Annotations.runbook_url }}\n{{ end }}",
            }
        ]
    if receiver.pagerduty:
        spec["pagerduty_configs"] = [
            {"routing_key_file": secret("pagerduty", receiver.pagerduty.routing_key), "send_resolved": True}
        ]
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
            }
        ]
    return spec, secrets


def configuration(context: Context, inbox: str | None) -> tuple[dict[str, Any], dict[str, SecretRef]]:
    """Alertmanager's configuration and the secrets it reads from files.

    `inbox` is the base URL of the stack's own inbox: it takes what no receiver of the settings does.
    """
    alerting = context.settings.alerting
    receivers: list[dict[str, Any]] = []
    secrets: dict[str, SecretRef] = {}
    for name, receiver in alerting.receivers.items():
        spec, files = _receiver(name, receiver)
        receivers.append(spec)
        secrets |= files
    default = alerting.default
    if default is None:
        default = "inbox" if inbox else "nobody"
        receivers.append(
            {
                "name": default,
                **({"webhook_configs": [{"url": f"{inbox}/alerts", "send_resolved": True}]} if inbox else {}),
            }
        )
    beat: dict[str, Any] = {"name": DEAD_MANS_SWITCH}
    if alerting.dead_mans_switch:
        spec, files = _receiver(DEAD_MANS_SWITCH, Receiver(webhook=alerting.dead_mans_switch))
        # A resolved message would count as a beat at some services.
        spec["webhook_configs"][0]["send_resolved"] = False
        beat, secrets = spec, secrets | files
    elif inbox:
        beat["webhook_configs"] = [{"url": f"{inbox}/beat", "send_resolved": False}]
    receivers.append(beat)
    routes: list[dict[str, Any]] = [
        {
            "receiver": DEAD_MANS_SWITCH,
            "matchers": [f'alertname = "{WATCHDOG}"'],
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1m",
            # Alertmanager drops a repeat that comes earlier than this; a little under the group interval makes every beat count.
            "repeat_interval": "50s",
        }
    ]
    for severity, names in alerting.routes.items():
        routes += [
            {"receiver": name, "matchers": [f'severity = "{severity.value}"'], "continue": index + 1 < len(names)}
            for index, name in enumerate(names)
        ]
    grouping = alerting.grouping
    return {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": default,
            "group_by": list(grouping.by),
            "group_wait": grouping.wait,
            "group_interval": grouping.interval,
            "repeat_interval": grouping.repeat,
            "routes": routes,
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity = "critical"'],
                "target_matchers": ['severity =~ "warning|info"'],
                "equal": ["alertname", "cluster", "app", "service", "instance"],
            }
        ],
        "receivers": receivers,
    }, secrets


def workload(context: Context, inbox: str | None) -> Workload:
    """Alertmanager with the routes of the settings."""
    config, secrets = configuration(context, inbox)
    return Workload(
        name=NAME,
        program=context.program(ALERTMANAGER),
        summary="groups alerts and tells people",
        ports=(Port(name="http", number=PORT, published=True),),
        args=(
            f"--config.file={CONFIG}/alertmanager.yml",
            f"--storage.path={DATA}",
            f"--web.listen-address={context.addresses.listen(PORT)}",
            f"--web.external-url=http://{context.addresses.outside(NAME, PORT)}",
            # One replica does not gossip; an empty address also keeps port 9094 shut.
            "--cluster.listen-address=",
        ),
        files={"alertmanager.yml": to_yaml(config)},
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
        page="/#/alerts",
    )
