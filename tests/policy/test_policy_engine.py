"""The policy pack by the real engine, on a real stack of processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.local.servers import free_offset
from tests.local.stacks import Local
from tests.policy import pack
from tools import native

SETTINGS: dict[str, Any] = {
    "environment": "test",
    "cluster": "test",
    "runtime": "process",
    "links": {"runbooks": "https://runbooks.example.com"},
    "alerting": {"default": "team", "receivers": {"team": {"webhook": {"url": "https://team.example.com/hook"}}}},
}
CANARY = "correct-horse-of-the-pack-1"
ONE_MORE = f"""
from components.runtimes.process import Process

rules = "groups: [{{name: g, rules: [{{alert: OneMore, expr: up == 0, labels: {{severity: critical}}}}]}}]"
program = {{"home": runtime.home, "name": "one-more", "version": "1", "command": ["python", "-c", ""]}}
given = {{"environment": {{}}, "secrets": {{}}, "generated": [], "checks": [], "reload": None}}
files = {{"one-more.yml": f"{{rules}}\\npassword: {CANARY}\\n"}}
Process("one-more", {{**program, **given, "files": files, "probe_url": "http://127.0.0.1:1/", "start_seconds": 1}})
"""
"""A process whose file has an alert without a runbook, and a password."""


@dataclass(frozen=True)
class Project:
    """A project, and the pack beside it."""

    local: Local
    policy: Path

    def preview(self, *flags: str, **settings: Any) -> "subprocess.CompletedProcess[str]":
        """What `pulumi preview` says of the stack with other `settings`."""
        self.local.write_settings({**SETTINGS, "port_offset": self.local.offset, **settings})
        base = self.local.environment()
        script = 'eval "$("$0" -m tools.cli env --stack "$1")"; shift; exec pulumi "$@"'
        arguments = [
            "preview",
            "--non-interactive",
            "--stack",
            self.local.name,
            "--policy-pack",
            str(self.policy),
            *flags,
        ]
        return subprocess.run(
            ["sh", "-c", script, sys.executable, self.local.name, *arguments],
            cwd=self.local.project, capture_output=True, text=True, timeout=280, check=False,
            env={**base, "PATH": f"{self.policy.parent / 'bin'}{os.pathsep}{base['PATH']}"},
        )  # fmt: skip


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    base = tmp_path_factory.mktemp("policy")
    native.ensure(["pulumi", "pulumi-language-python"])
    local = Local.make(base / "project", "test", free_offset())
    local.write_settings(SETTINGS)
    local.pulumi("stack", "init", local.name, "--no-select")
    yield Project(local, pack.placed(base))
    local.cli("down", "--purge", check=False)


def test_a_stack_as_it_should_be_passes(project: Project) -> None:
    """Proves that the engine runs every rule of the pack on the resources of a real program, and finds nothing."""
    done = project.preview()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "observability@v1.0.0" in done.stdout
    assert "[mandatory]" not in done.stdout + done.stderr
    assert "can't run policy" not in done.stdout + done.stderr


LISTENS = "--web.listen-address listens on every address of this machine without a login"


def test_a_mandatory_rule_stops_a_preview(project: Project) -> None:
    """Proves that a violation fails the preview where the pack is mandatory, which it is unless told otherwise."""
    done = project.preview(bind="0.0.0.0")  # noqa: S104 - that is the point

    assert done.returncode != 0
    assert "[mandatory]" in done.stdout
    assert LISTENS in done.stdout


def test_an_advisory_rule_tells_everything(project: Project) -> None:
    """Proves that where the pack is advisory violations are told, of a resource by itself and of the stack as a whole,
    without the secret in them, and stop nothing."""
    program = project.local.project / "__main__.py"
    program.write_text(program.read_text(encoding="utf-8") + ONE_MORE, encoding="utf-8")
    level = project.policy / "levels" / "advisory.json"
    done = project.preview("--policy-pack-config", str(level), bind="0.0.0.0")  # noqa: S104 - that is the point
    told = [line for line in done.stdout.splitlines() if "holds" in line]

    assert done.returncode == 0, done.stdout + done.stderr
    assert "[advisory]" in done.stdout
    assert LISTENS in done.stdout
    assert "one-more.yml: password holds what is, or looks like, a secret" in done.stdout
    assert "one-more.yml: alert OneMore has no runbook_url" in done.stdout
    assert not any(CANARY in line for line in told)
