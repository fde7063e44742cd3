"""Workflows of GitHub and GitLab: taken by their own checkers, with few rights, and naming what exists."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from tools import cli, native
from tools.ci import __main__ as ci

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
SCRIPTS = sorted((ROOT / "tools" / "ci").glob("*.sh"))
BIN = Path(sys.executable).parent

WRITES = {
    ("change-report.yml", "report"): {"pull-requests"},
    ("deploy.yml", "dev"): {"id-token"},
    ("deploy.yml", "prod"): {"id-token"},
    ("drift.yml", "drift"): {"id-token", "issues"},
    ("preview.yml", "preview"): {"id-token", "pull-requests"},
    ("release.yml", "release"): {"contents"},
    ("site.yml", "site"): {"id-token", "pages"},
    ("up.yml", "up"): {"id-token"},
}
"""What a job may write, which is all that it may do beyond reading the checkout."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _jobs() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in _read(path)["jobs"].items():
            yield path, name, job


def _steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step of workflows and actions, and where it stands."""
    for path, name, job in _jobs():
        for step in job.get("steps", ()):
            yield f"{_name(path)} {name}", step
    for path in ACTIONS:
        for step in _read(path)["runs"]["steps"]:
            yield _name(path), step


def _gitlab_jobs() -> dict[str, dict[str, Any]]:
    words = {"workflow", "stages", "default", "variables"}
    return {name: job for name, job in _read(GITLAB).items() if name not in words}


def _lines() -> Iterator[tuple[str, str]]:
    """Every script of a job, of either forge, and where it stands."""
    for where, step in _steps():
        if "run" in step:
            yield where, step["run"]
    for name, job in _gitlab_jobs().items():
        for key in ("before_script", "script"):
            if key in job:
                yield f"{GITLAB.name} {name}", "\n".join(job[key])


def _checked(*command: str | Path, stdin: str = "") -> None:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _actionlint(*arguments: str | Path, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    (found,) = (found.path for found in native.ensure(["actionlint"]).values() if found.name == "actionlint")
    # It runs shellcheck on every script, when it finds it.
    command = [str(found), "-no-color", f"-shellcheck={BIN / 'shellcheck'}", "-pyflakes=", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_actionlint_takes_every_workflow() -> None:
    """Proves that actionlint, with shellcheck, finds nothing: keys, expressions, inputs of actions, scripts."""
    done = _actionlint(*WORKFLOWS)

    assert len(WORKFLOWS) == 8
    assert done.returncode == 0, done.stdout


def test_actionlint_would_find_a_mistake(tmp_path: Path) -> None:
    """Proves that what the test before looks for is found: an unknown context, and a script that splits words."""
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    bad.write_text(text.replace("github.token", "github.tokn").replace('"$GITHUB_REF_NAME"', "$GITHUB_REF_NAME"))
    done = _actionlint(bad, cwd=tmp_path)

    assert "tokn" in done.stdout
    assert "SC2086" in done.stdout


def test_actions_and_gitlab_have_their_schemas_form() -> None:
    """Proves that composite actions and the GitLab file are valid by the schemas of the two."""
    check = BIN / "check-jsonschema"
    _checked(check, "--builtin-schema", "vendor.github-actions", *ACTIONS)
    _checked(check, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    _checked(check, "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", GITLAB)


@pytest.mark.parametrize("script", SCRIPTS, ids=_name)
def test_shellcheck_takes_scripts(script: Path) -> None:
    """Proves that shellcheck finds nothing in a script that jobs call."""
    _checked(BIN / "shellcheck", script)


def test_shellcheck_takes_what_stands_in_actions_and_in_gitlab() -> None:
    """Proves the same of scripts that actionlint does not look at."""
    elsewhere = [(where, text) for where, text in _lines() if not where.startswith(".github/workflows")]

    assert len(elsewhere) > 10
    for _, text in elsewhere:
        # A sourced file is checked by itself.
        _checked(BIN / "shellcheck", "--shell=bash", "--exclude=SC1090,SC1091", "-", stdin=text)


# Rights.


def test_every_action_is_pinned() -> None:
    """Proves that each foreign action is named by a full SHA with its version beside it, that one action is one SHA
    everywhere, and that images have a digest."""
    versions: dict[str, set[str]] = {}
    for path in (*WORKFLOWS, *ACTIONS):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\s*(?:- )?uses: (\S+)(.*)$", line):
                if found[1].startswith("./"):
                    continue
                pinned = re.fullmatch(r"([\w.-]+/[\w./-]+)@([0-9a-f]{40})", found[1])
                assert pinned, f"{_name(path)}: {line}"
                assert re.fullmatch(r" # v\d+\.\d+\.\d+", found[2]), f"{_name(path)}: {line}"
                versions.setdefault(pinned[1], set()).add(pinned[2] + found[2])
    images = [job["container"] for *_, job in _jobs() if "container" in job]
    images += [_read(GITLAB)["default"]["image"], _read(GITLAB)["variables"]["DEPLOY_IMAGE"]]

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
    assert len(versions) == 13
    assert [image for image in images if not re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", image)] == []
    assert len(set(images)) == 1


def test_jobs_have_no_more_rights_than_they_need() -> None:
    """Proves that a workflow gives nothing of itself, that each job reads the checkout and writes what the table
    says, and that no token stays in the checkout."""
    for path, name, job in _jobs():
        rights: Mapping[str, str] = job["permissions"]
        writes = {right for right, kind in rights.items() if kind == "write"}
        assert writes == WRITES.get((path.name, name), set()), f"{path.name} {name}"
        assert {right for right in rights if right not in writes} <= {"contents"}, f"{path.name} {name}"
    assert [path.name for path in WORKFLOWS if _read(path)["permissions"] != {}] == []
    checkouts = [step for _, step in _steps() if str(step.get("uses", "")).startswith("actions/checkout@")]
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_nobody_outside_gets_a_say() -> None:
    """Proves that no workflow runs a stranger's code with rights (`pull_request_target`), that no expression is put
    into a script, where a branch's name would be code, and that no long-lived key of a cloud is asked for."""
    asked = {trigger for path in WORKFLOWS for trigger in _triggers(_read(path))}

    assert asked == {"pull_request", "push", "schedule", "workflow_call", "workflow_dispatch"}
    assert [where for where, text in _lines() if "${{" in text] == []
    texts = "".join(path.read_text(encoding="utf-8") for path in (*WORKFLOWS, *ACTIONS))
    assert "secrets." not in texts
    assert "secrets: inherit" not in texts


