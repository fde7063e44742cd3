"""Stack files that are not acceptable: one clear line for each mistake, with file, key and what is accepted."""

from pathlib import Path
from typing import Any

import pytest

from specs.model import SettingsError, parse, seconds, size_bytes
from specs.settings import KEY, Severity, load
from specs.stack import build
from tests.specs.support import BASE, EVERY_RECEIVER, FILE, ROOT, complaint, settings, stack

DURATIONS = "(accepted: a number with ms, s, m, h, d, w or y, like 15s, 1h30m or 30d)"
MAPPING = "(accepted: a mapping, each entry as key: value)"
SWITCH = "is not true or false (accepted: true, false)"
TEXT = "(accepted: text; in quotes, where YAML takes it for something else)"
URLS = "(accepted: http://host/… or https://host/…)"


def _to(receiver: object, **more: object) -> dict[str, Any]:
    return {"alerting": {"receivers": {"team": receiver}, "default": "team", **more}}


def _redis(target: object) -> dict[str, Any]:
    return {"exporters": {"redis": {"targets": {"cache": target}}}}


HOOK = {"webhook": {"url": "http://hooks.example.com/a"}}

BAD: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "unknown key",
        {"retention": {"metric": "3d"}},
        (
            "retention.metric: unknown key (accepted: metrics, metrics_size, logs, log_archive, alert_history, traces);"
            " did you mean metrics?"
        ),
    ),
    (
        "unknown key that resembles none",
        {"links": {"xyz": 1}},
        "links.xyz: unknown key (accepted: runbooks)",
    ),
    (
        "unknown key at the top",
        {"retentions": {}},
        (
            "retentions: unknown key (accepted: environment, cluster, runtime, bind, port_offset,"
            " scrape_interval, scrape_limits, evaluation_interval,"
            " retention, log_files, exporters, systems, alerting, versions, grafana, elk, apm, errors,"
            " links, size, replicas, load, resources, volumes, object_storage, thanos, remote_write, traces, docker,"
            " kubernetes);"
            " did you mean retention?"
        ),
    ),
    ("a number for text", {"environment": 5}, f"environment: 5 is not text {TEXT}"),
    ("true for text", {"versions": {"loki": True}}, f"versions.loki: true is not text {TEXT}"),
    ("nothing for text", {"cluster": None}, "cluster: nothing stands here (accepted: text)"),
    (
        "text for a number",
        {"port_offset": "many"},
        'port_offset: "many" is not a whole number (accepted: a whole number)',
    ),
    (
        "text for a switch with settings",
        {"grafana": "maybe"},
        "grafana: text is neither of its values (accepted: true, false, or a mapping with its settings)",
    ),
    (
        "text for another switch",
        {"runtime": "docker", "elk": "yes please"},
        "elk: text is neither of its values (accepted: true, false, or a mapping with its settings)",
    ),
    ("text for a switch alone", {"grafana": {"run": "maybe"}}, f'grafana.run: "maybe" {SWITCH}'),
    (
        "a DSN in the clear",
        {"errors": "https://key@sentry.example.com/1"},
        "errors: none of its values (accepted: off, dsn, glitchtip, or a mapping with its settings)",
    ),
    (
        "true for errors",
        {"errors": True},
        "errors: none of its values (accepted: off, dsn, glitchtip, or a mapping with its settings)",
    ),
    (
        "nothing for a mapping",
        {"retention": None},
        (
            "retention: nothing stands here (accepted: a mapping with metrics, metrics_size, logs, log_archive,"
            " alert_history, traces)"
        ),
    ),
    ("a list for a mapping", {"exporters": ["node"]}, f"exporters: a list is not a mapping {MAPPING}"),
    (
        "text for a list",
        {"log_files": "/var/log/a"},
        'log_files: "/var/log/a" is not a list (accepted: a list, each entry after a dash)',
    ),
    (
        "none of the values",
        {"runtime": "podman"},
        'runtime: "podman" is none of its values (accepted: process, docker, kubernetes)',
    ),
    ("bad duration", {"retention": {"metrics": "15 d"}}, f'retention.metrics: "15 d" is not a duration {DURATIONS}'),
    (
        "duration with units out of order",
        {"scrape_interval": "1s1m"},
        f'scrape_interval: "1s1m" is not a duration {DURATIONS}',
    ),
    ("duration of nought", {"evaluation_interval": "0s"}, f'evaluation_interval: "0s" is not a duration {DURATIONS}'),
    (
        "logs for less than a day",
        {"retention": {"logs": "12h"}},
        'retention.logs: "12h" is too short, since Loki\'s index has a period of a day (accepted: at least 24h)',
    ),
    (
        "bad size",
        {"retention": {"metrics_size": "4GB"}},
        'retention.metrics_size: "4GB" is not a size (accepted: a number with Mi, Gi or Ti, at least 1Mi, like 20Gi)',
    ),
    (
        "size of nought",
        {"retention": {"metrics_size": "0Gi"}},
        'retention.metrics_size: "0Gi" is not a size (accepted: a number with Mi, Gi or Ti, at least 1Mi, like 20Gi)',
    ),
    (
        "bad name",
        {"environment": "Prod!"},
        'environment: "Prod!" is not a name (accepted: small letters, digits and dashes, at most 42)',
    ),
    (
        "address that the parts do not dial",
        {"bind": "10.0.0.5"},
        'bind: "10.0.0.5" is not an address to bind (accepted: 127.0.0.1, or 0.0.0.0 for all of this machine)',
    ),
    (
        "port offset out of bounds",
        {"port_offset": 50000},
        "port_offset: 50000 is out of bounds (accepted: at most 40000)",
    ),
    (
        "mirror with a scheme",
        {"runtime": "docker", "docker": {"registry": "https://mirror.example.com/hub"}},
        (
            'docker.registry: "https://mirror.example.com/hub" is no mirror'
            " (accepted: a host, its port and a path, like mirror.example.com:5000/hub)"
        ),
    ),
    (
        "mirror with a slash at its end",
        {"runtime": "docker", "docker": {"registry": "mirror.example.com/"}},
        (
            'docker.registry: "mirror.example.com/" is no mirror'
            " (accepted: a host, its port and a path, like mirror.example.com:5000/hub)"
        ),
    ),
    ("negative port offset", {"port_offset": -1}, "port_offset: -1 is out of bounds (accepted: at least 0)"),
    (
        "port beyond the last",
        {"port_offset": 10000, "exporters": {"node": {"port": 60000}}},
        "port_offset: node-exporter (http) would listen on 70000 (accepted: at most 65535)",
    ),
    (
        "unknown exporter",
        {"exporters": {"nod": {}}},
        "exporters.nod: unknown exporter (accepted: blackbox, cadvisor, celery, json, nginx, node, postgres, redis)",
    ),
    ("nothing for an exporter", {"exporters": {"node": None}}, f"exporters.node: nothing stands here {MAPPING}"),
    (
        "unknown key of an exporter",
        {"exporters": {"node": {"prt": 1}}},
        "exporters.node.prt: unknown key (accepted: port, targets, database_mounts); did you mean port?",
    ),
    (
        "misspelt key of an exporter's target",
        _redis({"adress": "a:1"}),
        (
            "exporters.redis.targets.cache.adress: unknown key (accepted: exporter, app, address, password);"
            " did you mean address?"
        ),
    ),
    (
        "target without an address",
        _redis({}),
        (
            "exporters.redis.targets.cache: a target is a server, or an exporter that already runs"
            " (accepted: either address or exporter)"
        ),
    ),
    (
        "missing key",
        {"log_files": [{"name": "a", "include": ["/a"]}]},
        "log_files[0].app: required, but missing (accepted: text)",
    ),
    (
        "bad address",
        _redis({"address": "cache:99999"}),
        (
            'exporters.redis.targets.cache.address: "cache:99999" is not an address (accepted:'
            " host:port, like 127.0.0.1:5432)"
        ),
    ),
    (
        "no target",
        {"exporters": {"redis": {"targets": {}}}},
        "exporters.redis.targets: nothing stands in it (accepted: at least 1)",
    ),
    (
        "a secret in the clear",
        _redis({"address": "a:1", "password": "hunter2"}),
        "exporters.redis.targets.cache.password: text is not accepted here (accepted: {secret: <its name>})",
    ),
    (
        "bad name of a secret",
        _redis({"address": "a:1", "password": {"secret": "Hunter 2"}}),
        (
            "exporters.redis.targets.cache.password.secret: not the name of a secret (accepted: small"
            " letters, digits and dashes, like smtp-password)"
        ),
    ),
    (
        "log files of one name",
        {"log_files": [{"name": "a", "app": "b", "include": ["/a"]}, {"name": "a", "app": "c", "include": ["/b"]}]},
        'log_files: "a" is a name twice (accepted: each name once)',
    ),
    (
        "log file of an unknown format",
        {"log_files": [{"name": "a", "app": "b", "include": ["/a"], "format": "xml"}]},
        (
            'log_files[0].format: "xml" is none of its values'
            " (accepted: json, text, nginx-access, nginx-error, postgres, redis)"
        ),
    ),
    (
        "log file without a glob",
        {"log_files": [{"name": "a", "app": "b", "include": []}]},
        "log_files[0].include: nothing stands in it (accepted: at least 1)",
    ),
    (
        "threshold of an alert without one",
        {"alerting": {"overrides": {"ServiceDown": {"threshold": 1}}}},
        "alerting.overrides.ServiceDown.threshold: this alert has no threshold (accepted: for, severity, disabled)",
    ),
    (
        "bad duration of an alert",
        {"alerting": {"overrides": {"ServiceDown": {"for": "1 m"}}}},
        (
            'alerting.overrides.ServiceDown.for: "1 m" is not a duration (accepted: a number with ms, s,'
            " m, h, d, w or y, like 0s or 10m)"
        ),
    ),
    (
        "a field's name in the place of its key",
        {"alerting": {"overrides": {"ServiceDown": {"for_": "1m"}}}},
        (
            "alerting.overrides.ServiceDown.for_: unknown key (accepted: threshold, for, severity,"
            " disabled); did you mean for?"
        ),
    ),
    (
        "unknown receiver in a route",
        _to(HOOK, routes={"critical": ["team", "pager"]}),
        'alerting.routes.critical[1]: "pager" is not a receiver (accepted: team)',
    ),
    (
        "unknown severity in a route",
        _to(HOOK, routes={"urgent": ["team"]}),
        'alerting.routes.urgent: "urgent" is none of its values (accepted: critical, warning, info)',
    ),
    (
        "unknown default",
        _to(HOOK, default="pager"),
        'alerting.default: "pager" is not a receiver (accepted: team)',
    ),
    (
        "unknown receiver of a service",
        _to(HOOK, services={"security": ["guards"]}),
        'alerting.services.security[0]: "guards" is not a receiver (accepted: team)',
    ),
    (
        "unknown backup",
        _to(HOOK, backup="pigeon"),
        'alerting.backup: "pigeon" is not a receiver (accepted: team)',
    ),
    (
        "unknown stand-in",
        _to(HOOK, stand_in="pigeon"),
        'alerting.stand_in: "pigeon" is not a receiver (accepted: team)',
    ),
    (
        "a name that every stack has",
        {"alerting": {"receivers": {"team": HOOK, "dashboards": HOOK}, "default": "team"}},
        'alerting.receivers.dashboards: "dashboards" is a receiver of every stack (accepted: another name)',
    ),
    (
        "bad time of day",
        _to(HOOK, mute_times={"nights": [{"from": "25:00"}]}),
        'alerting.mute_times.nights[0].from: "25:00" is not a time of day (accepted: "00:00" to "24:00", in quotes)',
    ),
    (
        "time of day without quotes",
        _to(HOOK, mute_times={"nights": [{"from": 1200}]}),
        (
            "alerting.mute_times.nights[0].from: 1200 is not text (accepted: text; in quotes, where YAML takes it for"
            " something else)"
        ),
    ),
    (
        "mute time without length",
        _to(HOOK, mute_times={"nights": [{"from": "08:00", "to": "08:00"}]}),
        'alerting.mute_times.nights[0].to: "08:00" is when it begins (accepted: another time)',
    ),
    (
        "receivers without default",
        {"alerting": {"receivers": {"team": HOOK}}},
        "alerting.default: required with receivers, but missing (accepted: team)",
    ),
    (
        "receiver without channel",
        _to({}),
        "alerting.receivers.team: a receiver needs at least one channel (accepted: webhook, slack, pagerduty, email)",
    ),
    (
        "receiver with an unknown channel",
        _to({"webhok": {"url": "http://a"}}),
        (
            "alerting.receivers.team.webhok: unknown key (accepted: webhook, slack, pagerduty, email);"
            " did you mean webhook?"
        ),
    ),
    (
        "nothing for a receiver",
        _to(None),
        "alerting.receivers.team: nothing stands here (accepted: a mapping with webhook, slack, pagerduty, email)",
    ),
    (
        "receiver with a bad name",
        {"alerting": {"receivers": {"Team A": HOOK}}},
        'alerting.receivers."Team A": "Team A" is not a name (accepted: small letters, digits and dashes, at most 42)',
    ),
    (
        "URL with a password",
        _to({"webhook": {"url": "https://me:hunter2@hooks.example.com/a"}}),
        (
            "alerting.receivers.team.webhook.url: a URL with a user or password (accepted: http://host/…"
            " or https://host/…, without them)"
        ),
    ),
    (
        "no URL",
        _to({"webhook": {"url": "hooks.example.com"}}),
        f'alerting.receivers.team.webhook.url: "hooks.example.com" is not a URL {URLS}',
    ),
    (
        "neither a URL nor a secret",
        _to({"webhook": {"url": 5}}),
        "alerting.receivers.team.webhook.url: a number is not accepted here (accepted: text, or {secret: <its name>})",
    ),
    (
        "misspelt pointer to a secret",
        _to({"webhook": {"url": {"secrets": "hook"}}}),
        "alerting.receivers.team.webhook.url.secrets: unknown key (accepted: secret); did you mean secret?",
    ),
    (
        "a Slack URL in the clear",
        _to({"slack": {"url": "https://hooks.example.com/hunter2", "channel": "#a"}}),
        "alerting.receivers.team.slack.url: text is not accepted here (accepted: {secret: <its name>})",
    ),
    (
        "bad channel",
        _to({"slack": {"url": {"secret": "slack"}, "channel": "a b"}}),
        'alerting.receivers.team.slack.channel: "a b" is not a channel (accepted: "#channel" or "@person", in quotes)',
    ),
    (
        "channel that YAML took for a comment",
        _to({"slack": {"url": {"secret": "slack"}, "channel": None}}),
        "alerting.receivers.team.slack.channel: nothing stands here (accepted: text)",
    ),
    (
        "misspelt sender",
        _to({"email": {"to": "a@example.com", "fron": "b@example.com", "smarthost": "mail:25"}}),
        (
            "alerting.receivers.team.email.fron: unknown key (accepted: to, from, smarthost, username,"
            " password); did you mean from?"
        ),
    ),
    (
        "bad sender",
        _to({"email": {"to": "a@example.com", "from": "b", "smarthost": "mail:25"}}),
        'alerting.receivers.team.email.from: "b" is not a mail address (accepted: name@host)',
    ),
    (
        "unknown program",
        {"runtime": "docker", "alerting": EVERY_RECEIVER, "versions": {"loky": "3.0.0"}},
        (
            "versions.loky: unknown program (accepted: alertmanager, apm-server, blackbox-exporter, busybox, cadvisor,"
            " collector, elasticsearch, elasticsearch-exporter, flower, glitchtip, glitchtip-postgres,"
            " glitchtip-redis, grafana, jaeger, json-exporter, kibana, kube-state-metrics, logstash, loki,"
            " nginx-exporter, node-exporter, postgres-exporter, prometheus, redis-exporter, thanos)"
        ),
    ),
)


