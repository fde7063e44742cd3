"""Programs of an application, run by the real engine in a state directory of their own."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.outputs.told import ROOT
from tools import native


@dataclass(frozen=True)
class Engine:
    """The engine with a state below `base`; a project is a directory there."""

    base: Path

    def project(self, name: str, program: str) -> Path:
        """A project whose program is `program`."""
        home = self.base / name
        home.mkdir()
        (home / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n", encoding="utf-8")
        (home / "__main__.py").write_text(program, encoding="utf-8")
        return home

    def environment(self) -> Mapping[str, str]:
        """What every command has."""
        state = self.base / "state"
        state.mkdir(exist_ok=True)
        return {
            **native.environment(os.environ),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_HOME": str(self.base / "home"),
            "PYTHONPATH": str(ROOT),
        }

    def run(self, project: Path, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `pulumi` in a project."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=project, env=dict(self.environment()), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done