def _triggers(workflow: Mapping[Any, Any]) -> list[str]:
    # YAML 1.1 reads the key `on` as true.
    found = workflow[True]
    return [found] if isinstance(found, str) else list(found)


def test_what_changes_a_stack_is_one_at_a_time() -> None:
    """Proves that an update is alone on its stack, never interrupted, and that production waits for `dev`, for an
    approval, and for a doctor that finds nothing."""
    (up,) = (job for path, _, job in _jobs() if path.name == "up.yml")
    deploy = _read(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]
    gitlab = _gitlab_jobs()

    assert up["concurrency"] == {"group": "up-${{ inputs.stack }}", "cancel-in-progress": False}
    assert up["environment"] == "${{ inputs.stack }}"
    assert [step["run"] for step in up["steps"] if "run" in step] == [
        'make policy STACK="$STACK"',
        'make up STACK="$STACK"',
        'make doctor STACK="$STACK"',
    ]
    assert [deploy[name]["needs"] for name in ("dev", "prod")] == ["checks", "dev"]
    assert (gitlab[".up"]["resource_group"], gitlab[".up"]["interruptible"]) == ("$STACK", False)
    assert gitlab[".up"]["script"] == [step["run"] for step in up["steps"] if "run" in step]
    assert [rule.get("when") for rule in gitlab["up prod"]["rules"]] == ["manual"]
    updating = [where for where, text in _lines() if re.search(r"\bmake up\b|pulumi up|refresh --yes", text)]
    assert updating == [".github/workflows/up.yml up", ".gitlab-ci.yml .up"]


def test_a_requests_code_is_not_where_stacks_are_changed() -> None:
    """Proves that no runner that deploys previews what a pull request says, and that each stack that `PREVIEWS` may
    name has a preview of its own on GitLab."""
    texts = [str(job["runs-on"]) for path, _, job in _jobs() if path.name == "preview.yml"]
    previews = {name: job for name, job in _gitlab_jobs().items() if name.startswith("preview ")}
    texts += [str(job.get("tags", "")) for job in previews.values()]

    assert [text for text in texts if re.search(r"(?:DEV|PROD)_RUNNER", text)] == []
    assert {name.removeprefix("preview ") for name in previews} == {"local", "dev", "prod"}
    for name, job in previews.items():
        [rule] = job["rules"]
        assert f'$PREVIEWS =~ /"{name.removeprefix("preview ")}"/' in rule["if"]
        assert job["variables"]["STACK"] == name.removeprefix("preview ")


def test_every_job_ends() -> None:
    """Proves that a job that hangs is ended."""
    assert [name for _, name, job in _jobs() if "uses" not in job and "timeout-minutes" not in job] == []


# What they name.


def test_versions_are_the_projects() -> None:
    """Proves that jobs take the Pulumi that the project pins, and its Python."""
    pins = [step["with"]["pulumi-version"] for _, step in _steps() if "pulumi-version" in step.get("with", {})]

    assert len(pins) == 2
    assert {str(pin) for pin in pins} == {native.version_pin("pulumi")}


def test_commands_exist() -> None:
    """Proves that each `make` target, and each command and option of the project's own, that a job names is there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    scripts = [(where, text) for where, text in _lines()] + [(_name(path), path.read_text()) for path in SCRIPTS]
    made = {target for _, text in scripts for target in re.findall(r"\bmake ([a-z][a-z-]*)", text)}
    commands = {
        (found[1], found[2], option)
        for _, text in scripts
        for found in re.finditer(r"python\"? -m (tools\.\w+) ([a-z-]+)([^\n;|>]*)", text)
        for option in ["", *re.findall(r" (--[a-z-]+)", found[3])]
    }

    assert made - targets == set()
    assert {command for _, command, _ in commands} == {"comment", "diff", "drift", "env", "policy", "release"}
    assert commands - {(module, *each) for module, app in _APPS.items() for each in _options(app)} == set()


_APPS = {"tools.cli": cli.app, "tools.ci": ci.app}


def _options(app: typer.Typer) -> Iterator[tuple[str, str]]:
    """Every command, and every command with each option."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        yield name, ""
        for parameter in command.params:
            for option in parameter.opts:
                yield name, option


def test_gitlab_does_what_github_does() -> None:
    """Proves that each thing that a workflow does has a job on GitLab."""
    both = (
        *("make check", "make test", "make site", "change-report.sh", "tools.ci comment", "make up", "make doctor"),
        *("tools.cli drift", "tools.ci release"),
    )
    texts = {
        forge: "\n".join(text for where, text in _lines() if (GITLAB.name in where) is (forge == "gitlab"))
        for forge in ("github", "gitlab")
    }
    assert [(forge, thing) for forge, text in texts.items() for thing in both if thing not in text] == []
