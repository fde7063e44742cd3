"""The contract: each line of requirements.yaml is looked for in what `make render` writes."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from sample_app.errors import FILTERED, scrub

from loadtests import measurements
from loadtests.shapes import SHAPES
from specs.log_paths import INSIDE
from specs.log_queries import QUERIES
from specs.model import Secret, seconds
from specs.outputs import Made
from specs.routing import silenced
from specs.settings import Elk, Errors
from specs.stack import build
from specs.workload import SecretRef
from tests.contract.facts import CONTRACT, FILE, Fact, covers, facts
from tests.contract.promql import selectors
from tests.contract.rendered import Board, Panel, Rendered, Target, rendered
from tests.rules.test_rules import EXAMPLES
from tests.specs.support import EVERY_EXPORTER, ROOT, committed, settings
from tests.specs.support import FILE as SETTINGS_FILE
from tools.render import files

ORIGINAL = ROOT.parent / "shared" / "requirements.yaml"
CHECKSUM = "8ff7b08b60877e824969cb072e1d6cce98ac80474065575bf78633cfcd0245f3"
PROD = rendered("prod")
SYSTEMS: Sequence[str] = tuple(CONTRACT["systems"])
USUAL: Mapping[str, Any] = CONTRACT["environment_wide"]
GUIDES = (ROOT / "docs" / "guides.md").read_text(encoding="utf-8")
APP = r"systems\.(?P<app>[\w-]+)"


def section(app: str) -> str:
    """What the page on the guides says of a system."""
    return GUIDES.partition(f"\n## {app}\n")[2].partition("\n## ")[0]


def explained(app: str, *words: str) -> None:
    """The page has a row about it: what the guide says, what we do, and why."""
    rows = [row for row in section(app).splitlines() if row.startswith("| ") and row.count(" | ") == 2]
    assert any(all(f"`{word}`" in row for word in words) for row in rows), f"docs/guides.md: no row about {words}"


def same(found: Iterable[object], wanted: object) -> None:
    """It is there."""
    there = list(found)
    assert wanted in there, f"{wanted!r} is not among {there}"


def rules(app: str = "", kind: str = "alert") -> list[Mapping[str, Any]]:
    """Rules that cover a system: its own, and those of the environment; no system: only the latter."""
    return [
        rule
        for file, groups in PROD.rules().items()
        if file == app or file not in SYSTEMS
        for group in groups
        for rule in group["rules"]
        if kind in rule
    ]


def targets(app: str) -> list[Target]:
    """What is scraped of a system."""
    return [target for target in PROD.targets() if target.app == app]


def boards(folder: str, title: str) -> Board:
    """The dashboard of this title in a folder."""
    (found,) = (board for board in PROD.boards if (board.folder, board.title) == (folder, title))
    return found


def panel(app: str, title: str) -> Panel:
    """The panel of this title on some dashboard of a system."""
    found = [each for board in PROD.boards if board.folder == app for each in board.panels if each.title == title]
    assert found, f"no panel {title} of {app}"
    return found[0]


# Conventions.


@covers(r"conventions\.sample_labels\[.+\]")
def _sample_label(label: str) -> None:
    for target in PROD.targets():
        # Prometheus adds the job and, unless something else says it, the instance.
        assert label in {"job", "instance"} or target.labels.get(label), target
    if label == "environment":
        assert {target.labels["environment"] for target in PROD.targets()} == {PROD.stack.context.settings.environment}
    if label != "app":
        return
    for app in SYSTEMS:
        assert targets(app)
        asked = [rule["expr"] for group in PROD.rules()[app] for rule in group["rules"]]
        asked += [
            query for board in PROD.boards if board.folder == app for each in board.panels for query in each.promql
        ]
        for expr in asked:
            assert {selector.of("app") for selector in selectors(expr)} == {app}, expr


@covers(r"conventions\.external_labels\[.+\]")
def _external_label(label: str) -> None:
    for found in (PROD, rendered("dev")):
        assert found.announced(label) == found.stack.context.settings.model_dump()[label]


@covers(r"conventions\.alert_labels\[.+\]")
def _alert_label(label: str) -> None:
    # What a rule does not say comes from its expression: promtool shows that with examples of every alert.
    assert [example for example in EXAMPLES for firing in example.fires if not firing.labels.get(label)] == []
    severities = {rule["labels"]["severity"] for app in SYSTEMS for rule in rules(app)}
    assert severities == {"critical", "warning", "info"}


@covers(r"conventions\.alert_annotations\[.+\]")
def _alert_annotation(name: str) -> None:
    of_logs = [rule for groups in PROD.rules("loki").values() for group in groups for rule in group["rules"]]
    for rule in (*(rule for app in SYSTEMS for rule in rules(app)), *of_logs):
        text = rule["annotations"][name]
        assert text
        if name == "runbook_url":
            assert (ROOT / "docs" / "runbooks" / text.rpartition("/")[2]).is_file(), text
        if name == "dashboard_url":
            same((board.uid for board in PROD.boards), text.rpartition("/")[2])


# The environment.


@covers(r"environment_wide\.retention\.(?P<what>\w+)")
def _retention(wanted: str, what: str) -> None:
    limits = PROD.yaml("loki/loki.yml")["limits_config"]
    if what == "metrics":
        kept = PROD.prometheus["storage"]["tsdb"]["retention"]["time"]
        assert wanted == f"{kept} at {PROD.prometheus['global']['scrape_interval']}"
    elif what == "logs":
        # What is archived can still be searched: for longer than asked, never for less.
        assert wanted == f"7d searchable and {limits['retention_period']} archived"
        assert seconds(limits["max_query_lookback"]) == 0
        explained("environment", "7d")
    else:
        (history,) = (rule for rule in limits["retention_stream"] if "alert-history" in rule["selector"])
        assert history["period"] == wanted


@covers(r"environment_wide\.(?P<what>(?:scrape|evaluation)_interval)")
def _interval(wanted: str, what: str) -> None:
    assert PROD.prometheus["global"][what] == wanted


CHANNELS = {channel: f"{channel}_configs" for channel in ("email", "slack", "pagerduty", "webhook")}


def channels(receivers: Iterable[str]) -> set[str]:
    """By what these receivers tell people."""
    told = [receiver for receiver in PROD.alertmanager["receivers"] if receiver["name"] in receivers]
    return {channel for channel, key in CHANNELS.items() for receiver in told if key in receiver}


@covers(r"environment_wide\.alerting\.channels\[.+\]")
def _channel(channel: str) -> None:
    same(channels(receiver["name"] for receiver in PROD.alertmanager["receivers"]), channel)


@covers(r"environment_wide\.alerting\.routes")
def _routes(wanted: str) -> None:
    assert wanted == (
        "critical -> pagerduty and email and slack (continue); warning -> slack; info -> no page, kept for dashboards;"
        " service=security -> security team as well; default -> slack, with email as the backup\n"
    )
    stack = {"alertname": "Any", "app": "observability"}
    assert channels(PROD.told(**stack, severity="critical")) == {"pagerduty", "email", "slack"}
    assert channels(PROD.told(**stack, severity="warning")) == {"slack"}
    assert channels(PROD.told(**stack, severity="info")) == set()
    for severity in ("critical", "warning"):
        usual = PROD.told(**stack, severity=severity)
        assert PROD.told(**stack, severity=severity, service="security") == {*usual, "security-team"}
    assert PROD.told(**stack) == {"slack"}
    assert "email" in PROD.told(alertname="AlertmanagerNotificationsFailing", app="observability", severity="critical")


@covers(r"environment_wide\.alerting\.grouping\.(?P<what>\w+)")
def _grouping(wanted: object, what: str) -> None:
    found = PROD.alertmanager["global"] if what == "resolve_timeout" else PROD.alertmanager["route"]
    assert found[what] == wanted


@covers(r"environment_wide\.alerting\.inhibit")
def _inhibit(wanted: str) -> None:
    assert wanted == (
        "critical silences warning and info of the same alertname, cluster, app and service;"
        " a system that is down silences its own symptoms"
    )
    of = {"alertname": "Slow", "cluster": "prod", "environment": "prod", "app": "roadtrip", "service": "api"}
    critical = {**of, "severity": "critical"}
    for severity in ("warning", "info"):
        assert silenced(PROD.inhibitions(), [critical], {**of, "severity": severity})
        for label in ("alertname", "cluster", "app", "service"):
            assert not silenced(PROD.inhibitions(), [critical], {**of, "severity": severity, label: "other"})
    down = {**of, "alertname": "SystemDown", "severity": "info"}
    assert silenced(PROD.inhibitions(), [down], {**of, "severity": "critical"})
    assert not silenced(PROD.inhibitions(), [down], {**of, "severity": "critical", "app": "wwmaa"})
    same((rule["alert"] for rule in rules()), "SystemDown")


@covers(r"environment_wide\.hosts\.dashboard\.title", r"environment_wide\.hosts\.dashboard\.panels\[.+\]")
def _host_dashboard(wanted: str) -> None:
    board = boards("observability", "System Overview")
    if wanted != board.title:
        same((each.title.lower() for each in board.panels), wanted.lower())


JOBS = {"celery_flower": "celery", "blackbox": "blackbox-exporter", "json": "json-exporter"}
"""Scrape jobs that are not called what the contract calls their exporters."""


@covers(r"environment_wide\.exporters\.(?P<name>\w+)")
def _exporter(port: int, name: str) -> None:
    found = [target for target in PROD.targets() if target.job == JOBS.get(name, name)]
    ports = {int(target.address.rpartition(":")[2]) for target in found}
    if not found:
        # Pods of the stack are found by the API of the cluster.
        ports = {each.number for each in PROD.stack.workload(f"{name}-exporter").ports}
    # Further servers of one kind take the ports that follow.
    assert min(ports) == port
    assert max(ports) < port + max(1, len(found))
    if name == "json":
        parts = build(settings(exporters=EVERY_EXPORTER), file=SETTINGS_FILE, absent=["json_exporter"])
        assert parts.left_out == ("json exporter: left out, since there is no json_exporter on PATH",)
        assert "json-exporter" not in parts.names


PARTS = {"jaeger_ui": "jaeger", "otlp_grpc": "collector", "otlp_http": "collector"}


@covers(r"environment_wide\.components\.(?P<name>\w+)")
def _component(port: int, name: str) -> None:
    ports = PROD.inventory["workloads"][PARTS.get(name, name)]["ports"]
    same(((each["number"], each["published"]) for each in ports), (port, True))


PRACTICE = r"environment_wide\.dashboards_best_practice"


@covers(rf"{PRACTICE}\[panel descriptions\]")
def _descriptions(_wanted: str) -> None:
    assert [(board.uid, each.title) for board in PROD.boards for each in board.panels if not each.description] == []


@covers(rf"{PRACTICE}\[consistent colours\]")
def _colours(_wanted: str) -> None:
    fields = [each.json.get("fieldConfig", {}).get("defaults", {}) for board in PROD.boards for each in board.panels]
    steps = [step["color"] for field in fields for step in field.get("thresholds", {}).get("steps", [])]
    # Well, for information, warning, critical.
    assert set(steps) == {"green", "blue", "orange", "red"}


@covers(rf"{PRACTICE}\[sensible refresh and default time range\]")
def _time_range(_wanted: str) -> None:
    ranges = {(board.json["refresh"], board.json["time"]["from"]) for board in PROD.boards}
    assert ranges == {("30s", "now-1h"), ("1m", "now-24h")}


@covers(rf"{PRACTICE}\[deployment annotations\]")
def _deployments(_wanted: str) -> None:
    for board in PROD.boards:
        marks = [mark.get("target", {}).get("tags", []) for mark in board.json["annotations"].get("list", [])]
        # A dashboard of one system has the deployments of that system.
        owner = [board.folder] if board.folder in SYSTEMS else ["observability"] * (board.uid == "observability-stack")
        same(marks, ["deployment", *owner])


@covers(rf"{PRACTICE}\[links between logs traces and metrics\]")
def _links(_wanted: str) -> None:
    sources = {source["name"]: source["jsonData"] for source in _datasources()}
    assert sources["Prometheus"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == "jaeger"
    assert sources["Loki"]["derivedFields"][0]["datasourceUid"] == "jaeger"
    assert sources["Jaeger"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert sources["Jaeger"]["tracesToMetrics"]["datasourceUid"] == "prometheus"
    for board in PROD.boards:
        if board.folder in SYSTEMS:
            same((link["url"].partition("?")[0] for link in board.json["links"]), "/d/logs")


def _datasources() -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = PROD.yaml("grafana/provisioning/datasources/stack.yml")["datasources"]
    return found


# Alerts.

UNITS = {"%": 0.01, "GiB": 2**30}


def limit(means: str) -> tuple[str, float] | None:
    """The comparison that a sentence of the contract has; None: it is told in words alone."""
    found = re.search(r"(<|>|==) ([0-9.]+) ?(%|GiB)?", means)
    return (found[1], float(found[2]) * UNITS.get(found[3], 1)) if found else None


WORDS = {
    "any scrape target is down": ("==", 0.0),
    "resident memory grows steadily for an hour": (">", 1e6),
}
"""Limits of what the contract tells in words: a quarter of an hour's growth beyond a megabyte, four times over."""
ASKS = {
    "5xx": ("5..",),
    "p95": ("histogram_quantile(0.95,",),
    "share": (" / ",),
    "non-idle CPU": ("node_cpu_seconds_total", 'mode="idle"', "1 - "),
    "memory not available": ("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",),
    "free space of a real filesystem": ("node_filesystem_avail_bytes", "fstype!~"),
    "free space of the database's filesystem": ("node_filesystem_avail_bytes", "/var/lib/(postgresql"),
    "free space under /var/lib/postgresql": ("node_filesystem_avail_bytes", "/var/lib/(postgresql"),
    "% free": ("node_filesystem_avail_bytes",),
    "MemAvailable": ("node_memory_MemAvailable_bytes", " / node_memory_MemTotal_bytes"),
    "redis hits / (hits + misses)": ("rate(redis_keyspace_hits_total", "rate(redis_keyspace_misses_total"),
    "any scrape target is down": ("up == 0",),
    "up ==": ("up == 0",),
    "per minute": (" * 60 ",),
    "per second": ("rate(",),
    "summed": ("sum by (",),
    "sum over the system": ("sum by (",),
    "resident memory grows steadily": ("process_resident_memory_bytes", "min_over_time((", "[1h:15m]"),
}
"""What an expression has, where the contract says this."""


