"""The parts of the stack: the values that matter, in the files and arguments that are rendered."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest

from specs import messages
from specs.stack import Stack, build
from specs.workload import SecretRef, Workload
from tests.specs.support import EVERY_EXPORTER, EVERY_RECEIVER, settings, stack, whole, yaml_file

ALL = "0.0.0.0"  # noqa: S104 - under test


def _texts(workload: Workload) -> Iterator[tuple[str, str]]:
    """Everything of a workload that is rendered, each with a name."""
    yield f"{workload.name} arguments", "\n".join(workload.args)
    yield f"{workload.name} environment", "\n".join(f"{name}={value}" for name, value in workload.environment.items())
    for path, text in workload.files.items():
        yield f"{workload.name} {path}", text


def _prometheus(made: Stack) -> dict[str, Any]:
    return dict(yaml_file(made, "prometheus", "prometheus.yml"))


# Retention.


def test_retention_of_metrics() -> None:
    """Proves that Prometheus keeps what the settings say, by time and by size, on a volume a quarter larger."""
    made = stack(retention={"metrics": "45d", "metrics_size": "8Gi"})
    volume = made.workload("prometheus").volume

    assert _prometheus(made)["storage"]["tsdb"]["retention"] == {"time": "45d", "size": "8192MB"}
    assert volume is not None
    assert volume.size == "10240Mi"
    assert _prometheus(stack(retention={"metrics": "45d"}))["storage"]["tsdb"]["retention"] == {"time": "45d"}


def test_retention_of_logs() -> None:
    """Proves that one setting drives Loki's retention, another what it still takes in, and that the compactor applies
    it."""
    loki = yaml_file(stack(retention={"logs": "3d", "log_archive": "31d"}), "loki", "loki.yml")

    assert loki["limits_config"]["retention_period"] == "31d"
    assert loki["limits_config"]["reject_old_samples_max_age"] == "3d"
    assert loki["compactor"] == {
        "working_directory": "compactor",
        "retention_enabled": True,
        "delete_request_store": "filesystem",
        "compaction_interval": "10m",
    }


@pytest.mark.parametrize(("setting", "ttl"), [("7d", "168h"), ("90m", "2h"), ("1m", "1h"), ("1w", "168h")])
def test_retention_of_traces(setting: str, ttl: str) -> None:
    """Proves that Jaeger's storage forgets spans after the setting, in whole hours and never at once."""
    jaeger = yaml_file(stack(retention={"traces": setting}), "jaeger", "jaeger.yml")

    assert jaeger["extensions"]["jaeger_storage"]["backends"]["main"]["badger"]["ttl"] == {"spans": ttl}


# Addresses and ports.


def test_every_process_binds_to_loopback() -> None:
    """Proves that no rendered file, argument or variable of a process stack names all addresses of the machine."""
    found = [
        name
        for workload in whole().workloads
        for name, text in _texts(workload)
        if re.search(r"0\.0\.0\.0|\[::\]", text)
    ]

    assert found == []


def test_every_listening_address_is_written_down() -> None:
    """Proves that each declared port of a process stack stands in its own files, arguments or variables: nothing
    listens by default."""
    missing = [
        f"{workload.name} ({port.name})"
        for workload in whole().workloads
        for port in workload.ports
        if not any(re.search(rf"(?<!\d){port.number}(?!\d)", text) for _, text in _texts(workload))
    ]

    assert missing == []


def test_bind_moves_what_listens_and_not_what_is_dialled() -> None:
    """Proves that `bind` opens every listener, while parts keep dialling each other by loopback."""
    made = stack(bind=ALL)
    collector = yaml_file(made, "collector", "collector.yml")

    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    assert collector["exporters"]["otlp_grpc/jaeger"]["endpoint"] == "127.0.0.1:14317"
    assert yaml_file(made, "loki", "loki.yml")["server"]["http_listen_address"] == ALL
    assert "--web.listen-address=0.0.0.0:9090" in made.workload("prometheus").args


