"""Backup of a stack part by part while the others run on, and restore into one that is down."""

import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from processes import supervision
from processes.errors import ProcessError
from processes.home import Home
from specs.model import SettingsError
from specs.settings import RuntimeKind
from specs.stack import Stack
from specs.workload import Workload
from tools.backup import archive

DOCUMENT = "docs/operations/backup-restore.md"
_PATIENCE = 120.0
"""Seconds for a part to be healthy again: Prometheus and Loki read their logs first."""
_REGISTRY = "registry"
"""What applications registered, in the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """One part that was backed up."""

    part: str
    size: int
    """Bytes."""
    away: float
    """Seconds that the part did not run; 0 when it did not run before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """Who looks while a stack is backed up."""

    healthy: Callable[[str], bool]
    """Whether a part is well."""
    report: Callable[[Saved], None]
    """Told of each part that is done."""


def refuse_runtime(stack: Stack, name: str, command: str) -> None:
    """Raise SettingsError unless the stack runs as processes of this machine."""
    kind = stack.context.settings.runtime
    if kind is not RuntimeKind.PROCESS:
        raise SettingsError(
            f"make {command}: stack {name} runs on {kind.value} (accepted: a process stack; {DOCUMENT} says how others"
            " are backed up)"
        )


def keeping(stack: Stack, wanted: str) -> list[Workload]:
    """The parts that keep data, or the one called `wanted`. Raises SettingsError for a name that is none of them."""
    found = [workload for workload in stack.workloads if workload.volume]
    if wanted and wanted not in {workload.name for workload in found}:
        accepted = ", ".join(workload.name for workload in found)
        raise SettingsError(f"--part {wanted}: no part that keeps data (accepted: {accepted})")
    return [workload for workload in found if wanted in ("", workload.name)]


def _taken(directory: Path) -> int:
    """Bytes on disk below `directory`."""
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


def _refuse_full(what: str, directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise SettingsError(
            f"{what}: {needed / 2**20:.0f} MB are needed, {free / 2**20:.0f} MB are free (accepted: another disk)"
        )


@contextmanager
def _written(out: Path) -> Generator[archive.Writer]:
    """A writer whose file appears when it is whole, readable by its owner alone."""
    beside = out.with_name(f".{out.name}.part")
    beside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield archive.Writer(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def save(  # noqa: PLR0913 - what, where to, and who looks
    home: Home, name: str, parts: Sequence[Workload], out: Path, watch: Watch, *, whole: bool = False
) -> None:
    """Write the data of `parts` of the stack `name` to `out`; one part at a time is stopped for it. A `whole` backup
    has what applications registered as well.

    A part that ran runs again whatever happens.

    Raises SettingsError when nothing can be written, ProcessError when a program does not do as asked or is not well
    after its copy.
    """
    if out.exists():
        raise SettingsError(f"--out {out}: there already (accepted: a new file)")
    try:
        out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise SettingsError(
            f"--out {out}: cannot be written: {problem.strerror} (accepted: a file in a directory of yours)"
        ) from None
    kept = [home.data(part.name) for part in parts] + ([home.registry] if whole else [])
    _refuse_full(f"--out {out}", out.parent, sum(map(_taken, kept)))
    with _written(out) as writer:
        for part in parts:
            running = supervision.is_alive(home, part.name)
            began = time.monotonic()
            with home.lock(f"put-{part.name}"), supervision.paused(home, part.name):
                size = writer.directory(home.data(part.name), f"{part.name}/data")
                for path, ref in part.secrets.items():
                    made = home.config(part.name) / path
                    if ref.generated and made.exists():
                        size += writer.file(made, f"{part.name}/config/{path}")
            deadline = time.monotonic() + _PATIENCE
            while running and not watch.healthy(part.name):
                if time.monotonic() > deadline:
                    raise ProcessError(
                        f"{part.name}: not healthy {_PATIENCE:.0f} s after its copy"
                        f" (make logs STACK={name} PART={part.name})"
                    )
                time.sleep(0.2)
            watch.report(Saved(part=part.name, size=size, away=time.monotonic() - began if running else 0.0))
        if whole:
            # After the collector, which then reads on where it was: a line twice rather than not at all.
            writer.directory(home.registry, _REGISTRY)
        writer.finish(
            stack=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={part.name: part.program.version for part in parts},
        )


def restore(home: Home, name: str, stack: Stack, parts: Sequence[Workload], file: Path) -> list[str]:
    """Put the data of `parts` back from the archive `file`; a line for people on each, and on what was left.

    What applications registered comes back where all parts do, but not over what is there.

    Raises SettingsError, before anything is touched, when the archive is not whole, the stack is up, a part holds
    data, or the disk has no room for it.
    """
    if supervision.is_running(home):
        raise SettingsError(f"make restore: stack {name} is up (accepted: one that is down: make down STACK={name})")
    found = archive.verified(file)
    chosen = [part for part in parts if part.name in found.parts]
    if not chosen:
        raise SettingsError(f"{file}: it has none of these parts (it has: {', '.join(found.parts)})")
    for part in chosen:
        if home.data(part.name).exists() and any(home.data(part.name).iterdir()):
            raise SettingsError(
                f"{home.data(part.name)}: holds data (accepted: an empty place: make down STACK={name} PURGE=1)"
            )
    whole = len(parts) == len(keeping(stack, "")) and any(path.startswith(f"{_REGISTRY}/") for path in found.files)
    wanted = [part.name for part in chosen] + ([_REGISTRY] if whole else [])
    there = next(path for path in (home.path, *home.path.parents) if path.exists())
    _refuse_full(str(home.path), there, archive.size(file, wanted))
    home.make()
    _put_back(home, chosen, file)
    lines: list[str] = []
    for part in chosen:
        written, here = found.versions[part.name], part.program.version
        other = f" (written by {written}, this stack has {here})" if written != here else ""
        lines.append(f"{part.name}: restored{other}")
    if whole:
        archive.extract(file, _REGISTRY, home.registry, over=False)
        lines.append("what applications registered: restored")
    declared = {workload.name for workload in stack.workloads}
    lines += [f"{part}: left out, this stack does not have it" for part in found.parts if part not in declared]
    return lines


def _put_back(home: Home, parts: Sequence[Workload], file: Path) -> None:
    """Put the data of `parts` into their places once all of it is written; until then nothing is there."""
    staged = {home.data(part.name): home.data(part.name).with_name("data.new") for part in parts}
    try:
        for part in parts:
            beside = staged[home.data(part.name)]
            shutil.rmtree(beside, ignore_errors=True)
            archive.extract(file, f"{part.name}/data", beside)
            archive.extract(file, f"{part.name}/config", home.config(part.name))
        for data, beside in staged.items():
            if data.exists():
                data.rmdir()
            beside.rename(data)
    finally:
        for beside in staged.values():
            shutil.rmtree(beside, ignore_errors=True)
