"""A copy of the project with a stack of its own, worked by the very commands that people type."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

from processes import keeper
from processes.home import Home
from specs.settings import KEY
from tools import paths

_COPIED = (
    *("components", "dashboards", "docs", "examples", "loadtests", "processes", "specs", "systems", "tools"),
    *("__main__.py", "Makefile", "Pulumi.yaml"),
)


class CommandError(Exception):
    """A command that was to succeed did not; `str()` has what it said."""


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A process stack in a project directory of its own."""

    project: Path
    name: str
    offset: int

    @classmethod
    def make(cls, directory: Path, name: str, offset: int) -> Self:
        """Copy what the checkout has to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        for entry in _COPIED:
            source, target = paths.ROOT / entry, directory / entry
            if source.is_dir() and not target.exists():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copy2(source, target)
        return cls(project=directory, name=name, offset=offset)

    @property
    def file(self) -> Path:
        """The stack's file."""
        return self.project / f"Pulumi.{self.name}.yaml"

    @property
    def home(self) -> Home:
        """Where the stack's processes live."""
        return Home(self.project / ".state" / self.name)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the stack file."""
        self.file.write_text(yaml.safe_dump({"config": {KEY: dict(settings)}}, sort_keys=False), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """The environment of a person who configured nothing of Pulumi."""
        drop = ("PULUMI_", "OBSERVABILITY_")
        return {key: value for key, value in os.environ.items() if not key.startswith(drop)} | {"COLUMNS": "160"}

    def cli(self, *arguments: str, check: bool = True, seconds: float = 280) -> "subprocess.CompletedProcess[str]":
        """Run a command of the project on this stack.

        Raises CommandError when it fails (unless `check` is off) or takes longer than `seconds`; whatever ends this
        early leaves no process of the command behind.
        """
        stack = [] if arguments[0] == "demo-stop" else ["--stack", self.name]
        return self._run([sys.executable, "-m", "tools.cli", *arguments, *stack], "", check=check, seconds=seconds)

    def _run(
        self, command: list[str], stdin: str, *, check: bool, seconds: float
    ) -> "subprocess.CompletedProcess[str]":
        with subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(stdin, timeout=seconds)
            except BaseException as problem:
                _end_session(process.pid)
                if isinstance(problem, subprocess.TimeoutExpired):
                    raise CommandError(f"{' '.join(command)}: not done after {seconds:.0f} s") from None
                raise
        if check and process.returncode:
            raise CommandError(f"{' '.join(command)}\n{out}\n{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def processes(self) -> list[psutil.Process]:
        """Every live process of the stack, its keeper and supervisor included."""
        kept = [
            process
            for process in psutil.process_iter()
            if str(self.home.supervision) in " ".join(_command(process)) or str(self.home.path) in _command(process)
        ]
        return [*keeper.marked(self.home), *kept]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _end_session(leader: int) -> None:
    """End what a command started: the engine and its plugins have process groups of their own, but one session."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader:
                process.send_signal(signal.SIGTERM)
                found.append(process)
    _, stubborn = psutil.wait_procs(found, timeout=5)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
