"""How long a change report takes: both revisions rendered, and both kept from an earlier one."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from tools import paths
from tools.bench_report import BenchError, Measured

STACK = "prod"
_TARGET = 5.0


def run(runs: int, say: Callable[[str], None]) -> tuple[Measured, ...]:
    """Measure the working tree against the commit before the last; nothing, where git has no such commit."""
    known = ["git", "rev-parse", "--verify", "--quiet", "HEAD~1"]
    if subprocess.run(known, cwd=paths.ROOT, capture_output=True, check=False).returncode:
        say("change report: left out, there is no commit to compare with")
        return ()
    first: list[float] = []
    again: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="bench-changes-") as cache:
            first.append(_report(cache, "nothing rendered yet", say))
            again.append(_report(cache, "both rendered before", say))
    what = f"change report of {STACK}"
    return (
        Measured(what=f"{what}, nothing rendered yet", values=tuple(first)),
        Measured(what=f"{what}, both revisions rendered before", values=tuple(again), target=_TARGET),
    )


def _report(cache: str, words: str, say: Callable[[str], None]) -> float:
    command = [sys.executable, "-m", "tools.cli", "diff", "--stack", STACK, "--base", "HEAD~1", "--fail-on", "nothing"]
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=paths.ROOT,
        env={**os.environ, "XDG_CACHE_HOME": cache},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    took = time.monotonic() - started
    if done.returncode:
        raise BenchError(f"change report of {STACK}: {done.stderr.strip()}")
    say(f"change report of {STACK}, {words}: {took:.2f} s")
    return took