def compared(expr: str) -> tuple[str, float]:
    """How an expression ends before its gate of traffic: the comparison and its limit."""
    found = re.search(r"(<|>|==) (-?[0-9.]+)$", expr.partition("\nand on (")[0])
    assert found, expr
    return found[1], float(found[2])


@covers(rf"{APP}\.alerts\[.+\]", r"(?P<app>environment)_wide\.hosts\.alerts\[.+\]")
def _alert(wanted: Mapping[str, Any], app: str) -> None:
    covering = rules("" if app == "environment" else app)
    named = [rule for rule in covering if rule["alert"] == wanted["name"]]
    asked = limit(wanted["means"]) or WORDS[wanted["means"]]
    # Of a state of 1 or 0, what is not 1 is 0.
    also = ("<", 1.0) if asked == ("==", 0.0) else asked
    matching = [
        rule
        for rule in named
        if rule["labels"]["severity"] == wanted["severity"]
        and ("for" not in wanted or rule.get("for") == wanted["for"])
        and any(
            found[0] == want[0] and math.isclose(found[1], want[1])
            for found in [compared(rule["expr"])]
            for want in (asked, also)
        )
    ]
    assert matching, [(rule["labels"]["severity"], rule.get("for"), compared(rule["expr"])) for rule in named]
    rule = matching[0]
    for words, parts in ASKS.items():
        if words in wanted["means"]:
            # Which targets a rule is about, others of the same name complete.
            expr = re.sub(r"\bup{.*}", "up", rule["expr"])
            assert all(part in f"{expr} " for part in parts), rule["expr"]
    for metric in re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)+", wanted["means"]):
        assert metric in rule["expr"]
    if "service" in wanted:
        assert rule["labels"]["service"] == wanted["service"]
    if app in SYSTEMS:
        owned = {selector.of("app") for selector in selectors(rule["expr"])}
        assert owned == {app} or (owned == {None} and _has_what_it_watches(app, rule["expr"]))
    if "mend" in wanted:
        explained(app, wanted["name"])


