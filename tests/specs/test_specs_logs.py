"""Log lines on their way: a real collector reads each format, a real Loki finds them; and so does the alert history."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from specs import alertmanager, collector, history, log_queries, loki
from specs.addresses import Cluster
from specs.log_formats import FORMATS
from specs.model import SettingsError
from specs.monitoring import number, to_yaml
from specs.part import Context
from specs.scale import SIZES
from specs.settings import Retention
from tests.local.servers import free_offset, free_port
from tests.log_stack import OK, Hook, LogStack, context, eventually, hook, running, started

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime.fromtimestamp(int(time.time()) - 60, UTC).replace(microsecond=123000)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ZONED = NOW.strftime("%Y-%m-%dT%H:%M:%S.123Z")
UNZONED = NOW.strftime("%Y-%m-%dT%H:%M:%S.123000")
LOCAL = NOW.astimezone()

UPSTREAM = 'request: "GET / HTTP/1.1", upstream: "http://10.0.0.1:8000/"'

LINES: Mapping[str, tuple[str, ...]] = {
    "roadtrip/api.json": (
        json.dumps(
            {
                "timestamp": ZONED,
                "level": "INFO",
                "service": "roadtrip-api",
                "request_id": "abc-123",
                "user_id": "user-456",
                "message": "Booking completed",
                "metadata": {"booking_id": "book-789", "commission": 2.5},
                "trace_id": TRACE,
                "span_id": SPAN,
            }
        ),
    ),
    "mysmartnotes/app.json": (
        json.dumps(
            {
                "timestamp": UNZONED,
                "level": "ERROR",
                "logger": "gateway",
                "message": "Request failed",
                "module": "main",
                "function": "upload",
                "line": 12,
                "exception": 'Traceback (most recent call last):\n  File "main.py"\nValueError: no',
                "request_id": "r-2",
                "user_id": "u-7",
            }
        ),
        json.dumps({"timestamp": UNZONED, "level": "WARNING", "message": "Slow query (1.53s): SELECT 1"}),
        json.dumps({"timestamp": UNZONED, "level": "CRITICAL", "message": "Nothing works"}),
        "no JSON at all",
    ),
    "wwmaa/slow-queries.json": (
        json.dumps(
            {
                "timestamp": ZONED,
                "level": "WARNING",
                "message": "find on users",
                "collection": "users",
                "operation": "find",
                "duration": 6.25,
            }
        ),
    ),
    "personal-assistant/api.json": (
        json.dumps(
            {"timestamp": ZONED, "level": "WARNING", "event": "slow_query", "message": "todos", "duration": 1500}
        ),
        json.dumps({"timestamp": ZONED, "level": "INFO", "message": "GET /chat", "response_time": 6000}),
        json.dumps({"timestamp": ZONED, "level": "INFO", "event": "sms_routing", "message": "to Lisbon"}),
        json.dumps({"timestamp": ZONED, "level": "INFO", "logger": "app.oauth", "message": "token refreshed"}),
        json.dumps({"timestamp": ZONED, "level": "INFO", "message": "authentication of u-1"}),
        json.dumps({"timestamp": ZONED, "level": "ERROR", "message": "database_connection lost"}),
        json.dumps({"timestamp": ZONED, "level": "INFO", "message": "cache_miss for todo:1"}),
        json.dumps({"timestamp": ZONED, "level": "INFO", "message": "an ordinary line", "duration": 12}),
    ),
    # Of somebody who writes units: none of these is a number.
    "odd/api.json": (
        json.dumps({"timestamp": ZONED, "level": "INFO", "message": "a slow query", "query_duration_ms": "12ms"}),
        json.dumps({"timestamp": ZONED, "level": "INFO", "message": "GET /odd", "response_time_ms": "9 s"}),
    ),
    "shop/web.nginx-access.log": (
        f'10.0.0.7 - - [{NOW:%d/%b/%Y:%H:%M:%S} +0000] "GET /trips?page=2 HTTP/1.1" 200 512 "-" "curl/8.5" 0.042',
        f'10.0.0.8 - bob [{NOW:%d/%b/%Y:%H:%M:%S} +0000] "POST /pay HTTP/1.1" 502 157 "-" "curl/8.5"',
        f'10.0.0.9 - - [{NOW:%d/%b/%Y:%H:%M:%S} +0000] "\\x16\\x03" 400 0 "-" "-" rt=0.001 uct="-"',
    ),
    "shop/web.nginx-error.log": (
        f"{LOCAL:%Y/%m/%d %H:%M:%S} [error] 31#31: *7 connect() failed, client: 10.0.0.7, {UPSTREAM}",
        f"{LOCAL:%Y/%m/%d %H:%M:%S} [emerg] 1#1: bind() failed",
    ),
    "shop/db.postgres.log": (
        f"{NOW:%Y-%m-%d %H:%M:%S}.123 UTC [71] LOG:  duration: 1523.456 ms  statement: SELECT *\n\tFROM trips",
        f'{NOW:%Y-%m-%d %H:%M:%S}.123 UTC [72] bob@shop FATAL:  password authentication failed for user "bob"',
        f"{NOW:%Y-%m-%d %H:%M:%S}.123 UTC [72] bob@shop DETAIL:  Role does not exist.",
    ),
    "shop/cache.redis.log": (
        f"1:M {LOCAL:%d %b %Y %H:%M:%S}.123 # Can't save in background: fork: Cannot allocate memory",
        f"1:M {LOCAL:%d %b %Y %H:%M:%S}.123 * Ready to accept connections tcp",
    ),
    "shop/cron.log": ("first", "  and its second line", "last"),
}
USUAL = {
    "cluster",
    "deployment_environment_name",
    "detected_level",
    "environment",
    "observed_timestamp",
    "severity_number",
    "severity_text_extracted",
}
PEOPLE = {
    "route": {
        "receiver": "team",
        "group_by": ["alertname"],
        "group_wait": "0s",
        "routes": [
            {"receiver": "later", "matchers": ['alertname = "Stuttering"']},
            {"receiver": "broken", "matchers": ['severity = "critical"'], "continue": True},
            {"receiver": "team"},
        ],
    },
    "inhibit_rules": [
        {"source_matchers": ['severity = "critical"'], "target_matchers": ['severity = "info"'], "equal": ["app"]}
    ],
}


@pytest.fixture(scope="module")
def told() -> Generator[Hook]:
    """Who is told of alerts."""
    with hook() as made:
        yield made


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, told: Hook) -> Generator[LogStack]:
    """Collector, Loki and Alertmanager, and every line of LINES on its way."""
    receivers = [
        {"name": "team", "webhook_configs": [{"url": f"http://127.0.0.1:{told.port}/good"}]},
        {"name": "broken", "webhook_configs": [{"url": f"http://127.0.0.1:{told.port}/bad"}]},
        {"name": "later", "webhook_configs": [{"url": f"http://127.0.0.1:{told.port}/later"}]},
    ]
    slow = {"name": "slow", "app": "wwmaa", "service": "slow-queries", "include": ["/nowhere"], "durations": "s"}
    with running(
        tmp_path_factory.mktemp("logs"),
        alertmanager.NAME,
        collector.NAME,
        receivers={**PEOPLE, "receivers": receivers},
        evaluation_interval="1s",
        log_files=[slow],
    ) as made:
        for path, lines in LINES.items():
            made.registered(path, lines)
        yield made


def _lines(logs: LogStack, app: str, service: str, count: int) -> list[tuple[dict[str, str], str, float]]:
    selector = f'{{app="{app}", service_name="{service}"}}'

    def read() -> list[tuple[dict[str, str], str, float]]:
        found = logs.lines(selector)
        return found if len(found) >= count else []

    found = eventually(read, 20, selector)
    assert len(found) == count
    return found


def _line(logs: LogStack, app: str, service: str, count: int, words: str) -> tuple[dict[str, str], str, float]:
    """What is special of the one line with `words`: its labels and metadata, its text, its time."""
    (found,) = [line for line in _lines(logs, app, service, count) if words in line[1]]
    kept = {name: value for name, value in found[0].items() if name not in {*USUAL, "app", "service_name"}}
    return kept, found[1], found[2]


FOUND: tuple[tuple[str, str, int, str, dict[str, str]], ...] = (
    (
        *("roadtrip", "roadtrip-api", 1, "Booking completed"),
        {
            "severity_text": "INFO",
            "request_id": "abc-123",
            "user_id": "user-456",
            "metadata_booking_id": "book-789",
            "metadata_commission": "2.5",
            "trace_id": TRACE,
            "span_id": SPAN,
        },
    ),
    (
        *("mysmartnotes", "app", 4, 'Request failed\nTraceback (most recent call last):\n  File "main.py"\nValueError'),
        {
            "severity_text": "ERROR",
            "logger": "gateway",
            "module": "main",
            "function": "upload",
            "line": "12",
            "request_id": "r-2",
            "user_id": "u-7",
        },
    ),
    (
        *("mysmartnotes", "app", 4, "Slow query (1.53s): SELECT 1"),
        {"severity_text": "WARN", "duration_ms": "1530", "query_duration_ms": "1530"},
    ),
    ("mysmartnotes", "app", 4, "Nothing works", {"severity_text": "FATAL"}),
    (
        *("wwmaa", "slow-queries", 1, "find on users"),
        {
            "severity_text": "WARN",
            "collection": "users",
            "operation": "find",
            "duration_ms": "6250",
            "query_duration_ms": "6250",
        },
    ),
    (
        *("personal-assistant", "api", 8, "todos"),
        {"severity_text": "WARN", "event": "slow_query", "duration_ms": "1500", "query_duration_ms": "1500"},
    ),
    ("personal-assistant", "api", 8, "GET /chat", {"severity_text": "INFO", "response_time_ms": "6000"}),
    ("personal-assistant", "api", 8, "an ordinary line", {"severity_text": "INFO", "duration_ms": "12"}),
    (
        *("shop", "web", 5, "GET /trips"),
        {
            "severity_text": "INFO",
            "log_format": "nginx-access",
            "client_ip": "10.0.0.7",
            "method": "GET",
            "endpoint": "/trips",
            "status": "200",
            "bytes": "512",
            "response_time_ms": "42",
        },
    ),
    (
        *("shop", "web", 5, "POST /pay"),
        {
            "severity_text": "ERROR",
            "log_format": "nginx-access",
            "client_ip": "10.0.0.8",
            "user_id": "bob",
            "method": "POST",
            "endpoint": "/pay",
            "status": "502",
            "bytes": "157",
        },
    ),
    (
        *("shop", "web", 5, "10.0.0.9"),
        {
            "severity_text": "WARN",
            "log_format": "nginx-access",
            "client_ip": "10.0.0.9",
            "status": "400",
            "bytes": "0",
            "response_time_ms": "1",
        },
    ),
    (
        *("shop", "web", 5, "connect() failed"),
        {"severity_text": "ERROR", "log_format": "nginx-error", "pid": "31", "upstream": "http://10.0.0.1:8000/"},
    ),
    ("shop", "web", 5, "bind() failed", {"severity_text": "FATAL", "log_format": "nginx-error", "pid": "1"}),
    (
        *("shop", "db", 3, "statement: SELECT *\n\tFROM trips"),
        {
            "severity_text": "INFO",
            "log_format": "postgres",
            "pid": "71",
            "duration_ms": "1523.456",
            "query_duration_ms": "1523.456",
        },
    ),
    (
        *("shop", "db", 3, "password authentication failed"),
        {"severity_text": "FATAL", "log_format": "postgres", "pid": "72", "db_user": "bob", "db_name": "shop"},
    ),
    (
        *("shop", "db", 3, "Role does not exist"),
        {"severity_text": "INFO", "log_format": "postgres", "pid": "72", "db_user": "bob", "db_name": "shop"},
    ),
    ("shop", "cache", 2, "Can't save", {"severity_text": "WARN", "log_format": "redis", "pid": "1"}),
    ("shop", "cache", 2, "Ready to accept", {"severity_text": "INFO", "log_format": "redis", "pid": "1"}),
)


@pytest.mark.parametrize("row", FOUND, ids=lambda row: f"{row[1]}: {row[3][:30]}")
def test_line_is_read(logs: LogStack, row: tuple[str, str, int, str, dict[str, str]]) -> None:
    """Proves what a line becomes: its level, its metadata with names and units of the house, and the time it names."""
    app, service, count, words, expected = row
    kept, _, at = _line(logs, app, service, count, words)

    assert kept == expected
    assert int(at) == int(NOW.timestamp())


def test_line_that_is_not_of_its_format_is_kept(logs: LogStack) -> None:
    """Proves that a line which is no JSON arrives as it is, with the time at which it was read."""
    kept, text, at = _line(logs, "mysmartnotes", "app", 4, "no JSON")

    assert (kept, text) == ({}, "no JSON at all")
    assert abs(at - time.time()) < 120


def test_indented_lines_belong_to_the_line_above(logs: LogStack) -> None:
    """Proves that a text of several lines is one record."""
    assert sorted(text for _, text, _ in _lines(logs, "shop", "cron", 2)) == ["first\n  and its second line", "last"]


def test_only_four_labels_tell_streams_apart(logs: LogStack) -> None:
    """Proves that no id, status or duration is a label of a stream: these are metadata of the lines."""
    _lines(logs, "shop", "cron", 2)
    answer = httpx.get(f"{logs.loki}/loki/api/v1/series", params={"match[]": '{app=~".+"}'}, timeout=10)
    streams: list[dict[str, str]] = answer.json()["data"]

    assert {name for stream in streams for name in stream} == {"app", "environment", "service_name", "severity_text"}
    assert {stream["severity_text"] for stream in streams if "severity_text" in stream} <= {
        *("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    }


def test_levels_of_otlp_are_spelt_alike(logs: LogStack) -> None:
    """Proves that a record of OTLP has the same level and the same units as one of a file."""
    attributes = [
        {"key": "response_time", "value": {"intValue": "7000"}},
        {"key": "order_id", "value": {"intValue": "7"}},
    ]
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": 13,
        "severityText": "warning",
        "body": {"stringValue": "by OTLP"},
        "attributes": attributes,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "otlp-app"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    answer = httpx.post(f"{logs.url(collector.NAME, collector.OTLP_HTTP)}/v1/logs", json=body, timeout=10)

    assert answer.status_code == OK
    kept, _, _ = _line(logs, "otlp-app", "otlp-app", 1, "by OTLP")
    assert kept == {"severity_text": "WARN", "response_time_ms": "7000", "order_id": "7"}


QUERIED = {
    "errors": ["database_connection lost"],
    "slow-queries": ["todos"],
    "sms-routing": ["to Lisbon"],
    "oauth": ["token refreshed"],
    "authentication": ["authentication of u-1"],
    "slow-requests": ["GET /chat"],
    "database-connection": ["database_connection lost"],
    "cache-misses": ["cache_miss for todo:1"],
}


@pytest.mark.parametrize("query", log_queries.QUERIES, ids=lambda query: query.name)
def test_saved_query_finds_its_lines(logs: LogStack, query: log_queries.LogQuery) -> None:
    """Proves that each saved query finds the lines it is for, by their text or by what stands beside it, and no
    other."""
    _lines(logs, "personal-assistant", "api", 8)

    assert [text for _, text, _ in logs.lines(query.logql.replace("$app", "personal-assistant"))] == QUERIED[query.name]
    assert len(logs.lines(query.logql.replace("$app", ".+"))) >= 1


def test_what_is_no_number_is_not_slow(logs: LogStack) -> None:
    """Proves that a line with `12ms` in the place of a number is in no search for slow ones, and fails no count."""
    kept = [found for found, _, _ in _lines(logs, "odd", "api", 2)]
    assert {found.get("query_duration_ms") for found in kept} == {"12ms", None}
    assert {found.get("response_time_ms") for found in kept} == {"9 s", None}

    for query in log_queries.QUERIES:
        if query.name.startswith("slow-"):
            assert logs.lines(query.logql.replace("$app", "odd")) == []
            counted = f"sum by (app) (count_over_time({query.logql.replace('$app', 'odd|personal-assistant')} [1h]))"
            found = logs.instant(counted, time.time() + 1)
            assert [(one["metric"], one["value"][1]) for one in found] == [({"app": "personal-assistant"}, "1")]


def test_every_saved_query_is_tried() -> None:
    """Proves that no saved query is without lines it must find."""
    assert [query.name for query in log_queries.QUERIES] == list(QUERIED)


# The alert history, and alerts of logs on their way to people.


def _post(logs: LogStack, name: str, severity: str, app: str) -> None:
    labels = {"alertname": name, "severity": severity, "app": app, "service": "web"}
    url = f"{logs.url(alertmanager.NAME, alertmanager.PORT)}/api/v2/alerts"
    assert httpx.post(url, json=[{"labels": labels, "annotations": {"summary": "Words"}}], timeout=5).status_code == OK


def _history(logs: LogStack, name: str, outcome: str) -> dict[str, str]:
    query = f'{history.SELECTOR} | alertname="{name}" | outcome="{outcome}"'
    found = eventually(lambda: logs.lines(query), 20, query)
    return {
        key: value
        for key, value in found[0][0].items()
        if key in {"app", "service_name", "alertname", "event", "receiver", "integration", "reason"}
        or key.startswith("alert_")
    }


def test_history_has_every_notification_and_its_outcome(logs: LogStack) -> None:
    """Proves that what is delivered, what fails and what an inhibition holds back all stand in the history: which
    alert, to whom, by what."""
    _post(logs, "Burning", "critical", "shop")
    stream = {"app": "observability", "service_name": "alert-history"}
    alert = {"alertname": "Burning", "alert_app": "shop", "alert_service": "web", "alert_severity": "critical"}

    assert _history(logs, "Burning", "delivered") == {
        **stream,
        **alert,
        "event": "notification",
        "receiver": "team",
        "integration": "webhook",
        "reason": "FIRST_NOTIFICATION",
    }
    assert _history(logs, "Burning", "failed") == {
        **stream,
        "alertname": "Burning",
        # A group's key has no more than what the route groups by and matches.
        "alert_severity": "critical",
        "receiver": "broken",
        "integration": "webhook",
    }
    _post(logs, "Stuttering", "warning", "mill")
    assert _history(logs, "Stuttering", "retried") == {
        **stream,
        "alertname": "Stuttering",
        "receiver": "later",
        "integration": "webhook",
    }
    _post(logs, "Smoking", "info", "shop")
    assert _history(logs, "Smoking", "inhibited") == {
        **stream,
        "alertname": "Smoking",
        "alert_app": "shop",
        "alert_service": "web",
        "alert_severity": "info",
        "event": "inhibitionMutedAlert",
    }
    panel = eventually(lambda: logs.lines(history.PANEL), 10, "the panel")
    assert "delivered: Burning of shop to team by webhook FIRST_NOTIFICATION" in [text for _, text, _ in panel]
    counts = logs.instant(history.COUNTS.replace("$__range", "1h"), time.time() + 1)
    assert {"receiver": "broken", "integration": "webhook", "outcome": "failed"} in [one["metric"] for one in counts]


def test_history_has_what_a_silence_holds_back(logs: LogStack) -> None:
    """Proves that an alert that is silenced stands in the history as that, and that the silence does too, with who made
    it."""
    silence = {
        "matchers": [{"name": "alertname", "value": "Hushed", "isRegex": False, "isEqual": True}],
        "startsAt": datetime.fromtimestamp(time.time() - 1, UTC).isoformat(),
        "endsAt": datetime.fromtimestamp(time.time() + 600, UTC).isoformat(),
        "createdBy": "ada",
        "comment": "repair",
    }
    url = f"{logs.url(alertmanager.NAME, alertmanager.PORT)}/api/v2/silences"
    assert httpx.post(url, json=silence, timeout=5).status_code == OK
    _post(logs, "Hushed", "warning", "mill")

    assert _history(logs, "Hushed", "silenced") == {
        "app": "observability",
        "service_name": "alert-history",
        "alertname": "Hushed",
        "alert_app": "mill",
        "alert_service": "web",
        "alert_severity": "warning",
        "event": "silenceMutedAlert",
    }
    made = rf'{history.SELECTOR} | event="silenceCreated" |~ `"createdBy":\s*"ada"`'
    assert eventually(lambda: logs.lines(made), 10, made)


@contextmanager
def _posted(logs: LogStack, home: Path, cluster: Context, *events: Mapping[str, Any]) -> Generator[None]:
    """Send events through the collector of a cluster. The receiver is another one here, since the collector of a
    process stack lacks that of the image: it hands on what that one does."""
    made = context(free_offset())
    usual, posted = collector.workload(made), yaml.safe_load(collector.workload(cluster).files["alert-history.yml"])
    endpoint = f"127.0.0.1:{free_port()}"
    posted["receivers"] = {"otlp/alert_history": {"protocols": {"http": {"endpoint": endpoint}}}}
    posted["service"]["pipelines"]["logs/alert_history"]["receivers"] = ["otlp/alert_history"]
    config = yaml.safe_load(usual.files["collector.yml"])
    config["exporters"]["otlp_http/loki"]["endpoint"] = f"{logs.loki}/otlp"
    files = {"collector.yml": to_yaml(config), "alert-history.yml": to_yaml(posted)}
    scope = {
        "name": "otelcol/webhookeventreceiver",
        "attributes": [{"key": "receiver", "value": {"stringValue": "webhookevent"}}],
    }
    records = [
        {"observedTimeUnixNano": str(time.time_ns()), "body": {"stringValue": json.dumps(event)}} for event in events
    ]
    body = {"resourceLogs": [{"scopeLogs": [{"scope": scope, "logRecords": records}]}]}
    with started(replace(usual, files=files), home, made):
        assert httpx.post(f"http://{endpoint}/v1/logs", json=body, timeout=10).status_code == OK
        yield


def _said(at: str, **data: Any) -> dict[str, Any]:
    return {"@timestamp": NOW.strftime(f"%Y-%m-%dT%H:%M:%S.{at}Z"), "instance": "here", "data": data}


def test_posted_event_is_read_alike(logs: LogStack, tmp_path: Path) -> None:
    """Proves that an event that is posted to the collector becomes the same as one of a file."""
    labels = [{"key": "alertname", "value": "Posted"}, {"key": "app", "value": "shop"}]
    event = _said(
        "123456789",
        notification={
            "alerts": [{"details": {"labels": {"labels": labels}}}],
            "groupInfo": {"receiverName": "night watch"},
            "reason": "NOTIFY_REASON_ALL_ALERTS_RESOLVED",
            "integration": {"name": "pagerduty", "index": "1"},
        },
    )
    with _posted(logs, tmp_path, _in_cluster(), event):
        found = _history(logs, "Posted", "delivered")

    assert found == {
        "app": "observability",
        "service_name": "alert-history",
        "alertname": "Posted",
        "alert_app": "shop",
        "event": "notification",
        "receiver": "night watch",
        "integration": "pagerduty",
        "reason": "ALL_ALERTS_RESOLVED",
    }


def test_three_alertmanagers_mute_an_alert_once(logs: LogStack, tmp_path: Path) -> None:
    """Proves that of replicas that gossip, which all say that they muted an alert, the first one alone counts; and that
    what a later one tells people counts whichever it is."""
    labels = {"labels": {"labels": [{"key": "alertname", "value": "Thrice"}, {"key": "app", "value": "shop"}]}}
    muted = {"mutedAlert": labels}
    told = {"alerts": [{"details": labels}], "groupInfo": {"receiverName": "team"}, "integration": {"name": "webhook"}}
    events = [
        _said("1", silenceMutedAlert=muted),
        *(_said(str(place), silenceMutedAlert=muted) | {"clusterPosition": place} for place in (1, 2)),
        _said("3", notification=told) | {"clusterPosition": 2},
    ]
    query = f'{history.SELECTOR} | alertname="Thrice"'
    with _posted(logs, tmp_path, replace(_in_cluster(), scale=SIZES["small"]), *events):
        found = eventually(lambda: lines if len(lines := logs.lines(query)) == 4 else [], 20, query)

    assert sorted(labels.get("outcome", "") for labels, _, _ in found) == ["", "", "delivered", "silenced"]


def test_lines_wait_for_loki(tmp_path: Path) -> None:
    """Proves that no line is lost while Loki is away for longer than there is room for what waits: the files wait, and
    each line is there once afterwards."""
    made = context(free_offset())
    whole = collector.workload(made)
    config = yaml.safe_load(whole.files["collector.yml"])
    # Room for about a thirtieth of the lines; all of a queue's room is a matter of hours.
    config["exporters"]["otlp_http/loki"]["sending_queue"]["queue_size"] = 50_000
    config["exporters"]["otlp_http/loki"]["sending_queue"]["batch"] |= {"min_size": 5_000, "max_size": 10_000}
    small = replace(whole, files={**whole.files, "collector.yml": to_yaml(config)})
    store = loki.workload(made, loki.log_groups(), runbooks="http://a.example.com", dashboards="http://b.example.com")
    stack = LogStack(home=tmp_path, context=made)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    sent = [json.dumps({"timestamp": f"{at}.{number:06d}Z", "message": f"line {number}"}) for number in range(6000)]

    with started(small, tmp_path, made):
        stack.registered("shop/web.json", sent)
        # Long enough for every line to be read and, if it were so, dropped.
        time.sleep(5)
        with started(store, tmp_path, made):
            count = 'sum(count_over_time({app="shop"}[1h]))'

            def found() -> int:
                return sum(int(sample["value"][1]) for sample in stack.instant(count, time.time()))

            eventually(lambda: found() >= len(sent), 100, "every line")
            assert found() == len(sent)


def test_history_is_not_told_twice(logs: LogStack) -> None:
    """Proves that Alertmanager's events are in the history alone, and its other lines still are its own."""
    _post(logs, "Burning", "critical", "shop")
    own = '{app="observability", service_name="alertmanager"}'
    eventually(lambda: logs.lines(f"{own} |= `Notify for alerts failed`"), 20, own)

    assert logs.lines(f"{own} |= `@timestamp`") == []


