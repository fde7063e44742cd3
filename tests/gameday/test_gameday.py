"""Game days: every incident is noticed, by the alert that should tell of it, in time; and what is refused."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from processes.home import Home
from specs.model import SettingsError
from specs.settings import KEY
from tools import paths
from tools.gameday import ground
from tools.gameday.day import ALERTS, Finding, play
from tools.gameday.incidents import INCIDENTS, Happens, Incident, Wishes, chosen
from tools.gameday.report import document, machine, verdict

_SECONDS = 420

Day = tuple[Mapping[str, dict[str, Any]], str, Path]
"""Findings by incident, what was said meanwhile, and the report."""


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command as people type it; what it started ends with it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tools.cli", "gameday", *arguments],
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "COLUMNS": "160"},
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=_SECONDS)
        except BaseException:
            # Its programs are of its own process group.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """All incidents, the flood a short one: findings by incident, what was said, and the report."""
    page = tmp_path_factory.mktemp("gameday") / "latest.md"
    done = _run("--json", "--flood-seconds", "15", "--report", str(page))
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    return {each["incident"]: each for each in found["incidents"]}, done.stderr, page


@pytest.mark.timeout(_SECONDS + 30)
@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.name)
def test_every_incident_is_told_by_its_alert_in_time(incident: Incident, day: Day) -> None:
    """Proves that the expected alert, and no other in its place, told somebody within the incident's bound."""
    found = day[0][incident.name]
    assert found["noticed"], found
    assert found["expected"] == incident.alert
    assert 0 < found["after_seconds"] <= incident.within + 5
    assert found["as_declared_seconds"] >= found["after_seconds"]


def test_who_is_told_follows_the_routes_of_the_stack(day: Day) -> None:
    """Proves that severities, and profiles of systems, decide who hears: critical ones page, warnings do not."""
    told = {name: set(found["told"]) for name, found in day[0].items()}
    assert told["errors"] == {"pagerduty", "email", "slack"}
    assert told["full-disk"] == {"slack"}
    assert told["dead-alertmanager"] == {"dead-mans-switch"}
    assert all(told.values())


def test_the_explosion_cost_nothing_and_the_flood_lost_nothing(
    day: Day,
) -> None:
    """Proves that the guard holds on a whole stack: no series is kept, and every line of the flood was accepted."""
    assert day[0]["cardinality"]["notes"][0].startswith("0 of 1,000,000 series kept")
    assert re.match(r"([\d,]+) lines in \d+ s: \1 accepted, 0 not; ", day[0]["log-flood"]["notes"][0])


def test_the_report_has_every_incident(day: Day) -> None:
    """Proves that the page of docs/ has a row for each, and that the page that is kept is of the same incidents."""
    kept = (paths.ROOT / "docs" / "game-days" / "latest.md").read_text(encoding="utf-8")
    for text in (day[2].read_text(encoding="utf-8"), kept):
        rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
        assert rows == ["incident", "---", *(incident.name for incident in INCIDENTS)]


def test_nothing_of_the_day_is_left(day: Day) -> None:
    """Proves that every program that ran for it has ended."""
    assert day[0]
    left = [
        process.cmdline()
        for process in psutil.process_iter()
        if process.is_running() and "observability-gameday-" in _directory(process)
    ]
    assert left == []


def _directory(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--incidents", "mistaken"), "INCIDENTS=mistaken: no such incident (accepted: errors, slow-app, "),
        (("--flood-seconds", "0"), "FLOOD=0: not a length (accepted: 1 to 600 seconds)"),
        (("--report", "/etc"), "REPORT=/etc: a directory (accepted: a file)"),
        (("--report", "/nowhere/latest.md"), "REPORT=/nowhere/latest.md: there is no directory /nowhere (accepted: "),
        (("--stack", "nope"), "Pulumi.nope.yaml: no such stack (accepted: "),
    ],
)
def test_mistakes_are_a_line(arguments: tuple[str, ...], words: str) -> None:
    """Proves that a mistake is one line that says what is accepted, with the status of what was not tried."""
    done = _run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(words)
    assert len(done.stderr.splitlines()) == 1


def test_a_missed_incident_is_said_and_counts() -> None:
    """Proves that an incident that nobody heard of shows as missed in the line, the page and the JSON."""
    first, second = INCIDENTS[:2]
    found = [
        Finding(incident=first, after=None, waits=90, told=(), besides=("ServiceDown",), notes=()),
        Finding(incident=second, after=8, waits=90, told=("slack",), besides=(), notes=("fine",)),
    ]
    assert verdict(found) == "1 of 2 incidents were noticed; missed: errors"
    page = document(found, "local", "2026-01-02")
    assert "| errors | ApplicationErrors | missed |  | nobody in 1m 30s |" in page
    assert "| slow-app | ApplicationSlow | 8s | 1m 38s | slack |" in page
    assert "- errors: also told: ServiceDown." in page
    assert "- slow-app: fine." in page
    assert json.loads(machine(found, "local"))["missed"] == ["errors"]