def _has_what_it_watches(app: str, expr: str) -> bool:
    jobs = {target.job for target in targets(app)}
    return "node" in jobs if "node_" in expr else bool(jobs)


COVERING = {
    "http latency and errors": {"HighErrorRate", "HighResponseTime"},
    "zerodb slow queries": {"ZeroDBSlow"},
    "each external API's latency and errors": {"ExternalAPISlow", "ExternalAPIErrors"},
    "cache hit rate": {"LowCacheHitRate"},
    "background job failures and overruns": {"BackgroundJobFailing", "BackgroundJobOverrun"},
}


@covers(rf"{APP}\.alerts_cover\[.+\]")
def _alerts_cover(wanted: str, app: str) -> None:
    own = {rule["alert"] for group in PROD.rules()[app] for rule in group["rules"] if "alert" in rule}
    assert COVERING[wanted] <= own


@covers(rf"{APP}\.alert_groups\[.+\]", rf"{APP}\.rule_files\.(?P<severity>\w+)")
def _group(wanted: str, app: str, severity: str | None = None) -> None:
    groups = {group["name"]: group["rules"] for group in PROD.rules()[app]}
    if wanted == "system_alerts":
        # They are about hosts: one set of rules for those of every system.
        same((rule["alert"] for group in PROD.rules()["node"] for rule in group["rules"]), "HighCPUUsage")
        explained(app, wanted)
        return
    assert groups[wanted]
    assert severity is None or {rule["labels"]["severity"] for rule in groups[wanted]} == {severity}


# Scrapes, exporters, metrics.


@covers(rf"{APP}\.scrape\[.+\]")
def _scrape(wanted: Mapping[str, Any], app: str) -> None:
    job = wanted.get("job", f"{app}-backend")
    path, interval = wanted.get("path", "/metrics"), wanted.get("interval", USUAL["scrape_interval"])
    port = int(wanted["target"].rpartition(":")[2])
    # One Prometheus watches itself for all of them.
    owner = "observability" if job == "prometheus" else app
    same((each["job_name"] for each in PROD.prometheus["scrape_configs"]), job)
    # Pods of the stack are found by the API of the cluster.
    scraped = rendered("dev").targets() if owner == "observability" else targets(owner)
    (found,) = (target for target in scraped if target.job == job)
    if "mend" in wanted:
        explained(app, job)
    if path != "/metrics":
        # Not in Prometheus' format: through the exporter that reads it, and the usual page as well.
        (page,) = (target for target in targets(app) if target.address.endswith(path))
        assert page.through.endswith(f":{USUAL['exporters']['json']}")
        assert page.address == f"http://{found.address}{path}"
        assert seconds(page.interval) <= seconds(interval)
    if found.labels.get("instance"):
        # The stack's own exporter asks the server.
        first, others = USUAL["exporters"][job], [target for target in PROD.targets() if target.job == job]
        assert first <= int(found.address.rpartition(":")[2]) < first + len(others)
        assert port in {first, int(found.labels["instance"].rpartition(":")[2])}
    else:
        assert found.address.endswith(f":{port}")
    assert (found.path, found.through) == ("/metrics", "")
    # Redis is asked as often as its health check wants it.
    assert found.interval == ("10s" if job == "redis" else interval)