def test_alert_of_a_log_reaches_people(logs: LogStack, told: Hook) -> None:
    """Proves the whole way of an alert on log lines: file, collector, Loki, its ruler, Alertmanager, webhook; with
    the values and links that the rule gives it."""
    logs.registered("bakery/oven.log", ["panic: runtime error: index out of range"])

    def read() -> list[dict[str, Any]]:
        alerts = [alert for message in list(told.told) for alert in message["alerts"]]
        return [
            alert
            for alert in alerts
            if alert["labels"]["alertname"] == "LogPanics" and alert["labels"]["app"] == "bakery"
        ]

    (alert, *_) = eventually(read, 30, "the alert")
    assert alert["labels"] == {
        "alertname": "LogPanics",
        "severity": "critical",
        "app": "bakery",
        "service": "oven",
        "environment": "test",
        "cluster": "here",
    }
    assert alert["annotations"] == {
        "summary": "oven of bakery crashed",
        "description": "1 lines in 5 minutes tell of a panic or a crash (limit 0 lines).",
        "runbook_url": "http://runbooks.example.com/LogPanics.md",
        "dashboard_url": "http://grafana.example.com/d/logs",
    }
    assert alert["generatorURL"].startswith("http://grafana.example.com/explore?")


# What is rendered.


def _in_cluster() -> Context:
    usual = context(runtime="kubernetes")
    return Context(settings=usual.settings, addresses=Cluster(namespace="watch"), file=usual.file)


