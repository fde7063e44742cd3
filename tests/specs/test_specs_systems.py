"""Monitored systems: profiles, their addresses in a stack file, and what comes of them; and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.model import SettingsError, parse
from specs.profile import SYSTEMS, Profile, known, read
from specs.signal import Signal
from tests.specs.support import ROOT, committed, complaint, stack, yaml_file

FIVE = ("mysmartnotes", "narra-forge", "personal-assistant", "roadtrip", "wwmaa")

SMALL: dict[str, Any] = {
    "owner": "books",
    "services": {"web": {}},
    "metrics": {"shop_visitors": {"kind": "gauge"}},
    "signals": {"visitors": {"title": "Visitors", "value": "shop_visitors"}},
    "alerts": [{"name": "ShopSlow", "signal": "http_p95", "above": 1, "severity": "warning"}],
    "objectives": {"availability": {"title": "99% answered", "percent": 99}},
    "probes": {"web": {"service": "web", "path": "/health"}},
}


def profile(tmp_path: Path, **changes: object) -> str:
    """The path of a small profile with `changes`, as a stack file names it."""
    file = tmp_path / "bookshop.yaml"
    file.write_text(yaml.safe_dump({**SMALL, **changes}), encoding="utf-8")
    return str(file)


def bookshop(tmp_path: Path, own: dict[str, Any] | None = None, **changes: object) -> dict[str, Any]:
    """`systems` of a stack file with that profile and `own` addresses."""
    return {"bookshop": {"profile": profile(tmp_path, **changes), **(own or {"services": {"web": ["shop:8000"]}})}}


def test_the_five_systems_are_known() -> None:
    """Proves that each system of the guides has its profile, and that each profile is good."""
    assert set(FIVE) <= set(known())
    assert [read(SYSTEMS / f"{name}.yaml").owner for name in FIVE] == list(FIVE)


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_every_stack_watches_all_five(name: str) -> None:
    """Proves that each stack as shipped watches the five systems."""
    assert set(FIVE) <= {system.name for system in committed(name).systems}


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_every_service_has_a_target(name: str) -> None:
    """Proves that dev and prod scrape every service with metrics, each sample with app, environment, service."""
    made = committed(name)
    found = {
        (target.labels["app"], target.labels["service"]): target.labels["environment"]
        for job in made.jobs
        for target in job.targets
    }

    for system in made.systems:
        for service, value in system.profile.services.items():
            if value.metrics:
                assert found[system.name, service] == name


def test_service_becomes_a_scrape_job(tmp_path: Path) -> None:
    """Proves that a service's addresses become one job with the labels that everything is selected by."""
    made = stack(systems=bookshop(tmp_path, {"services": {"web": ["one:8000", "two:8000"]}}))
    jobs = {job["job_name"]: job for job in yaml_file(made, "prometheus", "prometheus.yml")["scrape_configs"]}

    labels = {"app": "bookshop", "environment": "test", "service": "web"}
    assert jobs["bookshop-web"] == {
        "job_name": "bookshop-web",
        "metrics_path": "/metrics",
        "static_configs": [
            {"targets": ["one:8000"], "labels": labels},
            {"targets": ["two:8000"], "labels": labels},
        ],
    }


def test_probe_of_each_replica(tmp_path: Path) -> None:
    """Proves that each replica of a probed service is knocked at, by the interval and timeout of its profile."""
    probes = {"web": {"service": "web", "path": "/health", "every": "60s", "timeout": "5s"}}
    own = {"services": {"web": ["one:8000", "two:8000"]}}
    made = stack(systems=bookshop(tmp_path, own, probes=probes))
    (job,) = (job for job in made.jobs if job.through and job.interval == "60s")

    assert job.timeout == "5s"
    assert [(target.address, target.labels["app"], target.labels["service"]) for target in job.targets] == [
        ("http://one:8000/health", "bookshop", "web"),
        ("http://two:8000/health", "bookshop", "web"),
    ]