@covers(rf"{APP}\.exporters\[.+\]")
def _own_exporter(name: str, app: str) -> None:
    same((target.job for target in targets(app)), JOBS.get(name, name))


def uses(app: str) -> str:
    """Everything that is asked about a system: panels, alerts, objectives."""
    asked = [rule["expr"] for rule in (*rules(app), *rules(app, "record"))]
    return "\n".join((*asked, *(each.queries for board in PROD.boards if board.folder == app for each in board.panels)))


IN_WORDS = {
    "http request latency and throughput": ("http_request_duration_seconds_bucket", "http_requests_total"),
    "zerodb query duration by operation and collection": ("zerodb_query_duration_seconds_bucket",),
    "external API duration and errors by service (stripe beehiiv cloudflare ai_registry)": (
        "external_api_duration_seconds_bucket",
        "external_api_requests_total",
    ),
    "redis cache hits and misses": ("cache_hits_total", "cache_misses_total"),
    "background job duration and outcome by job": (
        "background_job_duration_seconds_bucket",
        "background_job_runs_total",
    ),
}
BY_LABELS = {
    "zerodb_query_duration_seconds_bucket": ("operation", "collection"),
    "external_api_duration_seconds_bucket": ("service_name",),
    "background_job_duration_seconds_bucket": ("job_name",),
    "background_job_runs_total": ("job_name",),
}


@covers(rf"{APP}\.metrics(?:\.\w+)?\[.+\]")
def _metric(wanted: str, app: str) -> None:
    asked = uses(app)
    for name in IN_WORDS.get(wanted, (wanted,)):
        assert re.search(rf"\b{name}(_bucket|_count|_sum)?\{{", asked), f"{name}: no panel, alert or objective has it"
        for label in BY_LABELS.get(name, ()):
            assert any(
                re.search(rf"by \([^)]*\b{label}\b[^)]*\) \(rate\({name}\{{", query)
                for board in PROD.boards
                if board.folder == app
                for each in board.panels
                for query in each.promql
            ), f"{name}: no panel tells it by {label}"


# Dashboards.


@covers(rf"{APP}\.dashboards\[(?P<title>[^\]]+)\]\.(?:title|uid)")
def _dashboard(wanted: str, app: str, title: str) -> None:
    board = boards(app, title)
    same((board.title, board.uid), wanted)
    assert board.panels


@covers(rf"{APP}\.dashboards\[(?P<title>[^\]]+)\]\.panels\[.+\]")
def _dashboard_panel(wanted: str, app: str, title: str) -> None:
    found = {each.title.lower(): each for each in boards(app, title).panels}
    same(found, wanted.lower())
    assert found[wanted.lower()].queries


# Objectives and figures.


def objective(app: str, name: str) -> tuple[float, str]:
    """How many of a hundred events are to be good, and the PromQL of the others."""
    own = [rule for group in PROD.rules()[app] for rule in group["rules"] if rule.get("labels", {}).get("slo") == name]
    by_record = {rule["record"]: rule["expr"] for rule in own}
    allowed = re.search(r"\+ ([0-9.e-]+)$", by_record["slo:error_budget"])
    assert allowed
    return round(100 - 100 * float(allowed[1]), 6), by_record["slo:bad_events:rate5m"]


def under(app: str, name: str, percent: float, metric: str, wanted: str) -> None:
    """That share of the observations of a histogram is to be under a time."""
    found, bad = objective(app, name)
    assert found == percent
    assert re.search(rf"{metric}_bucket\{{le=~\"([^\"]+)\"", bad)
    (edges,) = re.findall(r'le=~"([^"]+)"', bad)
    assert re.fullmatch(edges, f"{seconds(wanted):g}")


@covers(rf"{APP}\.targets\.(?P<name>\w+)")
def _target(wanted: str, app: str, name: str) -> None:
    histograms = {
        "api_p95": "http_request_duration_seconds",
        "database_p95": "database_query_duration_seconds",
        "celery_task_p95": "celery_task_duration_seconds",
    }
    if name in histograms:
        under(app, {"celery_task_p95": "task-p95"}.get(name, name.replace("_", "-")), 95, histograms[name], wanted)
        return
    percent, bad = objective(app, "page-p95")
    assert (name, percent) == ("page_p95", 95)
    assert "probe_duration_seconds" in bad
    assert bad.endswith(f"> bool {seconds(wanted):g}")


@covers(rf"{APP}\.slis_slos\.(?:availability|error_rate)", rf"{APP}\.slis_slos\.latency\[.+\]")
def _slo(wanted: str, app: str) -> None:
    latency = re.fullmatch(r"p(\d+) < (\w+)", wanted)
    if latency:
        under(app, f"latency-p{latency[1]}", float(latency[1]), "http_request_duration_seconds", latency[2])
        return
    figure = float(wanted.removeprefix("< ").removesuffix("%"))
    name, percent = ("error-rate", 100 - figure) if wanted.startswith("<") else ("availability", figure)
    found, bad = objective(app, name)
    assert found == percent
    assert 'status=~"5.."' in bad


@covers(rf"{APP}\.slos")
def _slos(wanted: str, app: str) -> None:
    assert (
        wanted
        == "availability and latency objectives of the HTTP API, reviewed weekly (a dashboard row and burn-rate alerts)"
    )
    for name in ("availability", "latency"):
        assert "http_request" in objective(app, name)[1]
    same((rule["alert"] for rule in rules(app)), "ErrorBudgetBurn")
    slo = boards("observability", "SLO")
    same((each["title"] for each in slo.json["panels"] if each["type"] == "row"), "Reviewed Weekly")


FIGURES = {
    "response_time.p50": ("latency-p50", "200ms"),
    "response_time.p95": ("latency-p95", "1000ms"),
    "response_time.p99": ("latency-p99", "2000ms"),
}


