"""Programs of npm, installed by a committed lock file: its hashes say what comes, and no package runs anything."""

import os
import shutil
from pathlib import Path

from tools.native.errors import NativeError
from tools.native.progress import Step
from tools.native.recipes import NpmPackages, Program
from tools.native.running import run

MODULES = "node_modules"
"""Directory of the packages, beside the script that starts the program."""

_STARTER = """#!/bin/sh
exec node "$(dirname "$(readlink -f "$0")")/node_modules/{script}" "$@"
"""


def install_packages(program: Program, source: NpmPackages, work: Path, step: Step) -> Path:
    """Install the packages in an empty directory; return it, with the script that starts the program."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise NativeError(
                program.name,
                f"it is a program of npm, and this system has no {tool}",
                remedy="install Node.js 20 or newer with its npm, so that PATH has them",
            )
    made = work / "bin"
    made.mkdir()
    for file in source.files():
        shutil.copyfile(file, made / file.name)
    step.phase("downloading")
    done = run(
        ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"),
        directory=made,
        environment=os.environ,
        heard=lambda _: None,
        tick=step.tick,
    )
    if done.code != 0:
        raise NativeError(
            program.name,
            "npm ci fails:\n    " + "\n    ".join(done.errors[-6:]),
            remedy="see the words of npm above; when they are about the network, run this again",
        )
    starter = made / program.executables[0]
    starter.write_text(_STARTER.replace("{script}", source.script), encoding="utf-8")
    starter.chmod(0o755)
    return made