def test_port_offset_moves_every_port() -> None:
    """Proves that no unshifted number of any port is left in what a shifted stack renders."""
    usual = {port.number for workload in whole().workloads for port in workload.ports}
    numbers = re.compile(rf"(?<![\d.])({'|'.join(str(number) for number in sorted(usual))})(?![\d.]*\d)")
    # Addresses of what is watched, beyond the stack, are the user's own: these must stay as they are.
    shifted = whole(port_offset=20000)
    found = [
        f"{name}: {match[0]}"
        for workload in shifted.workloads
        for name, text in _texts(workload)
        for match in numbers.finditer(text)
    ]

    assert found == []


def test_port_offset_changes_nothing_but_ports() -> None:
    """Proves that a shifted stack is the unshifted one, but for the numbers of the ports."""
    usual = {port.number for workload in whole().workloads for port in workload.ports}
    back = re.compile(rf"(?<!\d)({'|'.join(str(number + 20000) for number in sorted(usual))})(?!\d)")

    def rendered(made: Stack) -> list[tuple[str, str]]:
        return [named for workload in made.workloads for named in _texts(workload)]

    shifted = [
        (name, back.sub(lambda match: str(int(match[0]) - 20000), text))
        for name, text in rendered(whole(port_offset=20000))
    ]
    assert shifted == rendered(whole())


def test_workloads_have_names_and_ports_of_their_own() -> None:
    """Proves that in a stack with everything no two workloads share a name or a port."""
    workloads = whole().workloads
    ports = [(port.number, port.protocol) for workload in workloads for port in workload.ports]

    assert len({workload.name for workload in workloads}) == len(workloads)
    assert len(set(ports)) == len(ports)
    for workload in workloads:
        assert workload.probe.port in {port.name for port in workload.ports}


# Secrets.


def test_secrets_are_in_no_file_and_no_argument() -> None:
    """Proves that with every receiver and exporter the stack knows names of secrets only, and hands each to a file of
    its own."""
    made = stack(exporters=EVERY_EXPORTER, alerting=EVERY_RECEIVER)
    files = {
        f"{workload.name}/{path}": ref.key for workload in made.workloads for path, ref in workload.secrets.items()
    }

    assert files == {
        "alertmanager/secrets/all-webhook": "hook",
        "alertmanager/secrets/all-slack": "slack",
        "alertmanager/secrets/all-pagerduty": "pager",
        "alertmanager/secrets/all-email": "smtp",
        "alertmanager/secrets/dead-mans-switch-webhook": "beat",
        "grafana/secrets/admin-password": "grafana-admin-password",
        "postgres-exporter-main/secrets/password": "pg",
        "redis-exporter-cache/secrets/passwords.json": "redis",
        "flower-jobs/secrets/celeryconfig.py": "broker",
    }
    assert {ref.key for ref in made.secrets()} == set(files.values())


def test_canary() -> None:
    """Proves that a secret's name is in no file and no argument either: what a program reads is the path of its
    file."""
    marked = json.loads(
        re.sub(
            r'"secret": "(\w+)"',
            r'"secret": "canary-\1"',
            json.dumps({"exporters": EVERY_EXPORTER, "alerting": EVERY_RECEIVER}),
        )
    )
    made = stack(**marked)
    found = [name for workload in made.workloads for name, text in _texts(workload) if "canary" in text]

    assert len([ref for ref in made.secrets() if ref.key.startswith("canary-")]) == 8
    assert found == []


def test_no_key_of_a_rendered_file_holds_a_secret_in_the_clear() -> None:
    """Proves that what would hold a secret in Alertmanager's own form is always the form with a file."""
    config = stack(alerting=EVERY_RECEIVER).workload("alertmanager").files["alertmanager.yml"]

    assert (
        re.findall(r"\b(?:api_url|routing_key|service_key|auth_password|auth_secret|password|bearer_token):", config)
        == []
    )


# Prometheus.


def test_external_labels_and_intervals() -> None:
    """Proves that what leaves Prometheus says which cluster and environment it is of, and how often it looks."""
    config = _prometheus(stack(scrape_interval="20s", evaluation_interval="30s"))

    assert config["global"] == {
        "scrape_interval": "20s",
        "evaluation_interval": "30s",
        "external_labels": {"cluster": "here", "environment": "test"},
        "sample_limit": 50000,
        "body_size_limit": "25MB",
        "label_limit": 100,
        "label_value_length_limit": 4096,
        "extra_scrape_metrics": True,
    }
    assert config["alerting"] == {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]}


