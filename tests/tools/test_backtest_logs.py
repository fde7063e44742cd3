"""Alerts on logs, evaluated over what a real Loki keeps; and the command that people type."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.log_stack import Line, LogStack, running
from tests.tools.backtest_history import DAYS, HOUR, MINUTE, Value, alert, evaluated, one, prometheus, tree, when
from tools import cli
from tools.backtest.report import Report


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus in which a target of the stack was down for 20 minutes."""
    down: dict[str, Value] = {
        'up{app="shop",environment="local",service="web",instance="a",job="shop"}': lambda since: float(
            not when(DAYS - 1, 6) <= since < when(DAYS - 1, 6, 20)
        )
    }
    with prometheus(tmp_path_factory.mktemp("command") / "prometheus", down, first=when(DAYS - 2)) as found:
        yield found


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStack]:
    """Loki, as the local stack has it."""
    with running(tmp_path_factory.mktemp("loki")) as found:
        yield found


def test_alerts_on_logs(url: str, logs: LogStack, tmp_path: Path) -> None:
    """Proves that an alert on logs is evaluated by a real Loki with the exact count and length, that one on a stream
    which it does not have is told so, and that without a Loki both are named as left out."""
    begin = int(time.time() - 2 * HOUR) // 60 * 60
    logs.push(
        Line(text=f"error {number}", at=begin + 10 * MINUTE + 6 * number + 1, labels={"app": "shop"})
        for number in range(100)
    )
    rules = [
        alert("Errors", 'sum by (app) (count_over_time({app="shop"} |= "error" [1m])) > 5', for_="2m"),
        alert("Nothing", 'sum(count_over_time({app="blog"}[1m])) > 5'),
    ]
    for side, chosen in (("before", []), ("after", rules)):
        made = tree(tmp_path / side, [])
        (made / "loki" / "rules" / "fake").mkdir(parents=True)
        ruler = {"ruler": {"evaluation_interval": "1m", "external_labels": {"cluster": "logs"}}}
        (made / "loki" / "loki.yml").write_text(yaml.safe_dump(ruler))
        (made / "loki" / "rules" / "fake" / "logs.yml").write_text(
            yaml.safe_dump({"groups": [{"name": "logs", "rules": chosen}]})
        )
    trees = tmp_path / "before", tmp_path / "after"
    window: dict[str, Any] = {"start": begin, "end": begin + HOUR}
    found = evaluated(*trees, url, tmp_path / "journal", loki=logs.loki, **window)
    errors, nothing = one(found, "Errors").after, one(found, "Nothing").after
    assert errors is not None
    assert nothing is not None
    (fired,) = errors.firings
    # A line every six seconds for ten minutes: evaluations from minute 11 to 20 see ten of them.
    assert (fired.begin.timestamp() - begin, fired.end.timestamp() - begin) == (13 * MINUTE, 21 * MINUTE)
    assert fired.labels == {"alertname": "Errors", "app": "shop", "severity": "critical", "cluster": "logs"}
    assert errors.told == {"oncall": 1}
    assert nothing.notes == ['not in the history: {app="blog"}']
    assert nothing.words() == "not known"
    without = evaluated(*trees, url, tmp_path / "journal", **window)
    assert (without.alerts, without.left_out) == ([], ["Errors", "Nothing"])


Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command on the last day of that history, against the last commit."""
    monkeypatch.setenv("OBSERVABILITY_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Result:
        usual = ("--base", "HEAD", "--prometheus", url, "--until", "2026-02-01T00:00:00Z", "--days", "1")
        return CliRunner().invoke(cli.app, ["backtest", *usual, "--rate", "100", *arguments])

    return run


def test_the_command_for_people_and_for_machines(command: Command) -> None:
    """Proves that the command renders both revisions, finds the one outage of the history and whom the local stack
    tells of it, prints a table or one document and nothing else, and has exit status 1 beyond the budget."""
    done = command("--alert", "ServiceDown")
    assert done.exit_code == 0, done.stderr
    assert "alerts of local against HEAD, over 1 days until 2026-02-01 00:00 UTC" in done.stdout
    assert "once, 19m" in done.stdout
    over = command("--alert", "ServiceDown", "--budget", "0", "--json")
    assert over.exit_code == 1, over.stderr
    report = Report.model_validate_json(over.stdout)
    outage = one(report, "ServiceDown")
    fired = outage.after
    assert outage.over_budget
    assert fired is not None
    assert (fired.times, fired.seconds) == (1, 19 * MINUTE)
    assert sorted(fired.told) == ["email", "pagerduty", "slack"]
    assert fired.worst_week == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "no-such-branch"], "BASE=no-such-branch: no such revision (accepted: "),
        (["--base", ""], "BASE: required (accepted: a branch, tag or commit)"),
        (["--stack", "nowhere"], "STACK=nowhere: "),
        (["--prometheus", "there"], "PROMETHEUS=there: not a URL (accepted: one like http://127.0.0.1:9090)"),
        (["--prometheus", "http://h:90x"], "PROMETHEUS=http://h:90x: not a URL (accepted: "),
        (["--prometheus", "http://[::1"], "PROMETHEUS=http://[::1: not a URL (accepted: "),
        (["--prometheus", "http://me:12/ss@host"], "PROMETHEUS=…: not a URL (accepted: "),
        (["--prometheus", "http://127.0.0.1:9"], "PROMETHEUS=http://127.0.0.1:9: no answer (ConnectError) (accepted: "),
        (["--until", "yesterday"], "UNTIL=yesterday: not a time (accepted: one like 2026-11-20T12:00:00Z)"),
        (["--until", "2999-01-01"], "UNTIL=2999-01-01: not yet (accepted: a time that is past)"),
        (["--days", "0"], "DAYS=0: out of range (accepted: more than 0, at most 366)"),
        (["--budget", "-1"], "BUDGET=-1: out of range (accepted: 0 or more)"),
        (["--alert", "NoSuch*"], "ALERT=NoSuch*: no such alert (accepted: a pattern of "),
    ],
)
def test_a_mistake_is_one_line(command: Command, arguments: list[str], said: str) -> None:
    """Proves that each mistake is one line on stderr that names the option and what is accepted, with exit status 2."""
    done = command(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
