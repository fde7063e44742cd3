"""The cache of built programs: `…/observability/native/<program>/<version>-<hash of the recipe>/bin/<executable>`."""

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.native.recipes import Program

UNFINISHED = ".building-"
"""How the name of a directory begins while something is being made in it."""


def root() -> Path:
    """Return the directory of everything that is built: below XDG_CACHE_HOME, on every system."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative values ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "observability" / "native"


def fingerprint(program: Program) -> str:
    """Return a hash of everything that decides what is built; another recipe or machine gives another."""
    facts = (*program.executables, *program.source.facts(), platform.system(), platform.machine())
    digest = hashlib.sha256("\0".join((program.version, *facts)).encode())
    for file in program.source.files():
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A finished install."""

    version: str
    """Its version; for a Debian package, the package's."""
    bin: Path
    """The directory of its executables."""


def find(program: Program) -> Installed | None:
    """Return the finished install of a program's present recipe."""
    # An install gets its name when it is complete (see `installing`): that it is there is enough. The version is not
    # part of what is looked for: a package's is known only once it is there.
    for directory in sorted((root() / program.name).glob(f"[!.]*-{fingerprint(program)}"), reverse=True):
        return Installed(version=directory.name.rpartition("-")[0], bin=directory / "bin")
    return None


@contextmanager
def locked(name: str, *, waiting: Callable[[], None]) -> Generator[Path, None, None]:
    """Hold the lock of a program's directory, which is yielded; `waiting` is called while another process holds it."""
    directory = root() / name
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        while True:
            try:
                # The kernel lets go of it when this process ends, however it ends.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(0.2)
        # Whoever left these behind was killed: the lock would be held otherwise.
        for left in directory.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield directory


@contextmanager
def workspace(directory: Path) -> Generator[Path, None, None]:
    """Yield an empty directory beside the installs, hence on the same file system; it is gone afterwards."""
    work = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=directory))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def install(program: Program, made: Path, version: str) -> Installed:
    """Make what was built a finished install, in one step: it is all there or not at all."""
    final = root() / program.name / f"{version.replace(':', '.')}-{fingerprint(program)}"
    (parent := final.parent).mkdir(parents=True, exist_ok=True)
    with workspace(parent) as work:
        made.rename(work / "bin")
        (work / "bin").chmod(0o755)
        work.chmod(0o755)
        work.rename(final)
    return Installed(version=final.name.rpartition("-")[0], bin=final / "bin")