def _configuration(workload: Callable[[Context], Any], name: str, made: Context) -> dict[str, Any]:
    return dict(yaml.safe_load(workload(made).files[name]))


def test_events_are_posted_where_no_file_is_shared() -> None:
    """Proves that on containers Alertmanager posts its events to the port at which the collector takes them, and that
    both ways go through the same steps."""
    posted, followed = (
        _configuration(collector.workload, "alert-history.yml", made) for made in (_in_cluster(), context())
    )
    (receiver,) = posted["receivers"].values()
    (output,) = history.alertmanager_config(_in_cluster())["event_recorder"]["webhook_outputs"]

    assert list(posted["receivers"]) == ["webhookevent/alert_history"]
    assert receiver == {"endpoint": "0.0.0.0:8088", "path": "/alert-history"}
    assert output["url"] == "http://collector.watch.svc:8088/alert-history"
    assert collector.workload(_in_cluster()).port("alert-history").number == 8088
    assert list(followed["receivers"]) == ["file_log/alert_history"]
    assert posted["processors"] == followed["processors"]
    pipelines = [each["service"]["pipelines"]["logs/alert_history"] for each in (posted, followed)]
    assert pipelines[0]["processors"] == pipelines[1]["processors"]
    assert [pipeline["receivers"] for pipeline in pipelines] == [list(posted["receivers"]), list(followed["receivers"])]


