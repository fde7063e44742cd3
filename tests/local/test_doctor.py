"""The doctor on a real stack: all is well, and then each trouble, made on purpose, is named by its check."""

import asyncio
import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from processes import supervision
from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tests.local.servers import Webhook, free_offset, webhook
from tests.local.stacks import Local, eventually
from tools import paths
from tools.doctor.checks import CHECKS, telemetry
from tools.doctor.command import doctor
from tools.doctor.findings import Level, Result
from tools.doctor.opening import opened
from tools.doctor.running import run
from tools.health import Supervised

SYSTEM = {"app": "shop", "service": "web", "environment": "test"}


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    """Whoever is told."""
    with webhook() as made:
        yield made


def settings(offset: int, hook: Webhook) -> dict[str, Any]:
    """A small stack that is scraped and evaluated every second, with two receivers."""
    receiver = {"webhook": {"url": f"{hook.url}/alerts"}}
    return {
        "environment": "test",
        "cluster": "ci",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "exporters": {"node": {}, "blackbox": {}},
        "alerting": {
            "default": "team",
            "receivers": {"team": receiver, "oncall": receiver},
            "routes": {"critical": ["oncall"]},
            "grouping": {"wait": "0s", "interval": "1s"},
            "dead_mans_switch": {"url": f"{hook.url}/beat/doctor"},
        },
        "links": {"runbooks": "https://runbooks.example.com"},
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, hook: Webhook) -> Iterator[Local]:
    """A stack that only these tests wreck."""
    made = Local.make(tmp_path_factory.mktemp("doctor") / "project", "sick", free_offset())
    made.write(settings(made.offset, hook))
    try:
        made.cli("up")
        yield made
    finally:
        made.cli("down", check=False)


@pytest.fixture(scope="module")
def stack(local: Local, hook: Webhook) -> Stack:
    """What the stack file declares, as Pulumi's program gets it: with its keys in order."""
    ordered = json.loads(json.dumps(settings(local.offset, hook), sort_keys=True))
    return build(parse(Settings, ordered, file=local.file.name, key=KEY), file=local.file.name, absent=["grafana"])


def looked(local: Local, stack: Stack, *checks: str, send: bool = False) -> dict[str, Result]:
    """What the checks find, by their names."""

    async def look() -> list[Result]:
        async with opened(local.name, stack, Supervised(stack, local.home), send=send) as live:
            return await run(live, checks, lambda _: None)

    return {result.check: result for result in asyncio.run(look())}


def said(result: Result, level: Level = Level.FAIL) -> str:
    """Every finding of that level, a line each."""
    return "\n".join(finding.words for finding in result.findings if finding.level is level)


def reload(local: Local, port: int) -> None:
    """Have Prometheus or Alertmanager read its files."""
    httpx.post(f"{local.url(port)}/-/reload", timeout=10)


@contextmanager
def edited(
    local: Local, part: str, path: str, change: Callable[[str], str], port: int = 0
) -> Generator[Path, None, None]:
    """A file as somebody changed it by hand, read where the part has a port to say so; put back at the end."""
    file = local.home.config(part) / path
    before = file.read_text() if file.exists() else None
    file.write_text(change(before or ""))
    try:
        if port:
            reload(local, port)
        yield file
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)
        if port:
            reload(local, port)


@contextmanager
def stopped(local: Local, part: str) -> Generator[None, None, None]:
    """A program that its supervisor was told to stop."""
    supervisor = supervision._rpc(local.home)  # pyright: ignore[reportPrivateUsage]
    supervisor.stopProcess(part)
    try:
        yield
    finally:
        supervisor.startProcess(part)


Typed = Callable[..., Any]