def test_json_page_goes_through_the_exporter(tmp_path: Path) -> None:
    """Proves that a page of JSON is read by the json exporter, with the system's label."""
    pages = {"stock": {"service": "web", "path": "/stock", "metrics": {"stock_left": "{ .left }"}}}
    made = stack(systems=bookshop(tmp_path, json_pages=pages))
    (job,) = (job for job in made.jobs if job.name == "json")

    assert [(target.address, target.labels["app"]) for target in job.targets] == [
        ("http://shop:8000/stock", "bookshop")
    ]
    assert yaml_file(made, "json-exporter", "json.yml")["modules"] == {
        "bookshop-stock": {
            "metrics": [{"name": "stock_left", "path": "{ .left }"}],
            "valid_status_codes": [200, 503],
        }
    }


def test_databases_get_exporters(tmp_path: Path) -> None:
    """Proves that a system's servers are watched by exporters of their own, with its label and its secret."""
    server = {"address": "db:5432", "user": "watcher", "password": {"secret": "books"}}
    own = {"postgres": {"main": server}}
    made = stack(systems=bookshop(tmp_path, own, exporters=["postgres"]))
    workload = made.workload("postgres-exporter-bookshop-main")

    assert [ref.key for ref in workload.secrets.values()] == ["books"]
    assert {
        target.labels["app"] for job in made.jobs for target in job.targets if target.labels["service"] == "postgres"
    } == {"bookshop"}


def test_log_files_are_followed(tmp_path: Path) -> None:
    """Proves that a system's log files reach the collector under its name and its service."""
    logs = [{"service": "web", "path": "/var/log/books/*.json"}]
    made = stack(systems=bookshop(tmp_path, logs=logs))
    receiver = yaml_file(made, "collector", "collector.yml")["receivers"]["file_log/bookshop-web"]

    assert receiver["include"] == ["/var/log/books/*.json"]
    assert receiver["resource"]["app"] == "bookshop"
    assert receiver["resource"]["service.name"] == "web"


def test_a_system_without_addresses_is_watched_where_it_registers(tmp_path: Path) -> None:
    """Proves that a system without addresses adds rules and dashboards, and no target."""
    made = stack(systems=bookshop(tmp_path, {"services": {}}))

    assert [job.name for job in made.jobs if any(target.labels["app"] == "bookshop" for target in job.targets)] == []
    assert "rules/bookshop.yml" in made.workload("prometheus").files


def test_alerts_of_a_profile_select_its_app(tmp_path: Path) -> None:
    """Proves that every alert and recording rule of a profile is about its own system alone."""
    made = stack(systems=bookshop(tmp_path))
    (group,) = (group for group in made.groups if group.file == "bookshop" and group.alerts)
    rules = yaml_file(made, "prometheus", "rules/bookshop.yml")["groups"]

    assert [alert.name for alert in group.alerts] == ["ShopSlow"]
    assert [rule for found in rules for rule in found["rules"] if 'app="bookshop"' not in rule["expr"]] == []


def test_traffic_gate(tmp_path: Path) -> None:
    """Proves that a quantile is asked for only where enough happens."""
    made = stack(systems=bookshop(tmp_path))
    (alert,) = (alert for group in made.groups for alert in group.alerts if alert.name == "ShopSlow")

    assert alert.expr == (
        "histogram_quantile(0.95, sum by (app, environment, service, le) (rate(http_request_duration_seconds_bucket"
        '{app="bookshop"}[5m]))) > $threshold\n'
        "and on (app, environment, service)"
        " sum by (app, environment, service) (rate(http_request_duration_seconds_count"
        '{app="bookshop"}[5m])) > 0.1'
    )


