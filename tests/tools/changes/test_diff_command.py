"""`make diff` as people and scripts meet it, on revisions of this repository."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tools import paths
from tools.changes import markdown, pictures
from tools.changes.report import ChangedThing, Files, Report, SubjectChanges, Thing
from tools.cli import app
from tools.pictures.request import Request

FIRST = "9e33d61"
"""The first revision with a render command: earlier than most of what a stack is made of."""


def _has(ref: str) -> bool:
    command = ["git", "cat-file", "-e", f"{ref}^{{commit}}"]
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, check=False).returncode == 0


needs_history = pytest.mark.skipif(not _has(FIRST), reason="a shallow clone has no earlier revisions")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache of the module's own, so that each revision is rendered once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "160")
        yield


def _diff(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["diff", *arguments])


@needs_history
def test_an_early_revision_is_compared_on_what_it_has() -> None:
    """Proves that the first revision that renders is compared with HEAD, although it knew no routes of systems, no
    objectives and one dashboard: what came since is added, and what no inventory said then is no change."""
    done = _diff("--stack", "local", "--base", FIRST, "--head", "HEAD", "--json", "--fail-on", "nothing")
    assert (done.exit_code, done.stderr) == (0, "")
    report = Report.model_validate_json(done.stdout)
    found = {each.subject: each for each in report.subjects}
    assert {"alerts", "routes", "receivers", "objectives", "recorded_series", "dashboards", "panels"} <= set(found)
    assert "HighErrorRate of wwmaa (critical)" in {thing.name for thing in found["alerts"].added}
    assert "HostDiskFull (critical)" in {thing.name for thing in found["alerts"].removed}
    assert [thing.name for thing in found["receivers"].removed] == ["inbox"]
    for thing in found["programs"].changed if "programs" in found else ():
        assert set(thing.fields) <= {"image", "version", "digest"}


@needs_history
def test_a_commit_and_the_one_before() -> None:
    """Proves by a real commit, after which log lines wait for Loki, that what it means for a stack is told in whole:
    two files of one program, in which a processor is gone."""
    done = _diff("--stack", "local", "--base", "d5ad940~1", "--head", "d5ad940", "--json")
    assert done.exit_code == 0
    report = Report.model_validate_json(done.stdout)
    (files,) = report.subjects
    assert (files.subject, [thing.name for thing in files.changed]) == (
        "files",
        ["collector/alert-history.yml", "collector/collector.yml"],
    )
    processors = files.changed[1].fields["service.pipelines.logs.processors"]
    assert processors.before == f"{processors.after}, batch"
    assert report.files.changed == ("collector/alert-history.yml", "collector/collector.yml")


def test_the_same_revision_twice_is_nothing() -> None:
    """Proves that HEAD compared with itself is one line and status 0, also where anything at all would fail."""
    done = _diff("--stack", "local", "--base", "HEAD", "--head", "HEAD", "--fail-on", "any")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "local: nothing changes\n", "")


@needs_history
@pytest.mark.parametrize(("fail_on", "status"), [("breaking", 0), ("any", 1)])
def test_what_fails_is_a_wish(fail_on: str, status: int) -> None:
    """Proves that a real commit that breaks nothing ends with status 1 only where any change shall."""
    done = _diff("--stack", "local", "--base", "d5ad940~1", "--head", "d5ad940", "--fail-on", fail_on)
    assert (done.exit_code, done.stderr) == (status, "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--base", "nope"), "BASE=nope: no such revision (accepted: a branch, tag or commit that this clone has; a"),
        (("--base", ""), "BASE: required (accepted: a branch, tag or commit)"),
        (("--head", "nope"), "HEAD=nope: no such revision (accepted: a branch, tag or commit that this clone has; a"),
        (
            ("--stack", "nope", "--head", "HEAD"),
            "STACK=nope: HEAD=HEAD has no Pulumi.nope.yaml (accepted: dev, local, prod)",
        ),
        (
            ("--out", "report.txt"),
            "OUT=report.txt: a report is Markdown or JSON (accepted: a name that ends in .md or .json)",
        ),
        (("--json", "--markdown"), "--json, --markdown: both are asked for (accepted: one of them)"),
        (
            ("--head", "HEAD", "--out", "/proc/none/a.md"),
            "OUT=/proc/none/a.md: cannot be written: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    """Proves that a mistake is one line on stderr that names the option and what is accepted, and status 2."""
    done = _diff(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


@needs_history
def test_a_base_that_does_not_render_is_one_line() -> None:
    """Proves by a real revision, from before there was a render command, that the line says which and why."""
    done = _diff("--base", f"{FIRST}~1", "--head", "HEAD")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"BASE={FIRST}~1: local does not render: ")
    assert done.stderr.endswith(" (accepted: a revision that renders)\n")
    assert done.stderr.count("\n") == 1


@needs_history
def test_files_and_screen_say_the_same(tmp_path: Path) -> None:
    """Proves that OUT writes Markdown and JSON at once, beside what the terminal shows, making their directory."""
    out = tmp_path / "reports"
    arguments = ("--stack", "local", "--base", "d5ad940~1", "--head", "d5ad940")
    shown = _diff(*arguments, "--out", f"{out}/a.md {out}/a.json")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("local: ")
    assert (out / "a.md").read_text() == _diff(*arguments, "--markdown").stdout
    assert json.loads((out / "a.json").read_text()) == json.loads(_diff(*arguments, "--json").stdout)


@needs_history
def test_pictures_that_cannot_be_taken_are_no_failure(tmp_path: Path) -> None:
    """Proves that a Grafana that does not answer is one line on stderr, and that the report is there without it."""
    out = tmp_path / "a.md"
    arguments = ("--stack", "local", "--base", FIRST, "--head", "HEAD", "--fail-on", "nothing")
    done = _diff(*arguments, "--out", str(out), "--pictures", "http://127.0.0.1:9")
    assert done.exit_code == 0
    assert done.stderr.startswith("no pictures: GRAFANA_URL: http://127.0.0.1:9 does not answer")
    assert "Pictures" not in out.read_text()


def test_pictures_stand_in_the_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that of all dashboards those that changed are photographed, beside the file that shows them: a camera of
    the test's own is told which and where to."""
    asked: list[Request] = []

    def photograph(request: Request, console: Console) -> bool:
        del console
        asked.append(request)
        request.out.mkdir(parents=True)
        for uid in request.dashboards[:1]:
            (request.out / f"{uid}.png").write_bytes(b"picture")
        return True

    monkeypatch.setattr(pictures, "photograph", photograph)
    boards = SubjectChanges(
        subject="dashboards",
        added=(Thing(name="new", fields={}),),
        removed=(),
        changed=(ChangedThing(name="shop", fields={}),),
    )
    panels = boards.model_copy(
        update={"subject": "panels", "added": (), "changed": (ChangedThing(name="a / B", fields={}),)}
    )
    nothing = Files(added=(), removed=(), changed=("dashboards/shop.json",), copies=())
    report = Report(
        stack="shop",
        base="main",
        head="",
        new_stack=False,
        breaking=(),
        subjects=(boards, panels),
        totals=(),
        files=nothing,
        diff="",
    )
    found = pictures.take(report, "http://127.0.0.1:3000", tmp_path, Console(quiet=True))
    assert [(each.url, each.dashboards, each.out) for each in asked] == [
        ("http://127.0.0.1:3000", ("a", "shop"), tmp_path / "pictures")
    ]
    assert found == {"a": "pictures/a.png"}
    assert "\n![a](pictures/a.png)\n" in markdown.document(report, pictures=found)


