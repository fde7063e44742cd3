"""Running a command whose words are followed while it runs, and which never outlives its caller."""

import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    """Its exit code."""
    output: str
    """What it wrote to its standard output."""
    errors: tuple[str, ...]
    """The lines it wrote to its standard error."""


def run(
    command: Sequence[str | Path],
    *,
    directory: Path,
    environment: Mapping[str, str],
    heard: Callable[[str], None],
    tick: Callable[[], None],
) -> Finished:
    """Run a command; `heard` gets each line of its standard error, `tick` is called about every half second."""
    lines: list[str] = []
    with (
        tempfile.TemporaryFile() as output,
        # A session of its own: Ctrl-C reaches this process only, which then ends the command with all its children.
        subprocess.Popen(
            list(command),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        try:
            _follow(process, lines, heard, tick)
        except BaseException:
            _end(process)
            raise
        code = process.wait()
        output.seek(0)
        return Finished(code=code, output=output.read().decode(errors="replace"), errors=tuple(lines))


def _follow(
    process: subprocess.Popen[str],
    lines: list[str],
    heard: Callable[[str], None],
    tick: Callable[[], None],
) -> None:
    stream = process.stderr
    if stream is None:
        return
    pending: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(stream, pending), daemon=True).start()
    while True:
        try:
            line = pending.get(timeout=0.5)
        except queue.Empty:
            tick()
            continue
        if line is None:
            return
        lines.append(line)
        heard(line)


def _read(stream: IO[str], pending: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        pending.put(line.rstrip("\n"))
    pending.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