@pytest.mark.parametrize("runtime", ["process", "docker", "kubernetes"])
def test_every_target_says_app_and_environment(runtime: str) -> None:
    """Proves that each target of each job carries the system it belongs to and the environment."""
    scrapes = _prometheus(whole(runtime=runtime, alerting=EVERY_RECEIVER))["scrape_configs"]
    bare = [
        f"{scrape['job_name']}: {config['targets']}"
        for scrape in scrapes
        for config in scrape.get("static_configs", [])
        if not (config["labels"].get("app") and config["labels"].get("environment") == "test")
    ]

    assert bare == []
    assert len({scrape["job_name"] for scrape in scrapes}) == len(scrapes)


def test_every_workload_is_scraped() -> None:
    """Proves that each workload has a target among its own ports: nothing runs unwatched."""
    made = whole()
    targets = {target.address for job in made.jobs for target in job.targets}
    unwatched = [
        workload.name
        for workload in made.workloads
        if not any(f"127.0.0.1:{port.number}" in targets for port in workload.ports)
    ]

    assert unwatched == []


def test_registered_applications_get_their_labels() -> None:
    """Proves that what applications register is read, and that a target without app or environment gets them."""
    (applications,) = [
        scrape for scrape in _prometheus(stack())["scrape_configs"] if scrape["job_name"] == "applications"
    ]

    assert applications == {
        "job_name": "applications",
        "file_sd_configs": [{"files": ["../../registry/scrape/*.json"], "refresh_interval": "1m"}],
        "relabel_configs": [
            {"source_labels": ["environment"], "regex": "", "target_label": "environment", "replacement": "test"},
            {"source_labels": ["app"], "regex": "", "target_label": "app", "replacement": "unregistered"},
        ],
    }


def test_prometheus_takes_what_is_sent() -> None:
    """Proves the arguments of Prometheus: OTLP and remote write are open, reloads too, and data is in the working
    directory."""
    assert stack().workload("prometheus").args == (
        "--config.file=../config/prometheus.yml",
        "--storage.tsdb.path=.",
        "--web.listen-address=127.0.0.1:9090",
        "--web.external-url=http://127.0.0.1:9090",
        "--web.console.templates=../config/consoles",
        "--web.enable-lifecycle",
        "--web.enable-otlp-receiver",
        "--web.enable-remote-write-receiver",
        "--enable-feature=exemplar-storage",
    )


# Alertmanager.


def _alertmanager(**changes: object) -> dict[str, Any]:
    return dict(yaml_file(stack(**changes), "alertmanager", "alertmanager.yml"))


def test_without_receivers_everything_goes_to_the_inbox() -> None:
    """Proves that a process stack without receivers has one of its own, and a dead man's switch that hears of the end
    of beats."""
    config = _alertmanager()

    assert config["route"]["receiver"] == "inbox"
    assert config["receivers"] == [
        {"name": "inbox", "webhook_configs": [{"url": "http://127.0.0.1:9099/alerts", "send_resolved": True}]},
        {"name": "dashboards"},
        {
            "name": "dead-mans-switch",
            "webhook_configs": [{"url": "http://127.0.0.1:9099/beat", "send_resolved": False}],
        },
    ]


def test_watchdog_route_comes_first() -> None:
    """Proves that the Watchdog's beat goes to the dead man's switch alone, at once and every minute."""
    assert _alertmanager(alerting=EVERY_RECEIVER)["route"]["routes"][0] == {
        "receiver": "dead-mans-switch",
        "matchers": ['alertname = "Watchdog"'],
        "group_by": ["alertname"],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "50s",
    }