def test_make_hands_everything_on() -> None:
    """Proves by make's own dry run that each variable becomes its option, and that without them there is none."""

    def dry(**variables: str) -> str:
        settings = [f"{key}={value}" for key, value in variables.items()]
        command = ["make", "--dry-run", "--no-print-directory", "diff", *settings]
        environment: Mapping[str, str] = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
        done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=True)
        return " ".join(done.stdout.replace("\\\n", " ").split())

    python = "tools.cli diff --stack"
    assert dry().endswith(f"{python} local")
    every = dry(
        STACK="prod",
        BASE="main",
        HEAD="x",
        JSON="1",
        MARKDOWN="1",
        OUT="a.md b.json",
        FAIL_ON="any",
        PICTURES="http://g",
    )
    assert every.endswith(
        f'{python} prod --base "main" --head "x" --json --markdown --out "a.md b.json" --fail-on any --pictures "http://g"'
    )


def test_the_command_needs_nothing_else() -> None:
    """Proves that a comparison reaches for no server: with every proxy and engine set to what refuses, it is the
    same."""
    nowhere = "http://127.0.0.1:9"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
        **dict.fromkeys(("http_proxy", "https_proxy", "DOCKER_HOST", "KUBECONFIG", "PULUMI_BACKEND_URL"), nowhere),
    }
    command = [sys.executable, "-m", "tools.cli", "diff", "--stack", "dev", "--base", "HEAD", "--head", "HEAD"]
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "dev: nothing changes\n", "")