@covers(rf"{APP}\.kpis\.(?P<kind>\w+)\.(?P<name>\w+)")
def _kpi(wanted: Any, app: str, kind: str, name: str) -> None:
    if kind == "response_time":
        under(app, f"latency-{name}", float(name[1:]), "http_request_duration_seconds", wanted)
    elif kind == "utilisation":
        percent, bad = objective(app, name.replace("_", "-"))
        assert percent == 95
        assert bad.endswith(f"> bool {float(wanted.removesuffix('%')) / 100:g}")
        assert {"cpu": "node_cpu", "memory": "node_memory", "disk_io": "node_disk_io"}[name] in bad
    elif name in {"uptime", "error_rate"}:
        figure = float(wanted.removesuffix("%"))
        percent, bad = objective(app, name.replace("_", "-"))
        assert percent == (figure if name == "uptime" else 100 - figure)
        assert ("probe_success" if name == "uptime" else 'status=~"5.."') in bad
    else:
        asked, part = THROUGHPUT[name]
        own = [rule for rule in rules(app, "record") if rule.get("labels", {}).get("kpi") == asked]
        found = {rule["record"]: rule["expr"] for rule in own}
        assert part in found["kpi:value"]
        target = seconds(wanted) if isinstance(wanted, str) else wanted
        assert found["kpi:target"].endswith(f"+ {target:g}")
        assert any("kpi:target" in each.queries for each in boards("observability", "SLO").panels)


THROUGHPUT = {
    "rps": ("Requests a second", "http_requests_total"),
    "users": ("People at once", "user_active_sessions"),
    "db_qps": ("Database queries a second", "database_query_duration_seconds_count"),
    "recovery": ("Seconds until an outage is over", "probe_success"),
}


# Slow queries, cache, costs, load tests.


@covers(rf"{APP}\.cache")
def _cache(wanted: str, app: str) -> None:
    assert wanted == "redis hit rate, memory, evictions on a dashboard"
    for title, metric in (
        ("Cache Hit Rate", "redis_keyspace_hits_total"),
        ("Cache Memory", "redis_memory_used_bytes"),
        ("Cache Evictions", "redis_evicted_keys_total"),
    ):
        assert metric in panel(app, title).queries


def log_rule(name: str) -> Mapping[str, Any]:
    """A rule that Loki evaluates."""
    every: list[Mapping[str, Any]] = [
        rule for groups in PROD.rules("loki").values() for group in groups for rule in group["rules"]
    ]
    (found,) = (rule for rule in every if rule["alert"] == name)
    return found


@covers(r"systems\.(?P<app>narra-forge)\.slow_queries")
def _slow_statements(wanted: str, app: str) -> None:
    assert wanted == (
        "pg_stat_statements through the postgres exporter, top 10 by total time; log_min_duration_statement 100 ms"
    )
    top = panel(app, "Top Slow Queries")
    assert "topk(10, " in top.queries
    assert "rate(pg_stat_statements_seconds_total{" in top.queries
    same((target.job for target in targets(app)), "postgres")
    assert _receiver(app, "postgres")["operators"][0]["value"] == "postgres"
    # PostgreSQL's own setting is not the stack's: the page says how to make it.
    explained(app, "log_min_duration_statement")


@covers(r"systems\.(?P<app>wwmaa)\.slow_queries\.(?P<what>\w+)")
def _slow_zerodb(wanted: str, app: str, what: str) -> None:
    if what in {"warning", "critical"}:
        rule = log_rule({"warning": "SlowQueries", "critical": "VerySlowQueries"}[what])
        assert rule["labels"]["severity"] == what
        assert rule["expr"].endswith(f"> {1000 * seconds(wanted):g}")
    elif what == "log":
        assert wanted == "slow_queries.log (10 MB x 5)"
        assert _receiver(app, "slow-queries")["include"] == ["/var/log/wwmaa/slow_queries.log"]
        # Whoever writes a file rotates it; the collector follows it through that.
        explained(app, "slow_queries.log")
    else:
        assert wanted == "collection"
        # A line about a collection is a slow query, whatever else it says.
        statements = PROD.collector["processors"]["transform/logs"]["log_statements"]
        assert 'log.attributes["collection"] != nil' in str(statements)


@covers(r"systems\.(?P<app>mysmartnotes)\.slow_queries\.(?P<what>over|from|on_a_dashboard)")
def _slow_in_log(wanted: object, app: str, what: str) -> None:
    asked = {
        "over": ("1s", log_rule("SlowQueries")["expr"].endswith("> 1000")),
        "from": (
            "the application's log",
            _receiver(app, "api-gateway")["include"] == ["/var/log/mysmartnotes/app.log"],
        ),
        "on_a_dashboard": (True, 'app="mysmartnotes"' in panel(app, "Slow Queries").logql[0]),
    }
    assert asked[what] == (wanted, True)


@covers(rf"{APP}\.ai_cost")
def _ai_cost(wanted: str, app: str) -> None:
    assert wanted == "cost in USD per month by model, with a monthly budget alert"
    shown = panel(app, "AI API Cost")
    assert re.search(r"sum by \([^)]*model[^)]*\) \(increase\(ai_api_cost_usd_total\{[^}]*\}\[30d\]\)\)", shown.queries)
    assert shown.json["fieldConfig"]["defaults"]["unit"] == "currencyUSD"
    (budget,) = (rule for rule in rules(app) if rule["alert"] == "AIBudgetExceeded")
    assert "[30d]" in budget["expr"]


@covers(rf"{APP}\.load_tests\.(?P<name>\w+)\.(?P<what>\w+)")
def _load_test(wanted: Any, app: str, name: str, what: str) -> None:
    assert app == "narra-forge"
    if name == "pass_when":
        criteria = {
            "p95": f"{measurements.P95_MS}ms",
            "error_rate": f"{measurements.ERROR_SHARE * 100:g}%",
            "throughput": f"{measurements.THROUGHPUT} req/s",
        }
        assert criteria[what] == wanted
        return
    shape = SHAPES[name]
    first, *more = shape.stages
    found = {
        "users": shape.peak,
        "spawn_rate": f"{first.users / first.seconds:g}/s",
        "duration": f"{shape.seconds / 60:g}m",
        "ramp": f"{first.seconds / 60:g}m",
        "hold": f"{more[0].seconds / 60:g}m",
        "then": "ramp down" if more[-1].users == 0 and more[-1].seconds > 0 else "",
    }
    assert found[what] == wanted


