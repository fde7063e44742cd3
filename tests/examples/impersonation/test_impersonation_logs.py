"""A stand-in's log lines, read by the real collector and judged by the very rules of Loki's ruler."""

import json
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sample_app.impersonation import levels, log_lines
from sample_app.impersonation.log_lines import LogLines
from sample_app.impersonation.spans import Traced
from sample_app.impersonation.traffic import Traffic

from specs import collector, log_queries, loki, profile
from specs.monitoring import THRESHOLD, number
from specs.profile import Profile
from tests.log_stack import LogStack, eventually, running

TRACED = Traced(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
SECONDS = 240
TROUBLED = [
    (system, trouble)
    for system in profile.known()
    for trouble in log_lines.accepted(system, profile.find(system, None, file="", key=""))
]


def _profile(system: str) -> Profile:
    return profile.find(system, None, file="", key="")


def _app(system: str, trouble: str) -> str:
    return f"{system}-{trouble.lower()}"


def _well(system: str, now: float, seconds: int = SECONDS) -> Iterator[tuple[str, str]]:
    """Every line of the last seconds of a system that is well."""
    found = _profile(system)
    traffic, lines = Traffic(found, levels.of(found), 0), LogLines(system, found, (), 0)
    for ago in range(seconds, 0, -1):
        at = now - ago
        for work in traffic.passed(1):
            yield from lines.of(work, TRACED, at)
        yield from lines.passed(1, at)


def _troubled(system: str, trouble: str, now: float) -> Iterator[tuple[str, str]]:
    """Only the lines that the trouble adds."""
    lines = LogLines(system, _profile(system), [trouble], 0)
    said = json.dumps(log_lines.TROUBLES[trouble].message)[1:-1]
    for ago in range(SECONDS, 0, -1):
        for name, line in lines.passed(1, now - ago):
            if said in line:
                yield name, line


@dataclass(frozen=True, kw_only=True)
class Read:
    """What Loki holds, and when it was written."""

    stack: LogStack
    now: float


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Generator[Read]:
    """Have the collector read the lines of every system, well and in each trouble, into Loki."""
    with running(tmp_path_factory.mktemp("logs"), collector.NAME) as stack:
        now = time.time()
        written = 0
        apps = [(system, list(_well(system, now))) for system in profile.known()]
        apps += [(_app(system, trouble), list(_troubled(system, trouble, now))) for system, trouble in TROUBLED]
        for app, lines in apps:
            files: dict[str, list[str]] = {}
            for name, line in lines:
                files.setdefault(name, []).append(line)
            for name, its in files.items():
                stack.registered(f"{app}/{name}", its)
                written += len(its)

        def arrived() -> bool:
            found = stack.instant('sum(count_over_time({app=~".+", app!="observability"} [1h]))', time.time() + 1)
            return bool(found) and float(found[0]["value"][1]) >= written

        eventually(arrived, 60, f"{written} lines")
        yield Read(stack=stack, now=now)


@pytest.fixture(scope="module")
def firing(read: Read) -> dict[str, set[str]]:
    """By app: names of the log alerts whose condition holds now."""
    found: dict[str, set[str]] = {}
    for group in loki.log_groups():
        for alert in group.alerts:
            limit = "" if alert.threshold is None else number(alert.threshold)
            for series in read.stack.instant(alert.expr.strip().replace(THRESHOLD, limit), read.now):
                found.setdefault(series["metric"]["app"], set()).add(alert.name)
    return found


@pytest.mark.parametrize("system", profile.known())
def test_the_lines_of_a_system_that_is_well_alarm_nobody(firing: dict[str, set[str]], system: str) -> None:
    """Proves that no log alert's condition holds for the ordinary lines of a system."""
    assert firing.get(system, set()) == set()


@pytest.mark.parametrize(("system", "trouble"), TROUBLED)
def test_each_trouble_brings_about_its_alert(firing: dict[str, set[str]], system: str, trouble: str) -> None:
    """Proves that its lines, in the system's own format, pass the limit of the alert of that name and of no other, but
    that what is very slow is slow too."""
    also = {"SlowQueries"} if trouble == "VerySlowQueries" else set[str]()
    assert firing.get(_app(system, trouble)) == {trouble, *also}


def test_the_saved_searches_find_lines(read: Read) -> None:
    """Proves that each saved search finds something: in ordinary lines, or where a trouble is its subject."""
    troubles = {"slow-queries": "SlowQueries", "slow-requests": "LogSlowRequests", "errors": "LogErrorBurst"}
    for query in log_queries.QUERIES:
        trouble = troubles.get(query.name)
        app = _app("personal-assistant", trouble) if trouble else "personal-assistant"
        assert read.stack.lines(query.logql.replace("$app", app)), query.name


def test_ids_lead_on_from_a_line(read: Read) -> None:
    """Proves that the request's line of every system carries its request, user and trace as metadata, and is of the
    service that wrote it."""
    for system in profile.known():
        first = next(source for source in _profile(system).logs if source.format == "json")
        found = read.stack.lines(f'{{app="{system}", service_name="{first.service}"}} | trace_id="{TRACED.trace_id}"')
        assert found, system
        labels, _, _ = found[0]
        assert {"request_id", "user_id", "span_id"} <= set(labels)


def test_a_level_and_a_duration_are_found_in_text_formats(read: Read) -> None:
    """Proves that lines in the manner of nginx, PostgreSQL and Redis are read as theirs."""
    stack, app = read.stack, 'app="personal-assistant"'
    for query in (
        f'{{{app}, service_name="nginx", severity_text="INFO"}} | status="200" | response_time_ms > 0',
        f'{{{app}, service_name="nginx-error", severity_text="WARN"}}',
        f'{{{app}, service_name="database", severity_text="INFO"}} | query_duration_ms > 0',
        f'{{{app}, service_name="redis", severity_text="INFO"}} | pid="1"',
    ):
        assert stack.lines(query), query


_ROADTRIP = {"timestamp", "level", "service", "request_id", "user_id", "message", "metadata"}
_NOTES = {"timestamp", "level", "logger", "message", "module", "function", "line", "user_id", "request_id"}


@pytest.mark.parametrize(("system", "fields"), [("roadtrip", _ROADTRIP), ("mysmartnotes", _NOTES)])
def test_json_lines_have_the_fields_of_their_system(system: str, fields: set[str]) -> None:
    """Proves that a line has just the fields that the system writes, and its trace beside them."""
    lines = [json.loads(line) for name, line in _well(system, 1_767_225_600, seconds=30) if name.endswith(".json")]
    assert lines
    for line in lines:
        assert set(line) - {"trace_id", "span_id"} == fields
        assert line["level"] in {"INFO", "WARNING", "ERROR"}


def test_only_one_system_names_no_zone() -> None:
    """Proves that times are in UTC, with a Z everywhere but where the system leaves it out."""
    for system in profile.known():
        for name, line in _well(system, 1_767_225_600, seconds=5):
            if name.endswith(".json"):
                written = json.loads(line)["timestamp"]
                assert written.endswith("Z") is (system != "mysmartnotes")
                moment = datetime.fromisoformat(written.removesuffix("Z")).replace(tzinfo=UTC)
                assert abs(moment.timestamp() - 1_767_225_600) <= 5


def test_a_traceback_has_the_place_that_its_format_gives_it() -> None:
    """Proves that it is a field where the system has one, and part of the message where it has none."""
    for system, key in (("mysmartnotes", "exception"), ("wwmaa", "exception"), ("roadtrip", "message")):
        [(_, line), *_] = _troubled(system, "LogTracebacks", 1_767_225_600)
        assert re.search(r"Traceback \(most recent call last\):\n", json.loads(line)[key])


def test_the_same_seed_gives_the_same_lines() -> None:
    """Proves that lines follow from the seed and the times alone."""
    assert list(_well("wwmaa", 1000, 20)) == list(_well("wwmaa", 1000, 20))
