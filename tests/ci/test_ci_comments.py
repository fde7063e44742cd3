"""One comment on a change, kept up to date, on both forges."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from specs.model import SettingsError
from tests.ci.stand_ins import TOKEN, StandIn
from tools.ci import comments, forges
from tools.ci.__main__ import app

ROOT = Path(__file__).resolve().parents[2]
FIRST = "<!-- observability: change-report -->"


def test_one_comment_of_a_key_is_kept_up_to_date(stand_in: StandIn) -> None:
    """Proves that the second run changes the first run's comment, also when it is on a later page, that a third with
    nothing new changes nothing, and that other comments stay."""
    hosted = stand_in.hosted
    for number in range(5):
        hosted.comment(12, f"talk {number}", own=False)
    forge = forges.of(stand_in.variables)
    assert comments.put(forge, 12, "change-report", ["one alert more"]) == "made"
    assert comments.put(forge, 12, "change-report", ["two alerts more", "", "prod: nothing"]) == "changed"
    assert comments.put(forge, 12, "change-report", ["two alerts more", "prod: nothing"]) == "unchanged"
    assert comments.put(forge, 12, "preview-prod", ["2 to update"]) == "made"

    talk = [f"talk {number}" for number in range(5)]
    ours = [f"{FIRST}\ntwo alerts more\n\nprod: nothing", "<!-- observability: preview-prod -->\n2 to update"]
    assert hosted.on(12) == [*talk, *ours]


def test_a_persons_comment_is_never_changed(stand_in: StandIn) -> None:
    """Proves that somebody who writes the marker does not get the job to edit what they wrote."""
    stand_in.hosted.comment(12, f"{FIRST}\nLGTM", own=False)
    comments.put(forges.of(stand_in.variables), 12, "change-report", ["new"])

    assert stand_in.hosted.on(12) == [f"{FIRST}\nLGTM", f"{FIRST}\nnew"]


@pytest.mark.parametrize("limit", [65_536, 2_000, 400])
def test_a_comment_fits(limit: int) -> None:
    """Proves that no comment is longer than the forge takes, that folded diffs go first, that what is left out is
    said, and that neither a fence nor a fold stays open."""
    diff = "<details><summary>raw</summary>\n\n```diff\n" + "+ a line of a diff\n" * 5_000 + "```\n</details>"
    sections = [f"## {stack}\n\n| alert | change |\n|---|---|\n| A | new |\n\n{diff}" for stack in ("dev", "prod")]
    made = comments.fitted(sections, limit)

    assert len(made) <= limit
    assert "too long for a comment" in made
    assert made.count("<details>") == made.count("</details>")
    assert made.count("```") % 2 == 0
    if limit == 2_000:
        assert [word in made for word in ("## dev", "## prod", "| A | new |", "a line")] == [True, True, True, False]


def test_a_comment_that_fits_is_whole() -> None:
    """Proves that nothing is left out without need."""
    assert comments.fitted(["a\n", " ", "<details>b</details>"], 1_000) == "a\n\n<details>b</details>"


def test_the_shorter_section_keeps_its_diff() -> None:
    """Proves that the longest section loses what is folded before others do."""
    short, long = ("<details>" + "x" * count + "</details>" for count in (100, 900))
    made = comments.fitted([short, long], 500)
    assert short in made
    assert "xxx" not in made.replace(short, "")


def test_a_cut_closes_what_it_opened() -> None:
    """Proves it wherever the end falls."""
    long = "row of a table\n" * 10
    text = f"## a\n\n{long}\n<details>\n<summary>more</summary>\n\n```text\n{long * 2}```\n\n</details>\n\n{long * 4}"
    for limit in range(150, len(text)):
        made = comments.cut(text, limit)
        assert len(made) <= limit
        assert made.count("```") % 2 == 0, made
        assert made.count("<details>") == made.count("</details>"), made


def test_passing_trouble_is_waited_for(stand_in: StandIn) -> None:
    """Proves that a forge that answers 502 once is asked again."""
    stand_in.hosted.failing = 1
    assert comments.put(forges.of(stand_in.variables), 12, "change-report", ["a"]) == "made"
    assert len(stand_in.hosted.on(12)) == 1


def test_the_command_comments_on_the_jobs_change(stand_in: StandIn, tmp_path: Path) -> None:
    """Proves that `python -m tools.ci comment` finds forge and change by the variables of the job, and prints no
    token."""
    files = [tmp_path / "1-dev.md", tmp_path / "2-prod.md"]
    for file in files:
        file.write_text(f"# {file.stem}\n")
    command = [sys.executable, "-m", "tools.ci", "comment", "--key", "change-report", *map(str, files)]
    env = {**_clean(), **stand_in.variables}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "comment change-report: made\n", "")
    assert stand_in.hosted.on(12) == [f"{FIRST}\n# 1-dev\n\n# 2-prod"]


def _clean() -> dict[str, str]:
    """The environment without what a job of this project's own has."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GITLAB_", "CI"))}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"GITHUB_TOKEN": "wrong", "GITLAB_TOKEN": "wrong"}, "401 Bad credentials"),
        ({"GITHUB_TOKEN": "", "GITLAB_TOKEN": ""}, "_TOKEN: not set (accepted: what the forge sets for a job"),
        ({"GITHUB_REF": "refs/heads/main", "CI_MERGE_REQUEST_IID": ""}, "(accepted: "),
        ({"GITHUB_API_URL": "http://127.0.0.1:1", "CI_API_V4_URL": "http://127.0.0.1:1"}, "Connection refused"),
        ({"GITHUB_REPOSITORY": "team/gone", "CI_PROJECT_ID": "43"}, "404"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    """Proves that a wrong or missing token, a job of no change, a forge that is away and a project that is not there
    end with status 2 and one line, without the token."""
    (tmp_path / "a.md").write_text("a")
    for name in set(os.environ) - set(_clean()):
        monkeypatch.delenv(name)
    arguments = ["comment", "--key", "change-report", str(tmp_path / "a.md")]
    done = CliRunner().invoke(app, arguments, env={**stand_in.variables, **variables})

    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert TOKEN not in done.output


def test_elsewhere_than_in_a_job_nothing_is_tried() -> None:
    """Proves that a person who runs it is told what it is for."""
    with pytest.raises(SettingsError, match="no job of a forge"):
        forges.of({})