def test_routes_by_severity() -> None:
    """Proves that each severity reaches all its receivers, an info dashboards alone, and the rest the default, grouped
    as the settings say."""
    route = _alertmanager(alerting={**EVERY_RECEIVER, "grouping": {"wait": "0s", "interval": "1m", "repeat": "1h"}})[
        "route"
    ]

    assert route["routes"][1:] == [
        {"receiver": "all", "matchers": ['severity = "critical"'], "continue": True},
        {"receiver": "team", "matchers": ['severity = "critical"']},
        {"receiver": "team", "matchers": ['severity = "warning"']},
        {"receiver": "dashboards", "matchers": ['severity = "info"']},
    ]
    assert {name: value for name, value in route.items() if name != "routes"} == {
        "receiver": "all",
        "group_by": ["alertname", "cluster", "app", "service"],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "1h",
    }


def test_receivers_read_secrets_from_files() -> None:
    """Proves each channel's form: addresses in the clear, secrets by the path of a file."""
    assert _alertmanager(alerting=EVERY_RECEIVER)["receivers"] == [
        {
            "name": "all",
            "webhook_configs": [{"url_file": "../config/secrets/all-webhook", "send_resolved": True}],
            "slack_configs": [
                {
                    "api_url_file": "../config/secrets/all-slack",
                    "channel": "#alerts",
                    "send_resolved": True,
                    **messages.SLACK,
                }
            ],
            "pagerduty_configs": [
                {
                    "routing_key_file": "../config/secrets/all-pagerduty",
                    "send_resolved": True,
                    **messages.PAGERDUTY,
                }
            ],
            "email_configs": [
                {
                    "to": "team@example.com",
                    "from": "stack@example.com",
                    "smarthost": "mail.example.com:587",
                    "require_tls": True,
                    "send_resolved": True,
                    "auth_username": "stack",
                    "auth_password_file": "../config/secrets/all-email",
                    **messages.EMAIL,
                }
            ],
        },
        {"name": "team", "webhook_configs": [{"url": "http://team.example.com/hook", "send_resolved": True}]},
        {"name": "dashboards"},
        {
            "name": "dead-mans-switch",
            "webhook_configs": [{"url_file": "../config/secrets/dead-mans-switch-webhook", "send_resolved": False}],
        },
    ]


def test_inhibitions() -> None:
    """Proves the form of each inhibition, with its name; what they silence is proved beside the routes."""
    chain = "Alertmanager.+|PrometheusNotification.+|DeadMansSwitchSilent"
    never = f"ServiceDown|SystemDown|TargetOverLimit|Watchdog|{chain}"

    assert _alertmanager()["inhibit_rules"] == [
        {
            "name": "critical-over-lesser",
            "source_matchers": ['severity = "critical"'],
            "target_matchers": ['severity =~ "warning|info"'],
            "equal": ["alertname", "cluster", "environment", "app", "service", "instance", "slo"],
        },
        {
            "name": "system-down",
            "source_matchers": ['alertname = "SystemDown"'],
            "target_matchers": [f'alertname !~ "{never}"'],
            "equal": ["cluster", "environment", "app", "service"],
        },
        {
            "name": "target-down",
            "source_matchers": ['alertname = "ServiceDown"'],
            "target_matchers": [f'alertname !~ "{never}"', 'instance != ""'],
            "equal": ["cluster", "environment", "app", "service", "instance"],
        },
    ]


# The inbox.

WITHOUT_SWITCH = {name: value for name, value in EVERY_RECEIVER.items() if name != "dead_mans_switch"}


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({}, True),
        ({"alerting": WITHOUT_SWITCH}, True),
        ({"alerting": EVERY_RECEIVER}, False),
        ({"alerting": WITHOUT_SWITCH, "runtime": "docker"}, False),
    ],
)
def test_inbox_runs_where_it_is_needed(changes: dict[str, object], runs: bool) -> None:
    """Proves that the inbox runs on a process stack only, and only while a receiver or the dead man's switch is
    missing."""
    assert ("inbox" in stack(**changes).names) is runs


def test_inbox() -> None:
    """Proves what the inbox is started with: it writes its log where the collector follows it."""
    inbox = stack(port_offset=20000).workload("inbox")

    assert inbox.program.binary == "python"
    assert inbox.args == (
        "-m",
        "tools.inbox",
        "--host=127.0.0.1",
        "--port=29099",
        "--log=../../registry/logs/observability/inbox.json",
    )


# Loki, Jaeger, the collector.


