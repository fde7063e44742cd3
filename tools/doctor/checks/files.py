"""The files that programs have are the declared ones. What each makes of them, `config` asks where it tells."""

from collections.abc import Iterator

from specs.workload import Workload
from tools.doctor.compare import lines_apart
from tools.doctor.findings import Finding, fail, ok, warn
from tools.doctor.live import Live
from tools.doctor.placed import Files

_SLACK = 2.0
"""Seconds: file systems and engines round times."""


async def check(live: Live) -> list[Finding]:
    """Every declared file of every part."""
    placed = await live.files()
    found = [
        finding
        for workload in live.stack.workloads
        if workload.files
        for finding in _of(live, workload, placed.get(workload.name))
    ]
    count = sum(len(workload.files) for workload in live.stack.workloads)
    return found or [ok(f"{count} files are as declared")]


def _of(live: Live, workload: Workload, placed: Files | None) -> Iterator[Finding]:
    up = f"make up {live.of}".strip()
    if placed is None:
        yield fail(f"{workload.name}: has no files", f"{up} places them")
        return
    for path, text in workload.files.items():
        if path not in placed.texts:
            yield fail(f"{workload.name}: {path} is missing", live.put_back(workload))
        elif placed.texts[path] != text:
            lines = lines_apart(text, placed.texts[path])
            yield fail(
                f"{workload.name}: {path} differs from what is declared in {lines} line{'s' if lines > 1 else ''}",
                live.put_back(workload),
            )
    stale = workload.reload is None and 0 < placed.started < placed.changed - _SLACK
    if stale:
        yield warn(
            f"{workload.name}: runs since before its files changed, and reads them only when it starts",
            f"make down {live.of}and make up {live.of}start it anew".replace("  ", " "),
        )