def test_every_format_is_registered_by_its_ending() -> None:
    """Proves that no file of the registry is read in two formats."""
    receivers = _configuration(collector.workload, "collector.yml", context())["receivers"]
    registered = {name: value for name, value in receivers.items() if name.startswith("file_log/registered_")}

    assert sorted(registered) == sorted(f"file_log/registered_{name}" for name in FORMATS)
    text = registered["file_log/registered_text"]
    assert text["include"] == ["../../registry/logs/*/*.log"]
    others = {
        glob for name, value in registered.items() for glob in value["include"] if name != "file_log/registered_text"
    }
    assert set(text["exclude"]) == others - {"../../registry/logs/*/*.json"}


def test_retention_of_archive_and_history() -> None:
    """Proves which setting drives which limit of Loki, and that nothing hides what is kept."""
    made = context(retention={"logs": "3d", "log_archive": "20d", "alert_history": "100d"})
    limits = yaml.safe_load(loki.workload(made, (), runbooks="http://r", dashboards="http://d").files["loki.yml"])[
        "limits_config"
    ]

    assert {name: limits[name] for name in limits if name.startswith(("retention", "reject", "max_query"))} == {
        "retention_period": "20d",
        "retention_stream": [
            {"selector": '{app="observability", service_name="alert-history"}', "priority": 1, "period": "100d"}
        ],
        "reject_old_samples_max_age": "3d",
        "max_query_lookback": "0s",
        "max_query_length": "0s",
    }


