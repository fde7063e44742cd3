"""The documents are true: targets, links, commands, queries and examples that they name exist and work."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.model import SettingsError
from tests.contract.promql import Selector, selectors
from tests.examples import bookshop
from tools import documents, native, runbooks

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
STACK = documents.whole_stack()

OF_THE_GUIDES = (
    *("CeleryQueueBackup", "DatabaseConnectionFailure", "DatabaseConnectionsSaturated", "DatabaseDiskFull"),
    *("DiskSpaceLow", "ErrorBudgetBurn", "HighCPUUsage", "HighErrorRate", "HighMemoryUsage", "HighResponseTime"),
    *("HighTaskFailureRate", "LoginFailures", "LowBookingConversion", "LowCacheHitRate", "LowMemory", "MemoryLeak"),
    *("PostgresHighConnections", "RateLimitExceeded", "SecurityIncidents", "ServiceDown", "SlowAIService"),
    *("SlowResponseTime", "TargetMissing", "Watchdog", "SlowQueries", "VerySlowQueries", "ZeroDBSlow"),
    *("ExternalAPISlow", "ExternalAPIErrors", "BackgroundJobFailing", "BackgroundJobOverrun", "AIBudgetExceeded"),
    "ObjectiveUnmeasured",
)
"""Alerts whose pages people wrote notes on."""


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _targets() -> set[str]:
    command = ["make", "--no-print-directory", "help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in helped.splitlines()}


def test_readme_names_every_make_target() -> None:
    """Proves that the table of targets and the Makefile agree."""
    readme = (ROOT / "README.md").read_text()

    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", readme, re.MULTILINE)) == _targets()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    """Proves that every relative link of a page leads to a file, and to a heading that it has."""
    broken: list[str] = []
    for link, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / link if link else page
        if "://" in link:
            continue
        if not target.exists() or (heading and heading not in _headings(target)):
            broken.append(f"{link}#{heading}")
    assert broken == []


def _headings(page: Path) -> set[str]:
    """What links may name after the #."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_make_commands_exist(page: Path) -> None:
    """Proves that every `make …` of a page is a target, and its variables ones that the Makefile reads."""
    text = page.read_text()
    shell = [line for block in _blocks(text, "sh") for line in block.splitlines()]
    commands = [
        *shell,
        *re.findall(r"`(make [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)),
    ]
    named = [re.match(r"make ([a-z][a-z-]*)((?: [A-Z]+=\S+)*)", command) for command in commands]
    found = [match for match in named if match]
    makefile = (ROOT / "Makefile").read_text()
    variables = {variable for match in found for variable in re.findall(r"([A-Z]+)=", match[2])}

    assert {match[1] for match in found} - _targets() == set()
    assert {variable for variable in variables if f"$({variable})" not in makefile} == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_yaml_is_yaml(page: Path) -> None:
    """Proves that every example of a file can be read."""
    assert all(yaml.safe_load(block) is not None for block in _blocks(page.read_text(), "yaml"))


def test_scenarios_are_documented() -> None:
    """Proves that the scenarios of `make demo` are those of the README and of the sample app."""
    from tools.demonstration import SCENARIOS

    readme = (ROOT / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith("| `make demo` |"))
    assert set(re.findall(r"`(?:SCENARIO=)?([a-z-]+)`", row)) | {"normal"} == set(SCENARIOS)
    app = (ROOT / "examples" / "sample-app" / "README.md").read_text()
    assert all(f"`{scenario}`" in app for scenario in SCENARIOS)


# Runbooks.


def test_alerts_of_the_guides_have_notes() -> None:
    """Proves that a page of an alert that a guide names says more than what is made from its rule: what users feel, how
    it is confirmed, caused, ended and prevented, and when its limit is wrong; and no two pages say the same."""
    written = {name: runbooks.notes(ROOT / "docs" / "runbooks" / f"{name}.md") for name in OF_THE_GUIDES}
    parts = ("**Likely causes, in order.**", "**End it.**", "**The limit.**", "```promql")

    assert [name for name, text in written.items() if any(part not in text for part in parts)] == []
    paragraphs = [paragraph for text in written.values() for paragraph in text.split("\n\n") if len(paragraph) > 40]
    assert sorted({each for each in paragraphs if paragraphs.count(each) > 1}) == []


def _queries(language: str) -> dict[str, str]:
    """Every query of the notes, one a line, by where it stands."""
    return {
        f"{page.stem} {number}": line
        for page in RUNBOOKS
        for number, line in enumerate(
            line for block in _blocks(runbooks.notes(page), language) for line in block.splitlines()
        )
    }


def test_queries_of_notes_are_promql(tmp_path: Path) -> None:
    """Proves that the real promtool takes every query that somebody is told to ask at night."""
    rules = [{"record": f"query:{index}", "expr": expr} for index, expr in enumerate(_queries("promql").values())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    (promtool,) = (found.path for found in native.ensure(["promtool"]).values() if found.name == "promtool")
    command = [str(promtool), "check", "rules", "--lint=none", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert len(rules) > 70
    assert done.returncode == 0, done.stdout + done.stderr


def _known_metrics() -> set[str]:
    """Metrics that some system exposes, or that a rule or a panel asks for, and so are there."""
    known = {"ALERTS", "up"}
    for system in STACK.systems:
        for name, metric in system.profile.metrics.items():
            known |= {
                f"{name}{end}" for end in ("", *(("_bucket", "_sum", "_count") if metric.kind == "histogram" else ()))
            }
    asked = [alert.expr.replace("$threshold", "0") for group in STACK.groups for alert in group.alerts]
    asked += [record.expr for group in STACK.groups for record in group.records]
    known |= {record.record for group in STACK.groups for record in group.records}
    asked += [
        target["expr"]
        for board in STACK.dashboards.values()
        for panel in board["panels"]
        for target in panel.get("targets", ())
        if "prometheus" in str(target.get("datasource", panel.get("datasource")))
    ]
    # `{__name__=~"a|b"}` asks for both.
    return known | {name for expr in asked for selector in selectors(expr) for name in _names(selector)}


def _names(selector: Selector) -> Iterator[str]:
    yield selector.metric
    for matcher in selector.matchers:
        if matcher.label == "__name__":
            yield from matcher.value.split("|")


def test_metrics_of_notes_exist() -> None:
    """Proves that no note asks for a metric that nothing exposes."""
    known = _known_metrics()
    unknown = {
        f"{where}: {selector.metric}"
        for where, expr in _queries("promql").items()
        for selector in selectors(expr)
        if selector.metric not in known
    }

    assert unknown == set()


@pytest.mark.parametrize(("where", "query"), _queries("logql").items())
def test_queries_of_notes_are_logql(where: str, query: str) -> None:
    """Proves that Loki's own client takes every query on log lines."""
    (logcli,) = (found.path for found in native.ensure(["logcli"]).values() if found.name == "logcli")
    done = subprocess.run([str(logcli), "fmt"], input=query, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, f"{where}: {done.stderr}"


# Adding a system.


def test_page_shows_the_whole_profile() -> None:
    """Proves that the profile on the page is the file that it names."""
    assert bookshop.BLOCKS[0] == bookshop.PROFILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("block", bookshop.BLOCKS[2:], ids=lambda block: block.split(":", 1)[0])
def test_page_shows_more_that_works(block: str, tmp_path: Path) -> None:
    """Proves that each further piece can be added to the profile, that something comes of it, and that the real
    promtool takes the rules."""
    before = bookshop.stack()
    made = bookshop.stack(changed=bookshop.with_more(yaml.safe_load(block)), at=tmp_path)
    (tmp_path / "bookshop.yml").write_text(made.workload("prometheus").files["rules/bookshop.yml"], encoding="utf-8")
    (promtool,) = (found.path for found in native.ensure(["promtool"]).values() if found.name == "promtool")
    command = [str(promtool), "check", "rules", "bookshop.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (made.groups, made.dashboards) != (before.groups, before.dashboards)


def test_page_names_the_files() -> None:
    """Proves that `make render` writes each file of the table, and that it is about the bookshop."""
    from tools.render import files

    written = files(bookshop.stack())
    table = bookshop.PAGE.partition("| file below ")[2].partition("\n\n")[0]
    named = re.findall(r"^\| `([\w./-]+)` \|", table, re.MULTILINE)

    assert len(named) == 7
    assert [path for path in named if path not in written] == []
    assert [path for path in named if "bookshop" not in path + written[path]] == ["prometheus/rules/slo.yml"]


WRONG: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # What the profile has instead, and what the stack file has.
    "unknown key": ({"service": {"web": {}}}, {}),
    "unknown signal": ({"alerts": [{"name": "A", "signal": "http_eror_share", "above": 1, "severity": "info"}]}, {}),
    "two limits": ({"alerts": [{"name": "A", "signal": "http_p95", "above": 1, "below": 1, "severity": "info"}]}, {}),
    "two kinds": ({"signals": {"checkout_failures": {"title": "Both", "value": "a", "rate": "b"}}}, {}),
    "unknown metric": (
        {
            "signals": {
                "checkout_failures": {"title": "Failed", "share": "checkout_total", "where": {"outcome": "failed"}}
            }
        },
        {},
    ),
    "every system": ({"signals": {"checkout_failures": {"title": "Paid", "promql": "sum(checkouts_total)"}}}, {}),
    "no bucket": ({"objectives": {"latency": {"title": "Quick", "percent": 95, "under": "450ms"}}}, {}),
    "no such service": ({"probes": {"shop": {"service": "www"}}}, {}),
    "address of nothing": ({}, {"services": {"www": ["127.0.0.1:80"]}}),
    "not stood on": ({}, {"nginx": {"main": {"status_url": "http://127.0.0.1/status"}}}),
}


def _told(message: str) -> bool:
    """Whether the page has the line; … stands for what it leaves out."""
    rows = re.findall(r"\| `([^`]+)` \|$", bookshop.PAGE, re.MULTILINE)
    patterns = [".*".join(map(re.escape, row.split("…"))) for row in rows]
    return any(re.fullmatch(pattern, line) for pattern in patterns for line in message.splitlines())


@pytest.mark.parametrize("case", WRONG)
def test_page_tells_what_is_refused(case: str, tmp_path: Path) -> None:
    """Proves that a mistake is refused in the words of the page, with file and key."""
    changes, own = WRONG[case]
    with pytest.raises(SettingsError) as refused:
        bookshop.stack(own, changed={**bookshop.profile(), **changes}, at=tmp_path)

    assert _told(str(refused.value)), str(refused.value)


def test_page_tells_of_an_alert_twice(tmp_path: Path) -> None:
    """Proves that two alerts of one name need two severities, in the words of the page."""
    changed = bookshop.profile()
    changed["alerts"] = [*changed["alerts"], changed["alerts"][0]]
    with pytest.raises(SettingsError) as refused:
        bookshop.stack(changed=changed, at=tmp_path)

    assert _told(str(refused.value)), str(refused.value)


def test_page_tells_of_no_profile() -> None:
    """Proves that a system without a profile is refused in the words of the page."""
    with pytest.raises(SettingsError) as refused:
        bookshop.stack(name="nowhere")

    assert _told(str(refused.value)), str(refused.value)


def test_every_row_of_what_is_refused_is_tried() -> None:
    """Proves that no row of the page is left untried."""
    rows = re.findall(r"^\| .* \| `[^`]+` \|$", bookshop.PAGE.partition("## What is refused")[2], re.MULTILINE)

    assert len(rows) == len(WRONG) + 2
