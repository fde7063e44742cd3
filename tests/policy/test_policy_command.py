"""`make policy`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from specs.stack import Stack
from tests.deployment import ROOT
from tests.policy.shipped import Resources, shipped, stack
from tools import stacks
from tools.cli import app
from tools.policy import recorded


def _asked(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["policy", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_stack_that_keeps_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that production as shipped passes, where every rule is mandatory."""

    def found(_: Stack) -> Resources:
        return shipped("prod")

    monkeypatch.setattr(recorded, "resources", found)
    status, shown, wrong = _asked("--stack=prod")

    assert (status, wrong) == (0, "")
    assert shown.splitlines()[-1] == f"{len(shipped('prod'))} resources of stack prod, mandatory"
    assert shown.count("none") == 8


def test_a_stack_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a violation is told, and what to do about it; that the exit status is 1 where rules are mandatory
    and 0 where they are advisory; and that machines get the same as one document."""

    def open_to_all(name: str) -> Stack:
        return stack(name, {"bind": "0.0.0.0"})  # noqa: S104 - that is the point

    monkeypatch.setattr(stacks, "declared", open_to_all)
    line = "Process prometheus: --web.listen-address listens on every address of this machine without a login"
    advisory, shown, _ = _asked("--stack=local")
    mandatory, document, wrong = _asked("--stack=local", "--level=mandatory", "--json")
    found = json.loads(document)

    assert (advisory, mandatory, wrong) == (0, 1, "")
    assert f"no-public-bind: {line}" in shown
    assert "Bind to 127.0.0.1" in shown
    assert (found["stack"], found["level"]) == ("local", "mandatory")
    [violation] = [each for each in found["violations"] if f"{each['resource']}: {each['message']}" == line]
    assert violation["rule"] == "no-public-bind"
    assert violation["urn"].endswith("::prometheus")


def test_no_program_has_to_be_installed(tmp_path: Path) -> None:
    """Proves that a stack of processes is judged whole on a machine that has none of its programs, as in a job."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith(("OBSERVABILITY", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "policy", "--stack=local", "--level=mandatory", "--json"],
        cwd=ROOT, env={**environment, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PATH": "/nowhere"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["resources"] > 10


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--stack=nowhere",), "Pulumi.nowhere.yaml: no such stack (accepted: dev, local, prod, or write the file)\n"),
        (("--stack=dev", "--level=strict"), "LEVEL=strict: no such level (accepted: advisory, mandatory)\n"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    """Proves that a mistake ends with a line and status 2, which no finding has."""
    assert _asked(*arguments) == (2, "", line)