@pytest.fixture
def typed(local: Local, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The command as it is typed in the stack's project."""
    monkeypatch.setattr(paths, "ROOT", local.project)
    monkeypatch.setenv("OBSERVABILITY_STATE", str(local.home.path.parent))
    monkeypatch.setenv("COLUMNS", "160")
    app = typer.Typer()
    app.command()(doctor)

    def run(*arguments: str, stack: str = local.name) -> Any:
        return CliRunner().invoke(app, ["--stack", stack, *arguments])

    return run


def test_a_stack_that_just_came_up_is_well(local: Local) -> None:
    """Proves that on a sound stack the command as people type it looks everywhere and fails nowhere, says so for
    machines, and that what it wrote is what the documentation says."""
    done = local.cli("doctor", "--json", check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, [each for each in found["checks"] if each["level"] == "fail"]

    by_name = {each["check"]: each for each in found["checks"]}
    assert list(by_name) == list(CHECKS)
    # The machine's own disk and load are not the stack's, and one that just came up has not looked at everything yet.
    own = [each for name, each in by_name.items() if name not in {"disk", "firing"}]
    words = [finding["words"] for each in own for finding in each["findings"]]
    odd = [each["findings"] for each in own if each["level"] != "ok"]
    early = r"not (scraped|evaluated) yet|not arrived since the last start"
    assert all(re.search(early, finding["words"]) for found in odd for finding in found), words
    assert "a line was in Loki" in by_name["logs"]["findings"][0]["words"]
    assert "a trace was in Jaeger" in by_name["traces"]["findings"][0]["words"]
    lines = local.logs('{app="observability", service_name="doctor"}')
    assert sum(len(stream["values"]) for stream in lines) == 1


def test_people_read_a_table(typed: Typed) -> None:
    """Proves that without JSON each check is a row, and that only the checks that are asked for look."""
    done = typed("--check", "clock,parts")

    rows = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("ok")]
    assert rows == [["ok", "parts"], ["ok", "clock"]], done.output
    assert "2 checks are well, 0 to look at, 0 failed" in done.stdout
    assert done.exit_code == 0


def test_a_mistake_is_one_line(local: Local, typed: Typed) -> None:
    """Proves that a stack that is not up, a check that there is not, and SEND without its check are status 2, with
    what is accepted."""
    asleep = {"environment": "test", "cluster": "ci", "runtime": "process", "port_offset": local.offset + 1}
    Local(project=local.project, name="asleep", offset=local.offset + 1).write_settings(asleep)
    wrong = {
        ("asleep",): "stack asleep: nothing of it runs (make up STACK=asleep brings it up)",
        (local.name, "--check", "colds"): "CHECK=colds: no such check (accepted: parts, files, config, ",
        (local.name, "--send", "--check", "logs"): "SEND=1: needs the check alerting (accepted: CHECK=alerting, or ",
        ("nobodys",): "Pulumi.nobodys.yaml: no such stack (accepted: ",
    }
    for (stack, *arguments), line in wrong.items():
        done = typed(*arguments, stack=stack)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert done.stderr.strip().splitlines()[-1].startswith(line), done.stderr


def test_a_stopped_loki_is_named_by_everything_that_needs_it(
    local: Local, stack: Stack, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that parts, logs and what Loki would tell fail with its name, and that the command ends with status 1."""
    monkeypatch.setattr(telemetry, "SECONDS", 2)
    with stopped(local, "loki"):
        found = looked(local, stack, "parts", "config", "rules", "logs", "datasources", "retention", "clock")
        done = typed("--check", "parts")

    assert {name for name, result in found.items() if result.level is Level.FAIL} == found.keys() - {"clock"}
    assert all("loki: no answer" in said(found[name]) for name in ("config", "rules", "datasources", "retention"))
    assert "a line that the collector took is not in Loki after 2 s: loki: no answer" in said(found["logs"])
    assert said(found["parts"]) == "loki: stopped"
    assert done.exit_code == 1
    assert f"make logs STACK={local.name} PART=loki" in done.stdout
    eventually(lambda: looked(local, stack, "parts", "logs")["logs"].level is Level.OK, 60, "Loki is back")


def test_a_dead_jaeger_is_named(local: Local, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a trace that does not come back is told, by the way that it went, and that logs are still well."""
    monkeypatch.setattr(telemetry, "SECONDS", 2)
    with stopped(local, "jaeger"):
        found = looked(local, stack, "parts", "traces", "targets")
        monkeypatch.setattr(telemetry, "SECONDS", 20)
        assert looked(local, stack, "logs")["logs"].level is Level.OK

    assert said(found["parts"]) == "jaeger: stopped"
    assert "a span that the collector took is not in Jaeger after 2 s: jaeger: no answer" in said(found["traces"])
    eventually(
        lambda: looked(local, stack, "targets", "parts")["targets"].level is Level.OK, 30, "Jaeger is scraped again"
    )


def test_a_foreign_rule_is_an_orphan(local: Local, stack: Stack) -> None:
    """Proves that a rule which somebody put beside the declared ones is named, with its file, and is no failure."""
    rules = "groups: [{name: foreign, rules: [{alert: NobodysAlert, expr: vector(0) > 1}]}]\n"
    with edited(local, "prometheus", "rules/foreign.yml", lambda _: rules, port=9090):
        found = looked(local, stack, "orphans", "rules", "files")

    warned = said(found["orphans"], Level.WARN)
    assert "prometheus: rules that nobody declared: NobodysAlert of the group foreign" in warned
    assert "prometheus: files that nobody declared: rules/foreign.yml" in warned
    assert Level.FAIL not in {result.level for result in found.values()}


def test_another_configuration_than_the_declared_one_is_named(local: Local, stack: Stack) -> None:
    """Proves that a wrong retention, another interval, a job that is gone and one that nobody declared are named by
    what is in effect, with both values."""

    def change(text: str) -> str:
        assert "time: 30d" in text
        changed = text.replace("time: 30d", "time: 15d").replace("evaluation_interval: 1s", "evaluation_interval: 2s")
        return changed.replace("job_name: blackbox-exporter", "job_name: somebodys")

    with edited(local, "prometheus", "prometheus.yml", change, port=9090):
        found = looked(local, stack, "retention", "config", "files", "targets", "orphans")

    assert said(found["retention"]) == "prometheus: keeps metrics 15 d, not 30 d"
    config = said(found["config"]).splitlines()
    assert "prometheus: storage.tsdb.retention.time is 15d, not 30d" in config
    assert "prometheus: global.evaluation_interval is 2s, not 1s" in config
    assert "prometheus: scrape_configs[blackbox-exporter] is missing" in config
    assert "prometheus: prometheus.yml differs from what is declared in 6 lines" in said(found["files"])
    assert "blackbox-exporter: the job is not scraped at all" in said(found["targets"])
    assert "prometheus: scrape jobs that nobody declared: somebodys" in said(found["orphans"], Level.WARN)


def test_a_file_that_is_not_in_effect_yet_is_told(local: Local, stack: Stack) -> None:
    """Proves that an edited file is told where the program did not read it: what runs is still the declared one, and
    for who only reads at a start it is said that it started before."""
    with (
        edited(local, "loki", "loki.yml", lambda text: text.replace("retention_period: 30d", "retention_period: 1d")),
        edited(local, "jaeger", "jaeger.yml", lambda text: f"{text}# by hand\n"),
    ):
        found = looked(local, stack, "files", "config", "retention")

    assert "loki: loki.yml differs from what is declared in 2 lines" in said(found["files"])
    assert "jaeger: jaeger.yml differs from what is declared in 1 line" in said(found["files"])
    assert "loki: runs since before its files changed" in said(found["files"], Level.WARN)
    assert (found["config"].level, found["retention"].level) == (Level.OK, Level.OK)


def test_rules_that_are_gone_or_other_than_declared_are_named(local: Local, stack: Stack) -> None:
    """Proves that a lowered threshold, a longer wait and a rule that is gone are told apart; a mere reload without an
    edit is none of it."""

    def change(text: str) -> str:
        changed = text.replace("alert: AlertmanagerConfigReloadFailed", "alert: SomethingElse", 1)
        changed = changed.replace("> 0.01", "> 0.5", 1)
        assert changed.count("for: 20m") >= 1
        return changed

    with edited(local, "prometheus", "rules/alertmanager.yml", change, port=9090):
        found = looked(local, stack, "rules")

    assert "prometheus: not loaded: AlertmanagerConfigReloadFailed" in said(found["rules"])
    assert "prometheus: other than declared: AlertmanagerNotificationsFailing (expr)" in said(found["rules"])


def test_routes_that_run_and_are_not_the_declared_ones_are_named(local: Local, stack: Stack) -> None:
    """Proves that amtool asks the Alertmanager that runs: critical alerts that go elsewhere are told, with both names
    of who hears of them."""
    with edited(
        local, "alertmanager", "alertmanager.yml", lambda text: text.replace("receiver: oncall", "receiver: team"), 9093
    ):
        found = looked(local, stack, "alerting", "config")

    assert "a critical alert of" in said(found["alerting"])
    assert "it tells team, not oncall" in said(found["alerting"])
    assert said(found["config"]) == "alertmanager: runs on another alertmanager.yml than the declared one"


def test_a_target_of_an_application_that_is_down_is_a_warning(local: Local, stack: Stack) -> None:
    """Proves that what registered itself and does not answer is told, and is not the stack's own failure."""
    file = local.home.registry / "scrape" / "shop.json"
    file.write_text(json.dumps([{"targets": ["127.0.0.1:1"], "labels": SYSTEM}]))

    def told() -> list[str]:
        found = looked(local, stack, "targets")["targets"]
        assert "127.0.0.1:1 " not in said(found)
        return [line for line in said(found, Level.WARN).splitlines() if "applications: 127.0.0.1:1 is down: " in line]

    try:
        (line,) = eventually(told, 30, "the target")
    finally:
        file.unlink()
    assert "connection refused" in line


def test_send_tells_every_receiver_once(local: Local, stack: Stack, hook: Webhook) -> None:
    """Proves that each receiver is told of a test that says that it is one, that the dead man's switch is not, that the
    alert is ended, and that without SEND nobody is told anything."""
    before = len(hook.alerts)
    dry = eventually(lambda: (now := looked(local, stack, "alerting")["alerting"]).level is Level.OK and now, 130)
    assert said(dry, Level.OK) == "routes lead to dashboards, oncall, team; the Watchdog arrives"
    assert not [alert for alert in hook.alerts[before:] if "doctor" in alert["labels"]]

    found = looked(local, stack, "alerting", send=True)["alerting"]

    assert "a test alert was taken by oncall (webhook), team (webhook)" in said(found, Level.OK), found
    told = [alert for alert in hook.alerts[before:] if "doctor" in alert["labels"]]
    assert {alert["labels"]["instance"] for alert in told} == {"doctor-oncall", "doctor-team"}
    assert {alert["labels"]["alertname"] for alert in told} == {"DoctorTest"}
    assert {alert["annotations"]["summary"] for alert in told} == {"A test by make doctor: nothing is wrong"}

    def held() -> list[Any]:
        params = {"filter": "alertname=DoctorTest", "active": "true"}
        found: list[Any] = httpx.get(f"{local.url(9093)}/api/v2/alerts", params=params, timeout=5).json()
        return found

    eventually(lambda: not held(), 20, "the test alerts have ended")


def test_a_receiver_that_refuses_is_named(local: Local, stack: Stack, hook: Webhook) -> None:
    """Proves that a message that nobody takes fails the check, by the way that it went."""
    with edited(
        local,
        "alertmanager",
        "alertmanager.yml",
        lambda text: text.replace(f"{hook.url}/alerts", f"{hook.url[:-1]}"),
        9093,
    ):
        found = looked(local, stack, "alerting", send=True)["alerting"]

    assert "webhook" in said(found)
    assert "the test alert" in said(found)
