"""The documents that are made from the code: fresh, complete, and their schema strict."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from specs import exporters
from specs.settings import KEY
from tests.specs.support import EVERY_EXPORTER, EVERY_RECEIVER, ROOT
from tools import documents

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "stack.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
STACKS = {
    name: yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))
    for name in ("local", "dev", "prod")
}


def _complaints(value: Any) -> list[str]:
    errors = cast("Iterable[jsonschema.ValidationError]", VALIDATOR.iter_errors(value))  # pyright: ignore[reportUnknownMemberType] - half typed
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
    """Proves that each alert of a stack with every exporter has its page, and that no page is left of an alert that
    is gone."""
    alerts = {alert.name for group in documents.whole_stack().groups for alert in group.alerts}

    assert {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} == alerts


def test_runbook() -> None:
    """Proves what a page holds: title, severity, limit, expression and wait, what it says, and what to do first."""
    made = documents.documents(ROOT)["docs/runbooks/RedisMemoryNearlyFull.md"]

    assert made.partition("## Notes")[0] == (
        "# RedisMemoryNearlyFull\n\n"
        "| | |\n| --- | --- |\n| Severity | warning |\n| Rules | `rules/redis.yml` |\n"
        "| Limit | 0.9; a stack changes it by `alerting.overrides.RedisMemoryNearlyFull.threshold` |\n\n"
        "Redis *instance* nearly fills its memory.\n\n"
        "## What it means\n\nIt fires after 5m, where this gives a result:\n\n"
        "```promql\nredis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9\n```\n\n"
        "It says: `{{ $value | humanizePercentage }} of maxmemory is used (limit 0.9).`\n\n"
        "## What to do first\n\n"
        "Look at evictions and at keys without an expiry, then decide between more memory and less data.\n\n"
    )


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
    ],
)
def test_settings_page_has_the_row(row: str) -> None:
    """Proves that a setting stands there with its path, form, default and meaning."""
    assert row in documents.settings_page().splitlines()


def test_settings_page_has_every_exporter() -> None:
    """Proves that no exporter's settings are missing."""
    page = documents.settings_page()

    assert [name for name in exporters.discover() if f"\n## `exporters.{name}`\n" not in page] == []


def test_schema_is_a_schema() -> None:
    """Proves that the schema itself is well formed."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


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
        ({"exporters": {"node": {"prt": 1}}}, "Additional properties are not allowed ('prt' was unexpected)"),
        ({"exporters": {"redis": {"targets": {"a": {}}}}}, "'address' is a required property"),
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