@covers(rf"{APP}\.performance_test")
def _performance_test(wanted: str, app: str) -> None:
    assert (app, wanted) == ("wwmaa", "every endpoint or one, N requests, a JSON report")
    page = (ROOT / "docs" / "load-testing.md").read_text(encoding="utf-8")
    assert all(word in page for word in ("SHAPE=endpoints", "`ENDPOINTS`", "`REQUESTS`", "`REPORT`", "JSON"))
    explained(app, "performance_test.py")


# Routes.


@covers(rf"{APP}\.channels\[.+\]")
def _system_channel(channel: str, app: str) -> None:
    told = {
        receiver
        for severity in ("critical", "warning")
        for receiver in PROD.told(alertname="Any", app=app, severity=severity)
    }
    same(channels(told), channel)


@covers(rf"{APP}\.channels\.(?P<severity>\w+)")
def _severity_channels(wanted: Sequence[str] | str, app: str, severity: str) -> None:
    if severity == "custom":
        # What is told apart by its label goes to a hook of its own.
        assert wanted in channels(PROD.told(alertname="Any", app=app, severity="warning", service="security"))
        explained(app, "webhook")
    else:
        assert channels(PROD.told(alertname="Any", app=app, severity=severity)) == set(wanted)


@covers(rf"{APP}\.alertmanager\.(?P<what>group_by|group_wait|group_interval|repeat_interval)")
def _timing(wanted: object, app: str, what: str) -> None:
    assert PROD.route(app)[what] == wanted


@covers(rf"{APP}\.alertmanager\.resolve_timeout")
def _resolve_timeout(wanted: str, app: str) -> None:
    assert PROD.alertmanager["global"]["resolve_timeout"] == wanted
    assert app == "wwmaa"


@covers(rf"{APP}\.alertmanager\.receiver")
def _only_receiver(wanted: str, app: str) -> None:
    for severity in ("critical", "warning"):
        assert PROD.told(alertname="Any", app=app, severity=severity) == {wanted}
    assert channels([wanted]) == {"email"}


@covers(rf"{APP}\.alertmanager\.(?P<label>default|critical|warning|service=security|backup)")
def _receivers(wanted: str, app: str, label: str) -> None:
    of = {"alertname": "Any", "app": app}
    if label == "default":
        assert PROD.route(app)["receiver"] == wanted
    elif label == "service=security":
        for severity in ("critical", "warning"):
            same(PROD.told(**of, severity=severity, service="security"), wanted)
    elif label == "backup":
        chain = {"alertname": "AlertmanagerNotificationsFailing", "app": "observability", "severity": "critical"}
        same(PROD.told(**chain), wanted)
        explained(app, "backup")
    else:
        assert PROD.told(**of, severity=label) == {wanted}


@covers(rf"{APP}\.alertmanager\.receivers\.(?P<name>\w+)")
def _receivers_of(wanted: Sequence[str] | str, app: str, name: str) -> None:
    asked = {wanted} if isinstance(wanted, str) else set(wanted)
    severity = {} if name == "default" else {"severity": name}
    told = PROD.told(alertname="Any", app=app, **severity)
    if name == "critical":
        # Told as well, since the guide has it go on to the default.
        told -= PROD.told(alertname="Any", app=app)
    found = set[str]()
    for receiver in PROD.alertmanager["receivers"]:
        if receiver["name"] in told:
            found |= {"email" for _ in receiver.get("email_configs", ())}
            found |= {f'slack "{config["channel"]}"' for config in receiver.get("slack_configs", ())}
    assert found == asked


@covers(rf"{APP}\.alertmanager\.continue_after_critical")
def _continue(wanted: bool, app: str) -> None:
    of = {"alertname": "Any", "app": app}
    assert wanted is (PROD.told(**of) < PROD.told(**of, severity="critical"))
    explained(app, "continue")


@covers(rf"{APP}\.alertmanager\.inhibit")
def _system_inhibit(wanted: str, app: str) -> None:
    assert wanted == "critical silences warning of the same alertname cluster service"
    of = {"alertname": "Slow", "cluster": "prod", "environment": "prod", "app": app, "service": "api_gateway"}
    critical = {**of, "severity": "critical"}
    assert silenced(PROD.inhibitions(), [critical], {**of, "severity": "warning"})
    for label in ("alertname", "cluster", "service"):
        assert not silenced(PROD.inhibitions(), [critical], {**of, "severity": "warning", label: "other"})


# Logs and checks.


def _receiver(app: str, service: str) -> Mapping[str, Any]:
    # Of a cluster's node its agent reads the files.
    agent: Mapping[str, Any] = PROD.yaml("agent/agent.yml")
    name = f"file_log/{app}-{service}"
    found: Mapping[str, Any] = agent["receivers"][name]
    assert any(name in pipeline["receivers"] for pipeline in agent["service"]["pipelines"].values())
    same(rendered("dev").collector["service"]["pipelines"]["logs"]["receivers"], name)
    return {**found, "include": [path.removeprefix(INSIDE) for path in found["include"]]}


TEXT = {
    "nginx access and error": {"nginx": "nginx-access", "nginx-error": "nginx-error"},
    "database query log": {"database": "postgres"},
    "redis": {"redis": "redis"},
}


@covers(rf"{APP}\.log_sources\.(?P<kind>json|text)\[.+\]")
def _log_source(wanted: str, app: str, kind: str) -> None:
    if kind == "json":
        assert _receiver(app, wanted)["operators"][0]["type"] == "json_parser"
        return
    for service, written in TEXT[wanted].items():
        operators = _receiver(app, service)["operators"]
        same(((each["type"], each.get("value")) for each in operators), ("add", written))


@covers(rf"{APP}\.log_queries\[.+\]")
def _log_query(wanted: str, app: str) -> None:
    words = re.sub(r" \(.*\)", "", wanted)
    (found,) = (query for query in QUERIES if query.title.lower() == words)
    (shown,) = (each for each in boards("observability", "Logs").panels if each.title == found.title)
    over = re.search(r"> (\d+) ms", wanted)
    assert shown.kind == "logs"
    assert app == "personal-assistant"
    assert over is None or f"_ms > {over[1]}" in shown.logql[0]


