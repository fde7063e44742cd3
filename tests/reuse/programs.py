"""Programs of others that have our stack as a component, run by the real engine."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.native.environment import environment
from tools.paths import ROOT

PLUGIN = "pulumi-resource-observability"


def plugin(directory: Path) -> Path:
    """An executable that runs the plugin of `package/`, as a language host would that knows PulumiPlugin.yaml."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / PLUGIN
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "package"} "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return file


@dataclass(frozen=True, kw_only=True)
class Program:
    """A Pulumi program in a directory of its own, with a state of its own."""

    directory: Path
    state: Path
    extra: Mapping[str, str] = field(default_factory=dict[str, str])

    def pulumi(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `pulumi`."""
        (self.state / "engine").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["pulumi", *arguments],
            cwd=self.directory,
            env={
                **environment({}),
                "HOME": str(self.state),
                "PULUMI_BACKEND_URL": f"file://{self.state / 'engine'}",
                "PULUMI_CONFIG_PASSPHRASE": "test",
                "OBSERVABILITY_STATE": str(self.state / "homes"),
                **self.extra,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert not check or done.returncode == 0, f"pulumi {arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """`pulumi up` of the stack `dev`."""
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", "dev", "--color", "never", check=check)

    def destroy(self) -> None:
        """`pulumi destroy` of the stack `dev`."""
        self.pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev")

    def outputs(self) -> dict[str, Any]:
        """The outputs of the stack `dev`."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", "--stack", "dev").stdout)
        return found


def schema(directory: Path) -> str:
    """The schema as `pulumi package` reads it from the running plugin, in a scratch directory."""
    program = Program(directory=directory, state=directory / "state")
    return program.pulumi("package", "get-schema", str(plugin(directory / "bin"))).stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.stdout.write(schema(Path(scratch)))