def test_loki_labels_come_from_resources() -> None:
    """Proves that a log stream is told apart by system, environment, service and level, and that ids stay
    searchable."""
    limits = yaml_file(stack(), "loki", "loki.yml")["limits_config"]

    assert limits["allow_structured_metadata"] is True
    assert limits["otlp_config"] == {
        "severity_text_as_label": True,
        "resource_attributes": {
            "ignore_defaults": True,
            "attributes_config": [{"action": "index_label", "attributes": ["app", "environment", "service.name"]}],
        },
    }


def test_loki_is_one_process_that_stays_on_its_addresses() -> None:
    """Proves that Loki has no tenants, no reports to its makers, and binds both its ports."""
    loki = yaml_file(stack(port_offset=20000), "loki", "loki.yml")

    assert loki["auth_enabled"] is False
    assert loki["analytics"] == {"reporting_enabled": False}
    assert loki["server"] == {
        "http_listen_address": "127.0.0.1",
        "http_listen_port": 23100,
        "grpc_listen_address": "127.0.0.1",
        "grpc_listen_port": 29095,
        "log_level": "warn",
    }


def test_collector_takes_old_protocols() -> None:
    """Proves that OTLP, Jaeger's own protocols and Zipkin's are taken at the ports that clients know."""
    receivers = yaml_file(stack(), "collector", "collector.yml")["receivers"]

    assert {name: receivers[name] for name in ("otlp", "jaeger", "zipkin")} == {
        "otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:4317"}, "http": {"endpoint": "127.0.0.1:4318"}}},
        "jaeger": {
            "protocols": {
                "thrift_compact": {"endpoint": "127.0.0.1:6831"},
                "thrift_binary": {"endpoint": "127.0.0.1:6832"},
                "thrift_http": {"endpoint": "127.0.0.1:14268"},
                "grpc": {"endpoint": "127.0.0.1:14250"},
            }
        },
        "zipkin": {"endpoint": "127.0.0.1:9411"},
    }


@pytest.mark.parametrize("runtime", ["process", "docker", "kubernetes"])
def test_collector_uses_everything_it_declares(runtime: str) -> None:
    """Proves that each receiver, processor and exporter of both files is in a pipeline, and that each pipeline has a
    limit of memory first."""
    made = stack(runtime=runtime, alerting=EVERY_RECEIVER)
    config = yaml_file(made, "collector", "collector.yml")
    history = yaml_file(made, "collector", "alert-history.yml")
    pipelines = config["service"]["pipelines"] | history["service"]["pipelines"]

    def used(kind: str) -> set[str]:
        return {name for pipeline in pipelines.values() for name in pipeline[kind]}

    assert set(history) == {"receivers", "processors", "service"}
    assert set(history["service"]) == {"pipelines"}
    assert len(pipelines) == 4
    assert used("receivers") == {*config["receivers"], *history["receivers"], "span_metrics"}
    assert used("processors") == {*config["processors"], *history["processors"]}
    assert used("exporters") == {*config["exporters"], "span_metrics"}
    assert {pipeline["processors"][0] for pipeline in pipelines.values()} == {"memory_limiter"}
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_collector_labels_everything() -> None:
    """Proves that what comes without environment, cluster or app gets them, and that what says its own keeps it."""
    attributes = yaml_file(stack(), "collector", "collector.yml")["processors"]["resource"]["attributes"]

    assert attributes == [
        {"key": "environment", "value": "test", "action": "insert"},
        {"key": "deployment.environment.name", "value": "test", "action": "insert"},
        {"key": "cluster", "value": "here", "action": "insert"},
        {"key": "app", "from_attribute": "service.namespace", "action": "insert"},
        {"key": "app", "from_attribute": "service.name", "action": "insert"},
    ]