@covers(rf"{APP}\.logs\.(?P<what>\w+)")
def _log_format(wanted: Any, app: str, what: str) -> None:
    service = {"roadtrip": "roadtrip-api", "mysmartnotes": "api-gateway"}[app]
    receiver = _receiver(app, service)
    if what == "format":
        moved = {each.get("from") for each in receiver["operators"]} | {
            each.get("parse_from") for each in receiver["operators"]
        }
        assert receiver["operators"][0]["type"] == "json_parser"
        assert {"attributes.timestamp", "attributes.level", "attributes.message"} <= moved
        # The other fields stay what they are: beside the line, for searches.
        named = set(wanted.removeprefix("JSON: ").split())
        assert {"timestamp", "level", "message", "request_id", "user_id"} <= named
    elif what == "levels_and_services_as_labels":
        limits = PROD.yaml("loki/loki.yml")["limits_config"]["otlp_config"]
        (labels,) = limits["resource_attributes"]["attributes_config"]
        assert limits["severity_text_as_label"] is wanted
        assert labels == {"action": "index_label", "attributes": ["app", "environment", "service.name"]}
    elif what == "file":
        assert receiver["include"] == [wanted]
    else:
        assert wanted == "10 MB x 10"
        explained(app, "rotation")


@covers(rf"{APP}\.request_ids")
def _request_ids(wanted: str, app: str) -> None:
    assert wanted == (
        "X-Request-ID links logs, traces and the response; a log line's request id opens its trace in Grafana"
    )
    assert app == "wwmaa"
    (fields,) = (source["jsonData"]["derivedFields"] for source in _datasources() if source["name"] == "Loki")
    same((field["matcherRegex"] for field in fields), "trace_id")
    same((field["matcherRegex"] for field in fields), "request_id")


@covers(rf"{APP}\.health\.path", rf"{APP}\.health\.parts\[.+\]")
def _health(wanted: str, app: str) -> None:
    (page,) = (target for target in targets(app) if target.address.endswith("/health/metrics"))
    module = page.labels["__param_module"]
    read = {each["name"]: each["path"] for each in PROD.yaml("json-exporter/json.yml")["modules"][module]["metrics"]}
    if wanted.startswith("/"):
        assert page.address.endswith(wanted)
        explained(app, wanted)
    else:
        assert read[wanted] == f"{{ .{wanted} }}"
        assert f"{wanted}{{" in uses(app)


@covers(rf"{APP}\.health_checks\[.+\]")
def _health_check(wanted: Mapping[str, str], app: str) -> None:
    asked = wanted["check"]
    if asked.startswith("HTTP "):
        (found,) = (target for target in targets(app) if target.labels.get("probe") == f"{app}-{wanted['service']}")
        assert found.through.endswith(f":{USUAL['exporters']['blackbox']}")
        assert found.address.endswith(asked.removeprefix("HTTP "))
        assert (found.interval, found.timeout) == (wanted["every"], wanted["timeout"])
        return
    service, condition = {
        "PING": ("redis", "redis_up == 0"),
        "celery answers a ping": ("celery", "flower_worker_online == 1"),
    }[asked]
    (found,) = (target for target in targets(app) if target.labels["service"] == service)
    # No exporter knocks by itself: it asks when it is asked. More often is good too.
    assert seconds(found.interval) <= seconds(wanted["every"])
    assert seconds(found.timeout or min(found.interval, "10s", key=seconds)) <= seconds(wanted["timeout"])
    assert any(condition in rule["expr"] for rule in rules())
    explained(app, wanted["check"])


# Traces, Grafana, the rest.


@covers(rf"{APP}\.tracing\.jaeger_ui", rf"{APP}\.tracing\.protocols\.(?P<protocol>\w+)")
def _tracing(port: int, app: str, protocol: str | None = None) -> None:
    if protocol is None:
        _component(port, "jaeger_ui")
        return
    receivers = PROD.collector["receivers"]
    jaeger, otlp = receivers["jaeger"]["protocols"], receivers["otlp"]["protocols"]
    listening = {
        "thrift_compact_udp": jaeger["thrift_compact"],
        "thrift_binary_udp": jaeger["thrift_binary"],
        "thrift_http": jaeger["thrift_http"],
        "grpc": jaeger["grpc"],
        "zipkin_http": receivers["zipkin"],
        "otlp_grpc": otlp["grpc"],
        "otlp_http": otlp["http"],
    }
    if protocol in listening:
        assert listening[protocol]["endpoint"].endswith(f":{port}")
        for collector in (rendered("dev").collector, PROD.yaml("sampler/sampler.yml")):
            pipelines = collector["service"]["pipelines"].values()
            assert any("otlp_grpc/jaeger" in pipeline["exporters"] for pipeline in pipelines)
    else:
        # Gone for good: the page says so, and what to take instead.
        assert protocol in {"zipkin_thrift_udp_legacy", "sampling_http"}
        explained(app, str(port))


@covers(rf"{APP}\.tracing\.mend")
def _tracing_mend(wanted: str, app: str) -> None:
    assert "5775" in wanted
    explained(app, "6831")


@covers(rf"{APP}\.grafana\.(?P<what>\w+)")
def _grafana(wanted: str, app: str, what: str) -> None:
    environment = PROD.stack.workload("grafana").environment
    if what == "sign_up":
        assert (wanted, environment["GF_USERS_ALLOW_SIGN_UP"]) == ("disabled", "false")
    elif what == "admin_password":
        assert wanted == "never 'admin'"
        assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("$__file{")
        secrets = PROD.stack.workload("grafana").secrets
        assert secrets[environment["GF_SECURITY_ADMIN_PASSWORD"].partition("/config/")[2].removesuffix("}")].generated
        explained(app, "admin")
    else:
        assert wanted == "provisioned and not editable"
        assert {source["editable"] for source in _datasources()} == {False}


@covers(rf"{APP}\.sentry\.(?P<what>\w+)")
def _sentry(wanted: Any, app: str, what: str) -> None:
    asked = Errors(to="dsn", dsn=Secret(secret="sentry-dsn"))  # noqa: S106 - the name of a secret
    block = committed("prod", errors=asked).outputs()["sentry_env"]
    if what == "env":
        assert list(block) == wanted
        assert block["SENTRY_DSN"] == SecretRef("sentry-dsn")
        explained(app, "SENTRY_DSN", "sentry_env")
    elif what == "sample_rate":
        assert float(block["SENTRY_TRACES_SAMPLE_RATE"]) == wanted
    elif what == "releases":
        # Which it is, only a deploy knows: the block must not name one.
        assert wanted is True
        assert "SENTRY_RELEASE" not in block
        assert "SENTRY_RELEASE=" in (ROOT / "docs" / "error-tracking.md").read_text(encoding="utf-8")
    else:
        names = {
            "authorization headers": ("Authorization", "Proxy-Authorization"),
            "password fields": ("password", "new_password"),
            "API keys": ("X-API-Key", "api_key"),
            "tokens": ("access_token", "X-CSRF-Token"),
        }
        assert list(names) == wanted
        for name in (name for same in names.values() for name in same):
            assert scrub({"request": {"headers": {name: "value"}}}) == {"request": {"headers": {name: FILTERED}}}