def test_override_of_one_system(tmp_path: Path) -> None:
    """Proves that a system's alert is changed or left out by its name, for one system or one level alone."""
    alerts = [{"name": "HighErrorRate", "signal": "http_error_share", "above": 0.02, "severity": "critical"}]
    systems: dict[str, Any] = {**bookshop(tmp_path, alerts=alerts), "roadtrip": {}, "wwmaa": {}}
    made = stack(
        systems=systems,
        alerting={
            "overrides": {
                "HighErrorRate": {"for": "7m"},
                "bookshop/HighErrorRate": {"threshold": 0.5},
                "roadtrip/HighErrorRate": {"disabled": True},
                "wwmaa/ZeroDBSlow@critical": {"threshold": 9},
            }
        },
    )
    found = {
        (alert.of, alert.name, alert.severity.value): (alert.threshold, alert.for_)
        for group in made.groups
        for alert in group.alerts
        if alert.name in {"HighErrorRate", "ZeroDBSlow"}
    }

    assert found == {
        ("bookshop", "HighErrorRate", "critical"): (0.5, "7m"),
        ("wwmaa", "HighErrorRate", "critical"): (0.05, "7m"),
        ("wwmaa", "ZeroDBSlow", "warning"): (1, "5m"),
        ("wwmaa", "ZeroDBSlow", "critical"): (9, "2m"),
    }


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"roadtrip/HighErorRate": {"for": "1m"}}, "docs/runbooks, like roadtrip/HighErrorRate, "),
        (
            {"wwmaa/ZeroDBSlow": {"threshold": 2}},
            "several limits (accepted: ZeroDBSlow@critical, ZeroDBSlow@warning)",
        ),
        ({"DatabaseConnectionFailur": {"disabled": True}}, "unknown alert"),
    ],
)
def test_bad_override(overrides: dict[str, Any], words: str) -> None:
    """Proves that an override of no alert, or of several limits at once, is refused by name."""
    systems: dict[str, Any] = {"roadtrip": {}, "wwmaa": {}}

    (name,) = overrides
    said = complaint(systems=systems, alerting={"overrides": overrides})
    assert said.startswith(f"Pulumi.test.yaml: observability:settings.alerting.overrides.{name}")
    assert words in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"onwer": "x"}, "bookshop.yaml: onwer: unknown key"),
        (
            {"alerts": [{"name": "A", "signal": "http_p59", "above": 1, "severity": "warning"}]},
            "bookshop.yaml: alerts[0].signal: unknown signal http_p59",
        ),
        (
            {"alerts": [{"name": "A", "signal": "http_p95", "severity": "warning"}]},
            "bookshop.yaml: alerts[0]: an alert has one limit (accepted: either above or below)",
        ),
        (
            {"alerts": [SMALL["alerts"][0], SMALL["alerts"][0]]},
            "bookshop.yaml: alerts[1].name: ShopSlow is there twice as warning",
        ),
        (
            {"signals": {"x": {"title": "X", "value": "a", "rate": "b"}}},
            "bookshop.yaml: signals.x: a signal is of one kind, not value and rate",
        ),
        ({"signals": {"x": {"title": "X", "quantile": 0.9}}}, "bookshop.yaml: signals.x: quantile and of go together"),
        ({"signals": {"x": {"title": "X", "share": "a_total"}}}, "bookshop.yaml: signals.x: a share needs where"),
        (
            {"signals": {"x": {"title": "X", "rate": "a_total", "where": {"status": '5".'}}}},
            "has a quote or a backslash",
        ),
        (
            {"probes": {"web": {"service": "wep"}}},
            'bookshop.yaml: probes.web.service: "wep" is not a service (accepted: web)',
        ),
        (
            {"probes": {"web": {"service": "web", "every": "5s"}}},
            "bookshop.yaml: probes.web.timeout: 10s is longer than every 5s",
        ),
        (
            {
                "objectives": {"fast": {"title": "F", "percent": 95, "under": "300ms"}},
                "metrics": {
                    **SMALL["metrics"],
                    "http_request_duration_seconds": {"kind": "histogram", "buckets": [0.1, 1]},
                },
            },
            "objectives.fast.under: 300ms is not a bucket of http_request_duration_seconds (accepted: 0.1s, 1s)",
        ),
        ({"objectives": {"up": {"title": "U", "percent": 100}}}, "bookshop.yaml: objectives.up.percent"),
        ({"http": None, "alerts": []}, "bookshop.yaml: objectives.availability: the system serves no HTTP"),
        (
            {"dashboards": [{"title": "T", "panels": [{"title": "P", "signals": ["visitor"]}]}]},
            "bookshop.yaml: dashboards[0].panels[0].signals: unknown signal visitor",
        ),
        ({"dashboards": [{"title": "T", "panels": [{"title": "P"}]}]}, "a panel shows something"),
        ({"services": {}}, "bookshop.yaml: services"),
        (
            {"signals": {"x": {"title": "X", "value": "shop_visitor"}}},
            (
                "shop_visitor is not a gauge of the system (accepted: one that stands under metrics, like"
                " shop_visitors); did you mean shop_visitors?"
            ),
        ),
        ({"signals": {"x": {"title": "X", "rate": "shop_visitors"}}}, "shop_visitors is not a counter of the system"),
        (
            {"signals": {"x": {"title": "X", "share": "http_requests_total", "where": {"statsu": "5.."}}}},
            "bookshop.yaml: signals.x: no label statsu (accepted: app, endpoint, environment,",
        ),
        (
            {"signals": {"x": {"title": "X", "share": "http_requests_total", "where": {"status": "6.."}}}},
            "bookshop.yaml: signals.x.where.status: no example matches 6.. (accepted: what matches one of 200, 500",
        ),
        (
            {"objectives": {"a": {"title": "A", "percent": 99, "under": "1s", "of": "nope_seconds"}}},
            "bookshop.yaml: objectives.a.of: nope_seconds is not a histogram of the system",
        ),
        (
            {"objectives": {"a": {"title": "A", "percent": 99, "service": "wbe"}}},
            "bookshop.yaml: objectives.a.service: not a service of the system (accepted: web)",
        ),
        ({"signals": {"x": {"title": "X", "promql": "sum(rate(a_total[5m]))"}}}, "promql without $scope or $by"),
        (
            {"alerts": [{"name": "Watchdog", "signal": "http_p95", "above": 1, "severity": "warning"}]},
            "bookshop.yaml: alerts[0].name: Watchdog is the stack's own",
        ),
        (
            {"alerts": [{"name": "A", "signal": "http_p95", "above": float("nan"), "severity": "warning"}]},
            "bookshop.yaml: alerts[0].above: ",
        ),
        ({"exporters": ["mysql"]}, "bookshop.yaml: exporters[0]"),
    ],
)
def test_bad_profile(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """Proves that a mistake in a profile is one line that names the file, the key and what is accepted."""
    said = complaint(systems=bookshop(tmp_path, **changes))

    assert words in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("systems", "words"),
    [
        ({"observability": {}}, "systems.observability: the name is the stack's own (accepted: another one)"),
        ({"bookshoop": {}}, "observability:settings.systems.bookshoop: no profile systems/bookshoop.yaml (accepted: "),
        ({"roadtrip": {"profile": "nowhere.yaml"}}, "systems.roadtrip.profile: no file nowhere.yaml"),
        (
            {"roadtrip": {"services": {"web": ["a:1"]}}},
            "systems.roadtrip.services.web: not a service of roadtrip (accepted: api)",
        ),
        ({"roadtrip": {"services": {"api": ["a"]}}}, 'systems.roadtrip.services.api[0]: "a" is not an address'),
        ({"roadtrip": {"serivces": {}}}, "systems.roadtrip.serivces: unknown key"),
        (
            {"roadtrip": {"nginx": {"a": {"status_url": "http://a/"}}}},
            "roadtrip.nginx: roadtrip does not say that it stands on it (accepted: node, postgres, redis, or nginx",
        ),
        ({"roadtrip": {"postgres": {"main": {"address": "db:5432"}}}}, "systems.roadtrip.postgres.main"),
    ],
)
def test_bad_addresses(systems: dict[str, Any], words: str) -> None:
    """Proves that a mistake among a system's addresses names the stack file and the key there."""
    said = complaint(systems=systems)

    assert said.startswith("Pulumi.test.yaml: observability:settings.systems.")
    assert words in said