@pytest.mark.parametrize(("changes", "line"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_settings(changes: dict[str, Any], line: str) -> None:
    """Proves that the mistake is told in exactly this line, and in no other."""
    assert complaint(**changes) == f"{FILE}: {KEY}.{line}"


@pytest.mark.parametrize(
    ("runtime", "key", "value", "accepted"),
    [
        ("kubernetes", "bind", "0.0.0.0", "process, docker"),  # noqa: S104 - nothing is bound
        ("kubernetes", "port_offset", 100, "process, docker"),
        ("process", "docker", {"network": "mine"}, "docker"),
        ("kubernetes", "docker", {"keep_volumes": True}, "docker"),
        ("process", "resources", {"loki": {"memory": "1Gi"}}, "docker, kubernetes"),
        ("process", "versions", {"loki": "3.7.0"}, "docker, kubernetes"),
        ("docker", "size", "small", "kubernetes"),
        ("docker", "replicas", {"loki": 3}, "kubernetes"),
        ("docker", "load", {"series": 1000}, "kubernetes"),
        ("docker", "volumes", {"loki": "20Gi"}, "kubernetes"),
        ("docker", "kubernetes", {"keep_volumes": True}, "kubernetes"),
    ],
)
def test_a_key_of_another_runtime(runtime: str, key: str, value: object, accepted: str) -> None:
    """Proves that a key which nothing would read is refused, not silently ignored."""
    line = f"{FILE}: {KEY}.{key}: means nothing on {runtime} (accepted: on {accepted})"

    assert complaint(runtime=runtime, alerting=EVERY_RECEIVER, **{key: value}) == line


def test_what_says_nothing_is_no_key_of_another_runtime() -> None:
    """Proves that what is switched off, or empty, is accepted everywhere."""
    nothing: dict[str, Any] = {"docker": {}, "kubernetes": {}, "versions": {}, "elk": False, "thanos": False}

    assert stack(**nothing).names == stack().names


def test_port_taken_twice() -> None:
    """Proves that a port that an exporter shares with another part is refused, with both names."""
    assert complaint(exporters={"node": {"port": 9090}}) == (
        f"{FILE}: {KEY}: port 9090/tcp is taken twice: by prometheus (http) and by node-exporter (http)"
        " (accepted: another port in one of the exporters' settings)"
    )


def test_unknown_alert_override() -> None:
    """Proves that the override of an alert that is not there is refused with names like it."""
    made = stack()
    names = sorted({alert.name for group in (*made.groups, *made.log_groups) for alert in group.alerts})

    assert complaint(alerting={"overrides": {"ServiceGone": {}}}) == (
        f"{FILE}: {KEY}.alerting.overrides.ServiceGone: unknown alert"
        f" (accepted: [<system>/]<alert>[@<severity>] with one of the {len(names)} alerts of docs/runbooks, like"
        " ServiceDown)"
    )


def test_each_mistake_has_its_line() -> None:
    """Proves that several mistakes are told at once, a line each, in the order of the keys."""
    assert complaint(environment="A", port_offset="x", links={"run": "x"}).splitlines() == [
        f'{FILE}: {KEY}.environment: "A" is not a name (accepted: small letters, digits and dashes, at most 42)',
        f'{FILE}: {KEY}.port_offset: "x" is not a whole number (accepted: a whole number)',
        f"{FILE}: {KEY}.links.run: unknown key (accepted: runbooks)",
    ]


def test_no_message_repeats_a_secret() -> None:
    """Proves that what stands in the place of a secret, or in a URL's password, is in no message."""
    assert [
        name
        for name, changes, _ in BAD
        if "hunter2" in str(changes).lower() and "hunter2" in complaint(**changes).lower()
    ] == []


FILES: tuple[tuple[str, str | bytes | None, str], ...] = (
    ("missing file", None, "Pulumi.x.yaml: cannot be read: No such file or directory ({path})"),
    (
        "broken YAML",
        "config:\n  observability:settings: {environment: [a\n",
        "Pulumi.x.yaml: line 3, column 1: not acceptable YAML: expected ',' or ']', but got '<stream end>'",
    ),
    (
        "tab",
        "config:\n\ta: 1\n",
        "Pulumi.x.yaml: line 2, column 1: not acceptable YAML: found character '\\t' that cannot start any token",
    ),
    (
        "character that YAML forbids",
        "config: \x00\n",
        "Pulumi.x.yaml: not acceptable YAML: character 9: special characters are not allowed",
    ),
    ("not text", b"\xff\xfe\x00", "Pulumi.x.yaml: not text (accepted: YAML in UTF-8): byte 1"),
    ("list", "- config\n", "Pulumi.x.yaml: not a stack file (accepted: a mapping with the key config)"),
    ("empty file", "", "Pulumi.x.yaml: not a stack file (accepted: a mapping with the key config)"),
    (
        "key twice",
        "config:\n  observability:settings:\n    exporters:\n      node: {}\n      node: {port: 1}\n",
        'Pulumi.x.yaml: line 5, column 7: not acceptable YAML: "node" is a key twice (accepted: each key once)',
    ),
    (
        "key that is a list",
        "? [a, b]\n: 1\n",
        "Pulumi.x.yaml: line 1, column 3: not acceptable YAML: a key that is no text (accepted: text)",
    ),
    (
        "no config",
        "encryptionsalt: v1:abc\n",
        (
            "Pulumi.x.yaml: config.observability:settings: required, but missing (accepted: a mapping"
            " with environment, cluster, …)"
        ),
    ),
    (
        "no settings",
        "config:\n  observability:other: 1\n",
        (
            "Pulumi.x.yaml: config.observability:settings: required, but missing (accepted: a mapping"
            " with environment, cluster, …)"
        ),
    ),
    (
        "settings that are text",
        "config:\n  observability:settings: process\n",
        (
            "Pulumi.x.yaml: observability:settings: text is not accepted here (accepted: a mapping with"
            " environment, cluster, runtime, bind,"
            " port_offset, scrape_interval, scrape_limits, evaluation_interval, retention, log_files, exporters,"
            " systems, alerting, versions, grafana, elk, apm, errors, links, size, replicas, load, resources,"
            " volumes, object_storage, thanos, remote_write, traces, docker, kubernetes)"
        ),
    ),
)


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_bad_files(text: str | bytes | None, message: str, tmp_path: Path) -> None:
    """Proves that a file that holds no settings is refused in exactly this line."""
    path = tmp_path / "Pulumi.x.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(SettingsError) as refused:
        load(path)

    assert str(refused.value) == message.format(path=path)


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_committed_stack_files_are_acceptable(name: str) -> None:
    """Proves that each stack file of this project is read, named as its file, and amounts to a stack."""
    file = ROOT / f"Pulumi.{name}.yaml"
    made = load(file)

    assert made.environment == name
    # What is not applied is said.
    said = ["retention.traces"] if name == "prod" else []
    assert [line.partition(":")[0] for line in build(made, file=file.name).left_out] == said


def test_defaults() -> None:
    """Proves what the settings say when a file says as little as it may: the safe values."""
    made = settings()

    assert made.model_dump(mode="json", by_alias=True, exclude={"environment", "cluster", "runtime"}) == {
        "bind": "127.0.0.1",
        "port_offset": 0,
        "scrape_interval": "15s",
        "scrape_limits": {"samples": None, "body": None, "labels": 100, "label_length": 4096},
        "evaluation_interval": "15s",
        "retention": {
            "metrics": "30d",
            "metrics_size": None,
            "logs": "7d",
            "log_archive": "30d",
            "alert_history": "90d",
            "traces": "7d",
        },
        "log_files": [],
        "exporters": {},
        "systems": {},
        "alerting": {
            "receivers": {},
            "routes": {},
            "services": {},
            "default": None,
            "backup": None,
            "stand_in": None,
            "dead_mans_switch": None,
            "grouping": {
                "by": ["alertname", "cluster", "app", "service"],
                "wait": "30s",
                "interval": "5m",
                "repeat": "12h",
            },
            "mute_times": {},
            "mute": {},
            "overrides": {},
        },
        "versions": {},
        "grafana": {
            "run": True,
            "delivery": None,
            "url": None,
            "token": None,
            "datasources": {},
            "teams": True,
            "database": None,
            "oidc": None,
        },
        "elk": None,
        "apm": False,
        "errors": {"to": "off", "dsn": None, "traces_sample_rate": 0.1},
        "links": {"runbooks": None},
        "docker": {"network": "observability", "networks": [], "registry": None, "keep_volumes": True},
        "size": "small",
        "replicas": {
            "prometheus": None,
            "shards": None,
            "alertmanager": None,
            "loki": None,
            "collector": None,
            "jaeger": None,
            "grafana": None,
        },
        "load": {"targets": None, "series": None, "log_lines": None, "log_bytes": 300, "spans": None},
        "resources": {},
        "volumes": {},
        "object_storage": None,
        "thanos": None,
        "remote_write": None,
        "traces": {
            "store": "badger",
            "servers": [],
            "username": None,
            "password": None,
            "database": None,
            "datacenter": "datacenter1",
            "tls": True,
            "sampling": None,
        },
        "kubernetes": {
            "namespace": "observability",
            "storage_class": None,
            "flavor": "generic",
            "registry": None,
            "keep_volumes": True,
            "network_policies": True,
            "dns": [],
            "dials": {},
            "priority": 1000000,
            "watch": {"dns": None, "verify_kubelets": None},
            "pod_logs": True,
            "discover": True,
            "ingress": None,
            "secrets": {},
            "service_account_annotations": {},
        },
    }


def test_overrides_change_one_alert() -> None:
    """Proves that threshold, wait and severity of an alert are a stack's own, that it can be left out, and that
    others stay."""
    changed = stack(
        alerting={
            "overrides": {
                "CollectorQueueFilling": {"threshold": 0.5, "for": "0s", "severity": "critical"},
                "LokiPanics": {"disabled": True},
            }
        }
    )
    before = {alert.name: alert for group in stack().groups for alert in group.alerts}
    after = {alert.name: alert for group in changed.groups for alert in group.alerts}
    one = after.pop("CollectorQueueFilling")

    assert (one.threshold, one.for_, one.severity) == (0.5, "0s", Severity.CRITICAL)
    assert after == {
        name: alert for name, alert in before.items() if name not in {"CollectorQueueFilling", "LokiPanics"}
    }


@pytest.mark.parametrize(
    ("text", "length"),
    [("15s", 15.0), ("1h30m", 5400.0), ("30d", 2592000.0), ("1w", 604800.0), ("500ms", 0.5), ("0s", 0.0)],
)
def test_seconds(text: str, length: float) -> None:
    """Proves how long a duration is."""
    assert seconds(text) == length


@pytest.mark.parametrize(
    ("text", "size"), [("1Mi", 2**20), ("1.5Gi", 1610612736), ("20Gi", 20 * 2**30), ("1Ti", 2**40)]
)
def test_size_bytes(text: str, size: int) -> None:
    """Proves how many bytes a size is."""
    assert size_bytes(text) == size


def test_settings_are_frozen() -> None:
    """Proves that settings cannot be changed after they were read."""
    with pytest.raises(ValueError, match="frozen"):
        settings().environment = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - what is under test


def test_parse_without_a_key() -> None:
    """Proves that a file whose top is the model itself is complained of without a leading key."""
    with pytest.raises(SettingsError) as refused:
        parse(type(settings()), {**BASE, "links": {"run": 1}}, file="a.yaml", key="")

    assert str(refused.value) == "a.yaml: links.run: unknown key (accepted: runbooks)"