def test_what_could_not_be_staged_did_not_happen() -> None:
    """Proves that an incident that was never brought about is neither noticed nor missed."""
    found = [Finding(incident=INCIDENTS[0], after=None, waits=0, told=(), besides=(), notes=(), happened=False)]
    assert verdict(found) == "0 of 1 incidents were noticed; did not happen: errors"
    assert "| errors | ApplicationErrors | did not happen |  |  |" in document(found, "local", "2026-01-02")
    assert json.loads(machine(found, "local"))["missed"] == []


def _incident(happens: Happens) -> Incident:
    return Incident(name="x", says="x", alert="ServiceDown", happens=happens, within=30)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ground.Ground:
    """A ground on which nothing runs, for `play`."""
    made = ground.Ground(ground.stack("local", at_once=True, alerts=ALERTS), Home(tmp_path / "home"))

    def notifications(_: ground.Ground) -> list[dict[str, Any]]:
        return []

    def of_the_day(*_: object) -> AbstractContextManager[ground.Ground]:
        return nullcontext(made)

    monkeypatch.setattr(ground.Ground, "notifications", notifications)
    monkeypatch.setattr(ground, "ground", of_the_day)
    return made


def test_an_interrupted_day_ends_what_happens(
    bare: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that after Ctrl-C what incidents started has ended when the day returns, and nothing is started anew."""
    began, left = threading.Event(), threading.Event()

    @contextmanager
    def happens(*_: object) -> Generator[None]:
        try:
            began.set()
            yield
        finally:
            left.set()

    join = threading.Thread.join

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        if timeout is None:
            assert began.wait(10)
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        play("local", tmp_path, [_incident(happens)], Wishes(), lambda _: None)
    assert left.is_set()
    bare.start("prometheus")
    with pytest.raises(OSError, match="the game day has ended"), bare.app("shop"):
        pass


@pytest.mark.usefixtures("bare")
def test_an_incident_that_fails_to_start_is_told_as_that(tmp_path: Path) -> None:
    """Proves that a program that does not start is no missed alert."""

    @contextmanager
    def happens(*_: object) -> Generator[None]:
        raise OSError("no such program")
        yield

    (found,) = play("local", tmp_path, [_incident(happens)], Wishes(), lambda _: None)
    assert (found.happened, found.noticed, found.missed) == (False, False, False)
    assert found.notes == ("it did not happen: no such program",)


def test_alerts_are_as_the_stack_declares_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that the stack's grouping and overrides hold, narrow ones too, and that on the day none of them waits."""
    value: dict[str, Any] = {
        "environment": "test",
        "cluster": "c",
        "runtime": "process",
        "systems": {"wwmaa": {}, "roadtrip": {}},
        "alerting": {
            "grouping": {"wait": "2m"},
            "overrides": {
                "wwmaa/VerySlowQueries": {"for": "3m"},
                "ServiceDown@critical": {"for": "4m"},
                "roadtrip/ServiceDown": {"for": "5m"},
                "HostRebooted": {"disabled": True},
            },
        },
    }
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(json.dumps({"config": {KEY: value}}), encoding="utf-8")

    def stack_file(_: str) -> Path:
        return file

    monkeypatch.setattr(paths, "stack_file", stack_file)
    made = ground.settings("test", at_once=False, alerts=ALERTS)["alerting"]
    assert made["grouping"] == {"wait": "2m"}
    assert made["overrides"] == {"wwmaa/VerySlowQueries": {"for": "3m"}, "ServiceDown@critical": {"for": "4m"}}
    made = ground.settings("test", at_once=True, alerts=ALERTS)["alerting"]
    assert made["grouping"]["wait"] == "0s"
    assert {each["for"] for each in made["overrides"].values()} == {"0s"}
    assert {"wwmaa/VerySlowQueries", "ServiceDown@critical", *ALERTS} == set(made["overrides"])


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_nobody_is_told_in_earnest(stack: str) -> None:
    """Proves that whatever stack lends its alerting, the game day's has no receiver of its, no secret, and tells the
    inbox alone."""
    made = ground.stack(stack, at_once=True, alerts=ALERTS)
    assert made.secrets() == ()
    assert not made.context.settings.alerting.receivers
    assert "inbox" in made.names
    text = made.workload("alertmanager").files["alertmanager.yml"]
    urls = [line.split("url: ")[1] for line in text.splitlines() if "url: " in line]
    assert urls
    assert all(url.startswith("http://127.0.0.1:9099/") for url in urls)


def test_incidents_are_chosen_by_name() -> None:
    """Proves that names choose, in the order in which incidents happen, and that none means all."""
    assert chosen("") == tuple(INCIDENTS)
    assert [incident.name for incident in chosen(" full-disk,errors ")] == ["errors", "full-disk"]
    with pytest.raises(SettingsError):
        chosen("errors,nothing")