def test_log_files_are_followed() -> None:
    """Proves that a log file of the settings has a receiver of its name, that it survives restarts, and which lines
    are parsed."""
    files = [
        {"name": "web", "app": "shop", "include": ["/var/log/shop/*.json"]},
        {"name": "nginx", "app": "shop", "service": "front", "include": ["/var/log/nginx/*.log"], "format": "text"},
    ]
    config = yaml_file(stack(log_files=files), "collector", "collector.yml")
    web, nginx = config["receivers"]["file_log/web"], config["receivers"]["file_log/nginx"]

    assert [step["type"] for step in web.pop("operators")] == [
        "json_parser",
        "time_parser",
        "time_parser",
        "severity_parser",
        "trace_parser",
        "move",
        "move",
    ]
    usual = {
        "start_at": "beginning",
        "storage": "file_storage",
        "poll_interval": "500ms",
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
    }
    assert web == {"include": ["/var/log/shop/*.json"], **usual, "resource": {"app": "shop", "service.name": "web"}}
    assert nginx == {
        "include": ["/var/log/nginx/*.log"],
        **usual,
        "multiline": {"line_start_pattern": r"^\S"},
        "resource": {"app": "shop", "service.name": "front"},
    }
    assert {"file_log/web", "file_log/nginx"} <= set(config["service"]["pipelines"]["logs"]["receivers"])


@pytest.mark.parametrize(("runtime", "reads"), [("process", True), ("docker", False), ("kubernetes", False)])
def test_own_logs_are_read_where_they_are_files(runtime: str, reads: bool) -> None:
    """Proves that the programs' own output is followed on a process stack, where it is in files, and nowhere else."""
    made = stack(runtime=runtime, alerting=EVERY_RECEIVER)

    assert ("file_log/stack" in yaml_file(made, "collector", "collector.yml")["receivers"]) is reads


# Grafana.


def _uids(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            if key == "datasourceUid":
                yield str(inner)
            yield from _uids(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _uids(inner)


def test_datasources() -> None:
    """Proves that one datasource is the default, that uids are one of a kind, that nothing is editable, and no link
    leads nowhere."""
    found = yaml_file(stack(), "grafana", "provisioning/datasources/stack.yml")["datasources"]

    assert [
        (source["uid"], source["type"], source["url"], source["isDefault"], source["editable"]) for source in found
    ] == [
        ("prometheus", "prometheus", "http://127.0.0.1:9090", True, False),
        ("loki", "loki", "http://127.0.0.1:3100", False, False),
        ("jaeger", "jaeger", "http://127.0.0.1:16686", False, False),
        ("alertmanager", "alertmanager", "http://127.0.0.1:9093", False, False),
    ]
    assert sorted(set(_uids(found))) == ["jaeger", "loki", "prometheus"]


def test_grafana_is_closed() -> None:
    """Proves that nobody signs up or looks without a name, and that the administrator's password is a generated
    file."""
    grafana = stack().workload("grafana")

    assert {
        name: grafana.environment[name]
        for name in grafana.environment
        if name.startswith(("GF_USERS", "GF_AUTH", "GF_SECURITY"))
    } == {
        "GF_SECURITY_ADMIN_USER": "admin",
        "GF_SECURITY_ADMIN_PASSWORD": "$__file{../config/secrets/admin-password}",
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_AUTH_ANONYMOUS_ENABLED": "false",
    }
    assert dict(grafana.secrets) == {"secrets/admin-password": SecretRef("grafana-admin-password", generated=True)}


def test_without_grafana() -> None:
    """Proves that a stack without Grafana, by its own wish or for want of the program, is whole otherwise; and which
    of both is told."""
    unwanted, absent = stack(grafana=False), build(settings(), file="x", absent=["grafana"])

    assert unwanted.names == absent.names == stack().names - {"grafana"}
    assert unwanted.left_out == ()
    assert absent.left_out == (
        "grafana: left out, since there is no grafana on PATH; everything else works without it",
    )
    assert "grafana" not in {job.name for job in absent.jobs}


def test_versions_change_one_program() -> None:
    """Proves that a stack has another version of one program where it says so, and the shipped ones otherwise."""
    docker: dict[str, Any] = {"runtime": "docker", "alerting": EVERY_RECEIVER}
    before = {workload.name: workload.program for workload in stack(**docker).workloads}
    after = {workload.name: workload.program for workload in stack(**docker, versions={"loki": "3.7.0"}).workloads}

    assert after.pop("loki").version == "3.7.0"
    assert after == {name: program for name, program in before.items() if name != "loki"}
