"""The documents that are made from the code: fresh, complete, and their schema strict."""

import copy
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from specs import exporters, named_signals
from specs.monitoring import override
from specs.profile import EXPORTERS, Profile
from specs.settings import KEY, Override
from tests.specs.support import EVERY_EXPORTER, EVERY_RECEIVER, ROOT
from tools import documents, reference, runbooks

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "stack.schema.json").read_text(encoding="utf-8"))
OF_A_PROFILE: dict[str, Any] = json.loads((ROOT / "docs" / "system.schema.json").read_text(encoding="utf-8"))
PROFILES = (*sorted((ROOT / "systems").glob("*.yaml")), *sorted((ROOT / "examples" / "systems").glob("*.yaml")))
STACKS = {
    name: yaml.load((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for name in ("local", "dev", "prod")
}


def _complaints(value: Any, schema: dict[str, Any] = SCHEMA) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    errors = cast("Iterable[jsonschema.ValidationError]", validator.iter_errors(value))  # pyright: ignore[reportUnknownMemberType] - half typed
    return [f"{'.'.join(str(part) for part in error.path)}: {error.message}" for error in errors]


def test_documents_are_fresh() -> None:
    """Proves that what is committed is what the code says: otherwise run `python -m tools.documents`."""
    assert documents.stale(ROOT) == []


def test_check_names_what_is_stale_and_exits_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves that --check writes nothing, names every stale file in a line, and fails; and that writing mends it."""
    documents.write(tmp_path)
    (tmp_path / "docs" / "settings.md").write_text("old", encoding="utf-8")
    (tmp_path / "docs" / "runbooks" / "Watchdog.md").unlink()
    (tmp_path / "docs" / "runbooks" / "Gone.md").write_text("an alert of old", encoding="utf-8")

    assert documents.main(["--check"], root=tmp_path) == 1
    assert capsys.readouterr().out == (
        "docs/runbooks/Gone.md is stale: run python -m tools.documents\n"
        "docs/runbooks/Watchdog.md is stale: run python -m tools.documents\n"
        "docs/settings.md is stale: run python -m tools.documents\n"
    )
    assert (tmp_path / "docs" / "settings.md").read_text(encoding="utf-8") == "old"
    assert documents.main([], root=tmp_path) == 0
    assert documents.main(["--check"], root=tmp_path) == 0
    assert not (tmp_path / "docs" / "runbooks" / "Gone.md").exists()


def test_notes_are_kept(tmp_path: Path) -> None:
    """Proves that what people write between the marks of a page stays when the page is made anew."""
    page = tmp_path / "docs" / "runbooks" / "ServiceDown.md"
    documents.write(tmp_path)
    text = page.read_text(encoding="utf-8")
    noted = text.replace("None so far. Write here what helped.\n", "In May it was the certificate.\n\n- See the log.\n")
    page.write_text(noted.replace("# ServiceDown", "# Old title"), encoding="utf-8")
    documents.write(tmp_path)

    assert page.read_text(encoding="utf-8") == noted
    assert noted != text


def test_a_page_for_each_alert() -> None:
    """Proves that each alert of a stack with every exporter and every system has its page, those on log lines and of
    the example too, and that no page is left of an alert that is gone."""
    stack = documents.whole_stack(examples=True)
    alerts = {alert.name for group in (*stack.groups, *stack.log_groups) for alert in group.alerts}

    assert {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} == alerts
    assert {"CheckoutsFailing", "SlowQueries", "ErrorBudgetBurn"} <= alerts


@cache
def _documents() -> dict[str, str]:
    return documents.documents(ROOT)


def _made(name: str) -> str:
    """The page of an alert, without its notes."""
    return _documents()[f"docs/runbooks/{name}.md"].partition("## Notes")[0]


HEAD = "| Of | Severity | Limit | For | Rules | Dashboard | Override |\n| --- | --- | --- | --- | --- | --- | --- |\n"
CHANGES = (
    "A stack file changes its limit, severity or wait, or leaves it out, under `alerting.overrides`, by the last"
    " column."
)


def test_runbook() -> None:
    """Proves what a page holds: summary, severity, limit and wait, where it is evaluated, shown and changed,
    expression, what it says, and what to do first."""
    assert _made("RedisMemoryNearlyFull") == (
        "# RedisMemoryNearlyFull\n\nRedis *instance* nearly fills its memory.\n\n"
        f"{HEAD}| all | warning | > 0.9 | 5m | `prometheus/rules/redis.yml` | Redis (`exporter-redis`)"
        f" | `RedisMemoryNearlyFull` |\n\n{CHANGES}\n\n"
        "## What it means\n\nIt fires after 5m, where this gives a result:\n\n"
        "```promql\nredis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9\n```\n\n"
        "It says: `{{ $value | humanizePercentage }} of maxmemory is used (limit 0.9).`\n\n"
        "## What to do first\n\n"
        "Look at evictions and at keys without an expiry, then decide between more memory and less data.\n\n"
    )


def test_runbook_of_several_systems() -> None:
    """Proves that systems that share an alert share its page: a row for each, an expression for each that differs in
    more than the system and the limit, and what each does first."""
    names = ("TasksFailing", "LowCacheHitRate")
    tasks, cache_hits = (_made(name) for name in names)
    rows = [line for line in tasks.splitlines() if line.startswith("| `")]

    assert [row.split(" | ")[:4] for row in rows] == [
        ["| `narra-forge`", "warning", "> 0.1", "10m"],
        ["| `personal-assistant`", "warning", "> 0.1", "10m"],
    ]
    assert rows[0].endswith("| NARRA_FORGE Overview (`narra-forge-overview`) | `narra-forge/TasksFailing` |")
    assert tasks.count("\n- `") == 2
    assert [line for line in cache_hits.splitlines() if line.startswith("###")] == [
        "### `personal-assistant`, `bookshop`",
        "### `wwmaa`",
    ]
    assert cache_hits.count("```promql") == 2


def test_runbook_of_several_levels() -> None:
    """Proves that levels of one alert have a row each with the name that an override calls it by, and one expression
    where they differ in the limit only."""
    page = _made("ZeroDBSlow")
    rows = [line for line in page.splitlines() if line.startswith("| `")]

    assert [(*row.split(" | ")[1:4], row.split(" | ")[-1]) for row in rows] == [
        ("warning", "> 1 s", "5m", "`ZeroDBSlow@warning` |"),
        ("critical", "> 5 s", "2m", "`ZeroDBSlow@critical` |"),
    ]
    assert page.count("```promql") == 1
    assert "That is the one of `wwmaa`; the other differs in limit only." in page


def test_names_for_overrides_work() -> None:
    """Proves that the last column of a page is a name that an override may have, and reaches the row's alert: with all
    of them disabled, none is left."""
    stack = documents.whole_stack(examples=True)
    keys = {rule.key for same in runbooks.rules(stack).values() for rule in same}
    left = override((*stack.groups, *stack.log_groups), dict.fromkeys(keys, Override(disabled=True)), file="any.yaml")

    assert [alert.name for group in left for alert in group.alerts] == []


def test_runbook_of_log_lines() -> None:
    """Proves that an alert on log lines says that Loki evaluates it, in Loki's language."""
    page = _made("SlowQueries")

    assert "| all | warning | > 1000 | 0s | `loki/rules/fake/logs.yml` | Logs (`logs`) | `SlowQueries` |" in page
    assert "It fires at once, where this gives a result:\n\n```logql\n" in page


def test_runbook_of_parts() -> None:
    """Proves that an alert that each part of the stack has is one row that names them all."""
    page = _made("TargetMissing")
    (row,) = (line for line in page.splitlines() if line.startswith("| `"))

    assert "`alertmanager`" in row
    assert "`prometheus`" in row
    assert "| critical | none | 5m |" in row
    assert "Nothing of *service* is scraped any more." in page
    assert "That is the one of `alertmanager`; the others differ in name only." in page
    assert "A stack file changes its severity or wait" in page


@pytest.mark.parametrize(
    "row",
    [
        "| `environment` | name | required | The label `environment` of every sample, log line and span. |",
        (
            "| `port_offset` | whole number from 0 to 40000 | `0` | Added to every port that this"
            " machine sees, so that two stacks can live"
            " side by side. |"
        ),
        (
            "| `runtime` | `process`, `docker`, `kubernetes` | required | Where workloads run; never"
            " changes for a stack. |"
        ),
        (
            "| `alerting.receivers.<name>.webhook.url` | URL or `{secret: <its name>}` | required | In"
            " the clear, or a secret when the URL itself"
            " is one. |"
        ),
        "| `alerting.overrides.<name>.for` | duration or 0s | none | How long the condition must hold. |",
        "| `log_files[].include` | list of: text | required | Globs of absolute paths. |",
        "| `exporters.blackbox.probes.<name>.url` | URL | none | HTTP: healthy is an answer of 200 to 299. |",
        (
            "| `systems.<name>.services` | mapping to: list of: host:port | `{}` | By the profile's service:"
            " `host:port` of each replica. |"
        ),
        (
            "| `systems.<name>.redis.<name>.exporter` | host:port | none | Where an exporter of the server already"
            " runs: the stack then only scrapes it. |"
        ),
        (
            '| `alerting.mute_times.<name>[].from` | text | `"00:00"` | When it begins; in quotes, since YAML takes it'
            " for a number. |"
        ),
    ],
)
def test_settings_page_has_the_row(row: str) -> None:
    """Proves that a setting stands there with its path, form, default and meaning."""
    assert row in reference.settings_page().splitlines()


def test_settings_page_has_every_exporter() -> None:
    """Proves that no exporter's settings are missing."""
    page = reference.settings_page()

    assert [name for name in exporters.discover() if f"\n## `exporters.{name}`\n" not in page] == []


@pytest.mark.parametrize(
    "row",
    [
        "| `owner` | text | required | Who answers for it. |",
        "| `objectives.<name>.percent` | number over 0 under 100 | required | How many of a hundred events are good. |",
        (
            "| `services.<name>.interval` | duration | none | How often it is scraped; none: like everything of the"
            " stack. |"
        ),
        '| `alerts[].for` | duration or 0s | `"5m"` | How long the condition must hold. |',
        "| `dashboards[].panels[].by` | list of: text | `[]` | Labels that are told apart. |",
        "| `signals.<name>.rate` | text | none | A counter's growth in each `per`. |",
        (
            "| rate | `rate: orders_total`, `per: 1m` | `sum by (app, environment, service)"
            ' (rate(orders_total{app="bookshop"}[5m])) * 60` | none |'
        ),
        '| `usd` | `{{ $value \\| printf "%.2f" }} USD` | USD |',
        (
            "| `cache_hit_ratio` | Cache Hit Rate | ratio | part | `exporters: [redis]` | Share of the lookups that"
            " found their key. |"
        ),
        (
            "| `http_error_share` | Error Rate | ratio | share | `http` | Share of the requests that end in a status of"
            " 500 to 599. |"
        ),
        (
            "| `probe_success` | Health Checks | state | value | `probes` | 1 while the page answers a knock from"
            " outside. |"
        ),
    ],
)
def test_systems_page_has_the_row(row: str) -> None:
    """Proves that keys of a profile, kinds, units and named signals stand there."""
    assert row in reference.systems_page().splitlines()


def test_systems_page_has_every_named_signal() -> None:
    """Proves that no named signal is missing, and none is there twice."""
    whole = Profile.model_validate({"owner": "us", "services": {"web": {}}, "exporters": EXPORTERS})
    named = re.findall(r"^\| `(\w+)` \|", reference.systems_page().partition("### Named signals")[2], re.MULTILINE)

    assert sorted(named) == sorted(named_signals.named(whole))


@pytest.mark.parametrize("schema", [SCHEMA, OF_A_PROFILE], ids=["stack", "system"])
def test_schema_is_a_schema(schema: dict[str, Any]) -> None:
    """Proves that each schema itself is well formed."""
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: file.stem)
def test_schema_accepts_the_profiles(file: Path) -> None:
    """Proves that editors accept each profile, and are told by its first line where the schema is."""
    text = file.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)

    assert _complaints(json.loads(json.dumps(yaml.load(text, Loader=yaml.CSafeLoader))), OF_A_PROFILE) == []
    assert named
    assert (file.parent / named[1]).resolve() == ROOT / "docs" / "system.schema.json"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alert": []}, "Additional properties are not allowed ('alert' was unexpected)"),
        ({"exporters": ["mysql"]}, "'mysql' is not one of ['node', 'postgres', 'redis', 'nginx', 'celery']"),
        (
            {"signals": {"a": {"name": "A", "title": "A"}}},
            "Additional properties are not allowed ('name' was unexpected)",
        ),
        ({"alerts": [{"name": "Slow", "signal": "http_p95"}]}, "'severity' is a required property"),
        ({"objectives": {"a": {"title": "A", "percent": 100}}}, "100 is greater than or equal to the maximum of 100"),
    ],
)
def test_schema_refuses_in_profiles(changes: dict[str, Any], words: str) -> None:
    """Proves that editors mark in a profile what the program would refuse."""
    value = yaml.load(
        (ROOT / "examples" / "systems" / "bookshop.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )

    assert [each.partition(": ")[2] for each in _complaints({**value, **changes}, OF_A_PROFILE)] == [words]


@pytest.mark.parametrize("name", STACKS)
def test_schema_accepts_the_stack_files(name: str) -> None:
    """Proves that editors accept each stack file of this project."""
    assert _complaints(STACKS[name]) == []


def test_schema_accepts_everything() -> None:
    """Proves that every receiver and exporter is accepted, beside other keys of Pulumi's."""
    value = copy.deepcopy(STACKS["local"])
    value["config"][KEY] |= {"exporters": EVERY_EXPORTER, "alerting": EVERY_RECEIVER}
    value["config"]["observability:slack"] = {"secure": "v1:abc"}
    value |= {"encryptionsalt": "v1:abc", "secretsprovider": "passphrase"}

    assert _complaints(json.loads(json.dumps(value))) == []


NAMES = "'^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$'"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retentions": {}}, "Additional properties are not allowed ('retentions' was unexpected)"),
        ({"retention": {"metric": "1d"}}, "Additional properties are not allowed ('metric' was unexpected)"),
        ({"exporters": {"nod": {}}}, "Additional properties are not allowed ('nod' was unexpected)"),
        ({"systems": {"shop": {"service": {}}}}, "Additional properties are not allowed ('service' was unexpected)"),
        (
            {"systems": {"shop": {"redis": {"a": {"adress": "b:1"}}}}},
            "Additional properties are not allowed ('adress' was unexpected)",
        ),
        ({"exporters": {"node": {"prt": 1}}}, "Additional properties are not allowed ('prt' was unexpected)"),
        ({"exporters": {"node": {"targets": {"a": {}}}}}, "'address' is a required property"),
        ({"alerting": {"receivers": {"Team A": {}}}}, f"'Team A' does not match any of the regexes: {NAMES}"),
        ({"runtime": "podman"}, "'podman' is not one of ['process', 'docker', 'kubernetes']"),
        ({"port_offset": 50000}, "50000 is greater than the maximum of 40000"),
    ],
)
def test_schema_refuses(changes: dict[str, Any], words: str) -> None:
    """Proves that editors mark what the program would refuse."""
    value = copy.deepcopy(STACKS["local"])
    value["config"][KEY] |= changes

    assert [complaint.partition(": ")[2] for complaint in _complaints(value)] == [words]


@pytest.mark.parametrize("text", ["15 d", "1s1m", "d", ""])
def test_schema_refuses_bad_durations(text: str) -> None:
    """Proves that a duration's form is known to editors too."""
    value = copy.deepcopy(STACKS["local"])
    value["config"][KEY]["scrape_interval"] = text

    assert len(_complaints(value)) == 1


def test_schema_refuses_other_top_keys() -> None:
    """Proves that a stack file without config, or with a misspelt key beside it, is marked."""
    assert _complaints({"confg": {}}) == [
        ": 'config' is a required property",
        ": Additional properties are not allowed ('confg' was unexpected)",
    ]