def test_a_profile_in_the_wrong_place_is_named(tmp_path: Path) -> None:
    """Proves that a profile that is no YAML is refused by its name."""
    file = tmp_path / "broken.yaml"
    file.write_text("owner: [", encoding="utf-8")

    assert complaint(systems={"broken": {"profile": str(file)}}).startswith("broken.yaml:")


@pytest.mark.parametrize(
    ("signal", "promql"),
    [
        ({"value": "a", "combine": "max"}, "max by (app) (a{S})"),
        ({"rate": "a_total", "per": "1m"}, "sum by (app) (rate(a_total{S}[5m])) * 60"),
        (
            {"rate": "a_total", "where": {"b": "c"}},
            '(sum by (app) (rate(a_total{S, b=~"c"}[5m])) or 0 * sum by (app) (rate(a_total{S}[5m])))',
        ),
        ({"increase": "a_total", "window": "1h"}, "sum by (app) (increase(a_total{S}[1h]))"),
        ({"quantile": 0.5, "of": "a"}, "histogram_quantile(0.5, sum by (app, le) (rate(a_bucket{S}[5m])))"),
        ({"mean": "a"}, "sum by (app) (rate(a_sum{S}[5m])) / (sum by (app) (rate(a_count{S}[5m])) > 0)"),
        (
            {"share": "a_total", "where": {"b": "!c"}},
            (
                '(sum by (app) (rate(a_total{S, b!~"c"}[5m])) or 0 * sum by (app) (rate(a_total{S}[5m])))'
                " / (sum by (app) (rate(a_total{S}[5m])) > 0)"
            ),
        ),
        (
            {"part": "a_total", "rest": "b_total"},
            (
                "sum by (app) (rate(a_total{S}[5m]))"
                " / (sum by (app) (rate(a_total{S}[5m])) + sum by (app) (rate(b_total{S}[5m])) > 0)"
            ),
        ),
        ({"ratio": "a", "to": "b", "by": ["c"]}, "sum by (app, c) (a{S}) / (sum by (app, c) (b{S}) > 0)"),
        (
            {"growth": "a"},
            (
                "(min_over_time((max by (app) (delta(a{S}[15m])))[1h:15m])"
                " and count_over_time((max by (app) (delta(a{S}[15m])))[1h:15m]) >= 4)"
            ),
        ),
        ({"promql": "f by ($by) (a{$scope}[$window])"}, "f by (app) (a{S}[5m])"),
    ],
)
def test_promql_of_a_signal(signal: dict[str, Any], promql: str) -> None:
    """Proves what PromQL each kind of signal is."""
    made = parse(Signal, {"title": "T", **signal}, file="f", key="k")

    assert made.expr("S", keep=("app",)) == promql