def test_archive_is_no_shorter_than_what_can_be_searched() -> None:
    """Proves that an archive shorter than the searchable time is refused, with both numbers."""
    with pytest.raises(SettingsError) as refused:
        context(retention={"logs": "45d"})

    assert str(refused.value) == (
        'Pulumi.test.yaml: observability:settings.retention.log_archive: "30d" is shorter than logs, which is 45d'
        " (accepted: at least that)"
    )


def test_loki_takes_every_rule(logs: LogStack) -> None:
    """Proves that the running Loki reads every rule file it is given, and can evaluate each rule."""
    # One that is evaluated less often has not been yet; Loki took its rules all the same.
    soon = {group.name for group in loki.log_groups() if not group.interval}

    def read() -> dict[str, list[dict[str, str]]]:
        groups = httpx.get(f"{logs.loki}/prometheus/api/v1/rules", timeout=5).json()["data"]["groups"]
        found = {group["name"]: group["rules"] for group in groups}
        waiting = [name for name, rules in found.items() if any(rule["health"] == "unknown" for rule in rules)]
        return {} if soon & set(waiting) else found

    found = eventually(read, 15, "rules that were evaluated")

    assert {name: [rule["name"] for rule in rules] for name, rules in found.items()} == {
        group.name: [alert.name for alert in group.alerts] for group in loki.log_groups()
    }
    assert {rule["health"] for name in soon for rule in found[name]} == {"ok"}


def test_document_has_every_format_alert_and_setting() -> None:
    """Proves that docs/logs.md leaves nothing out: each format with its ending, each alert with its limit, each
    retention with its default."""
    text = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in text.splitlines() if row.startswith("| `")]
    formats = {row[0].strip("| `"): row[1].strip("`") for row in rows if row[0].strip("| `") in FORMATS}
    alerts = {row[0].strip("| `"): row[1:] for row in rows if len(row) == 4}
    retention = Retention()

    assert formats == {name: f"<service>{found.ending}" for name, found in FORMATS.items()}
    assert list(alerts) == [alert.name for group in loki.log_groups() for alert in group.alerts]
    for group in loki.log_groups():
        for alert in group.alerts:
            severity, condition, waits = alerts[alert.name]
            assert (severity, waits.strip(" |")) == (alert.severity.value, alert.for_)
            assert alert.threshold is not None
            assert f" {number(alert.threshold)} " in condition
    for name in ("logs", "log_archive", "alert_history"):
        assert f"| `retention.{name}` | {getattr(retention, name)} |" in text