@covers(rf"{APP}\.annotations")
def _annotations(wanted: str, app: str) -> None:
    assert "through Grafana's API" in wanted
    told = rendered("dev").stack.outputs()["grafana"]["annotations"]
    assert told["url"].endswith("/api/annotations")
    assert isinstance(told["token"], Made)
    # What is posted shows on the system's own dashboards.
    for path, board in rendered("dev").stack.dashboards.items():
        if path.startswith(f"{app}/"):
            (marks,) = [each for each in board["annotations"]["list"] if each["name"] == "Deployments"]
            assert marks["target"]["tags"] == ["deployment", app]


@cache
def _elastic() -> Rendered:
    """The committed stack with what it does not ask for."""
    made = committed("prod", elk=Elk(), apm=True)
    return Rendered(stack=made, files=files(made))


@covers(rf"{APP}\.elk\.elasticsearch\.(?P<what>\w+)")
def _elasticsearch(wanted: Any, app: str, what: str) -> None:
    workload = _elastic().stack.workload("elasticsearch")
    if what == "version":
        # Security is on, and the major is the one that is maintained.
        assert (wanted, workload.program.version.partition(".")[0]) == ("8.x", "9")
        explained(app, "elasticsearch:8.11.0")
    elif what == "single_node":
        assert wanted is True
        assert _elastic().yaml("elasticsearch/elasticsearch.yml")["discovery.type"] == "single-node"
    else:
        assert what == "heap"
        assert workload.environment["ES_JAVA_OPTS"].split()[:2] == [f"-Xms{wanted}", f"-Xmx{wanted}"]


@covers(rf"{APP}\.elk\.logstash\.(?P<what>\w+)")
def _logstash(wanted: Any, app: str, what: str) -> None:
    workload = _elastic().stack.workload("logstash")
    pipeline = _elastic().files["logstash/pipeline/lines.conf"]
    match what:
        case "port":
            assert (workload.ports[0].number, workload.ports[0].protocol) == (wanted, "tcp")
            assert f"port => {wanted}\n" in pipeline
        case "codec":
            assert wanted == "json over tcp"
            assert re.search(r"tcp \{[^}]*codec => json_lines ", pipeline)
            explained(app, "codec => json")
        case "geoip":
            assert re.search(rf'geoip \{{\s+source => "{wanted}"', pipeline)
            explained(app, "geoip")
        case "duration":
            assert f'convert => {{ "duration" => "{wanted}" }}' in pipeline
        case _:
            # Of each system its own, by the name that its lines give.
            assert (what, wanted) == ("index", f"{app}-logs-YYYY.MM.dd")
            assert 'index => "%{[@metadata][app]}-logs-%{+YYYY.MM.dd}"' in pipeline
            explained(app, "mysmartnotes-logs-%{+YYYY.MM.dd}")


@covers(rf"{APP}\.elk\.kibana")
def _kibana(wanted: int, app: str) -> None:
    assert section(app)
    assert [port.number for port in _elastic().stack.workload("kibana").ports if port.published] == [wanted]


@covers(rf"{APP}\.elastic_apm\.apm_server")
def _apm_server(wanted: int, app: str) -> None:
    assert section(app)
    assert [port.number for port in _elastic().stack.workload("apm-server").ports if port.published] == [wanted]


@covers(rf"{APP}\.elastic_apm\.env\[(?P<name>\w+)\]")
def _apm_env(wanted: str, app: str, name: str) -> None:
    block = _elastic().stack.outputs()["elastic_apm_env"]
    assert wanted == name
    # Which service it is, only the application knows.
    assert (f"ELASTIC_APM_{name}" in block) == (name != "SERVICE_NAME")
    explained(app, "SERVICE_NAME", "elastic_apm_env")


@covers(rf"{APP}\.external_labels\.(?P<label>\w+)")
def _own_external_label(wanted: str, app: str, label: str) -> None:
    # They are an environment's: a stack of the system's own says them in its file, as any stack does.
    own: Rendered = rendered("prod", cluster=app, environment="production")
    assert own.announced(label) == wanted
    explained(app, "external_labels")


@covers(rf"{APP}\.guide")
def _guide(wanted: str, app: str) -> None:
    assert re.fullmatch(r"\d{3}_[0-9a-f]{16}\.txt", wanted)
    assert section(app)


# The tests.

FACTS = tuple(facts())
TRIED = [fact for fact in FACTS if fact.check]


@pytest.mark.parametrize("fact", TRIED, ids=lambda fact: fact.path)
def test_rendered(fact: Fact) -> None:
    """Proves that what `make render` writes has this fact of the contract."""
    fact.hold()


def test_every_fact_is_tried() -> None:
    """Proves that no line of the contract is passed over."""
    assert [fact.path for fact in FACTS if not fact.check] == []


def test_copy_is_the_contract() -> None:
    """Proves that the copy is the contract, byte by byte: the original where it stands beside the checkout, and by its
    checksum anywhere."""
    copy = FILE.read_bytes()

    assert hashlib.sha256(copy).hexdigest() == CHECKSUM
    assert not ORIGINAL.exists() or ORIGINAL.read_bytes() == copy


@pytest.mark.parametrize("name", ["local", "dev"])
def test_environments_agree(name: str) -> None:
    """Proves that every environment has the rules and dashboards of production; only addresses and receivers differ."""
    other = rendered(name)

    def rules_of(stack: Rendered) -> set[tuple[str, str, str, str]]:
        return {
            (file, rule["alert"], rule["expr"], str(rule.get("for")))
            for file, groups in stack.rules().items()
            if file in SYSTEMS
            for group in groups
            for rule in group["rules"]
            if "alert" in rule
        }

    assert rules_of(other) == rules_of(PROD)
    # Containers of a cluster are measured by its kubelets.
    assert {(board.folder, board.uid, board.title) for board in other.boards if board.uid != "exporter-cadvisor"} == {
        (board.folder, board.uid, board.title) for board in PROD.boards if board.folder != "cluster"
    }
    assert [
        fact
        for fact in CONTRACT["conventions"]["external_labels"]
        if not other.prometheus["global"]["external_labels"][fact]
    ] == []