def test_profiles_are_for_editors() -> None:
    """Proves that every profile names its schema, so that an editor completes it."""
    for name in known():
        first = (ROOT / "systems" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        assert first == "# yaml-language-server: $schema=../docs/system.schema.json"


def test_profile_alone_is_good() -> None:
    """Proves that the least profile has an owner and a service, and nothing else."""
    made = parse(Profile, {"owner": "me", "services": {"web": {}}}, file="f", key="")

    assert made.first == "web"
    with pytest.raises(SettingsError, match="owner: required, but missing"):
        parse(Profile, {"services": {"web": {}}}, file="f", key="")


def test_more_than_a_cluster_takes_is_refused(tmp_path: Path) -> None:
    """Proves that a stack with a file that no ConfigMap can hold is refused in one line, before anything is touched."""
    logs = [{"service": "web", "path": f"/var/log/{number}.json"} for number in range(2000)]
    alerting = {"default": "all", "receivers": {"all": {"webhook": {"url": "http://a/"}}}, "stand_in": "all"}

    said = complaint(runtime="kubernetes", systems=bookshop(tmp_path, logs=logs), alerting=alerting)
    assert said.startswith("Pulumi.test.yaml: observability:settings.systems: agent.yml of agent would have ")
    assert said.endswith(
        "(accepted: at most 1000000, since a ConfigMap holds no more; watch fewer systems by one stack)"
    )


def test_names_that_would_collide_are_refused(tmp_path: Path) -> None:
    """Proves that two targets of an exporter never take each other's place because of their names."""
    one = {"profile": profile(tmp_path, exporters=["redis"]), "redis": {"b-main": {"address": "a:6379"}}}
    other = {**one, "redis": {"main": {"address": "b:6379"}}}

    said = complaint(systems={"bookshop": one, "bookshop-b": other})
    assert said.startswith("Pulumi.test.yaml: observability:settings.systems: bookshop-b-main would be twice among")


def test_a_job_twice_is_refused(tmp_path: Path) -> None:
    """Proves that a scrape job's name belongs to one: Prometheus takes no other."""
    systems = bookshop(tmp_path, services={"web": {"job": "prometheus"}})

    assert "systems: prometheus would be the scrape job of two" in complaint(systems=systems)


def test_a_group_twice_is_refused(tmp_path: Path) -> None:
    """Proves that a system's groups of rules are none of the stack's own."""
    alerts = [{"name": "A", "signal": "http_p95", "above": 1, "severity": "warning", "group": "objectives"}]

    said = complaint(systems=bookshop(tmp_path, alerts=alerts))
    assert "systems.bookshop: objectives would be two groups of rules" in said


def test_every_source_of_a_service_is_read(tmp_path: Path) -> None:
    """Proves that several log files of one service are each followed, in their own formats."""
    logs = [
        {"service": "web", "path": "/var/log/a.json"},
        {"service": "web", "format": "text", "path": "/var/log/b.log"},
    ]
    made = stack(systems=bookshop(tmp_path, logs=logs))
    receivers = yaml_file(made, "collector", "collector.yml")["receivers"]

    assert receivers["file_log/bookshop-web"]["include"] == ["/var/log/a.json"]
    assert receivers["file_log/bookshop-web-2"]["include"] == ["/var/log/b.log"]


@pytest.mark.parametrize(("runtime", "reader"), [("docker", "collector"), ("kubernetes", "agent")])
def test_who_follows_log_files(tmp_path: Path, runtime: str, reader: str) -> None:
    """Proves that the files that a profile names are followed where they lie: on each node of a cluster."""
    logs = [{"service": "web", "path": "/var/log/a.json"}]
    alerting = {"default": "all", "receivers": {"all": {"webhook": {"url": "http://a/"}}}}
    made = stack(runtime=runtime, systems=bookshop(tmp_path, logs=logs), alerting=alerting)

    assert [
        program.name
        for program in made.programs
        for path in program.files
        if path in {"collector.yml", "agent.yml"}
        and "file_log/bookshop-web" in yaml_file(made, program.name, path)["receivers"]
    ] == [reader]
    assert made.left_out == ()


def test_limits_of_different_units_have_names_of_their_own() -> None:
    """Proves that a limit is never put upon a namesake: the hosts' share is not a system's percent."""
    systems: dict[str, Any] = {"personal-assistant": {}}
    wide = {"HighCPUUsage@critical": {"threshold": 0.85}}

    said = complaint(systems=systems, exporters={"node": {}}, alerting={"overrides": wide})
    assert "(accepted: environment/HighCPUUsage@critical, personal-assistant/HighCPUUsage)" in said

    own = {"environment/HighCPUUsage@critical": {"threshold": 0.85}}
    made = stack(systems=systems, exporters={"node": {}}, alerting={"overrides": own})
    limits = {
        (alert.of, alert.severity.value): alert.threshold
        for group in made.groups
        for alert in group.alerts
        if alert.name == "HighCPUUsage"
    }
    assert limits == {("", "warning"): 0.8, ("", "critical"): 0.85, ("personal-assistant", "critical"): 90}
