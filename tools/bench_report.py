"""What the benchmarks found, and how it is shown: to people at a terminal, in docs/benchmarks.md, to machines."""

import os
import platform
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich import box
from rich.table import Table


class BenchError(Exception):
    """Something cannot be measured; `str()` says what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One thing, measured some times."""

    what: str
    values: tuple[float, ...]
    target: float | None = None
    """What the median is to be below."""
    unit: str = "s"

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        return None if self.target is None else self.median < self.target

    def shown(self, value: float) -> str:
        """A value with its unit."""
        match self.unit:
            case "s" if value < 0.1:
                return f"{value * 1000:.0f} ms"
            case "s" | "times" if value < 10:
                return f"{value:.2f} {self.unit}"
            case "s":
                return f"{value:.1f} s"
            case "cores":
                return f"{value:.2f} cores"
            case "bytes" if value < 100:
                return f"{value:.1f} bytes"
            case unit:
                return f"{value:.0f} {unit}"

    @property
    def spread(self) -> str:
        """The least and the most."""
        low, high = self.shown(min(self.values)), self.shown(max(self.values))
        return "" if len(self.values) == 1 else f"{low} to {high}"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a part takes, in MB."""

    part: str
    rss: float
    pss: float | None
    """None where the kernel does not tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything measured, and where."""

    machine: str
    date: str
    measured: tuple[Measured, ...]
    memory: tuple[Memory, ...]

    def values(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "machine": self.machine,
            "date": self.date,
            "measured": [
                {
                    "what": one.what,
                    "unit": one.unit,
                    "values": [round(value, 3) for value in one.values],
                    "median": round(one.median, 3),
                    "target": one.target,
                    "ok": one.ok,
                }
                for one in self.measured
            ],
            "memory": [
                {
                    "part": one.part,
                    "rss_mb": round(one.rss, 1),
                    "pss_mb": None if one.pss is None else round(one.pss, 1),
                }
                for one in self.memory
            ],
        }

    def markdown(self) -> str:
        """The same for docs/benchmarks.md."""
        lines = [
            f"{self.date}; {self.machine}.",
            "",
            "| what | median | range | target | met |",
            "|---|--:|--:|--:|---|",
        ]
        for one in self.measured:
            target = "" if one.target is None else f"< {one.target:g} {one.unit}"
            met = {None: "", True: "yes", False: "**no**"}[one.ok]
            lines.append(f"| {one.what} | {one.shown(one.median)} | {one.spread} | {target} | {met} |")
        if self.memory:
            lines += ["", "Idle memory by part:", "", "| part | RSS | PSS |", "|---|--:|--:|"]
            lines += [f"| {one.part} | {one.rss:.1f} MB | {_megabytes(one.pss)} |" for one in self.memory]
        return "\n".join(lines)

    def tables(self) -> tuple[Table, ...]:
        """The same for people at a terminal."""
        times = Table(
            title="benchmarks", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False
        )
        times.add_column("what")
        for column in ("median", "range", "target"):
            times.add_column(column, justify="right", no_wrap=True)
        times.add_column("ok?", no_wrap=True)
        for one in self.measured:
            target = "" if one.target is None else f"< {one.target:g} {one.unit}"
            met = {None: "", True: "[green]yes[/]", False: "[red]missed[/]"}[one.ok]
            colour = "red" if one.ok is False else "none"
            times.add_row(one.what, f"[{colour}]{one.shown(one.median)}[/]", one.spread, target, met)
        memory = Table(
            title="idle memory", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False
        )
        memory.add_column("part")
        for column in ("RSS", "PSS"):
            memory.add_column(column, justify="right")
        for part in self.memory:
            memory.add_row(part.part, f"{part.rss:.1f} MB", _megabytes(part.pss))
        return (times, memory) if self.memory else (times,)


def _megabytes(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} MB"


def machine() -> str:
    """This machine in a few words."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB, {system}, Python {platform.python_version()}, load before {load:.1f}"
    )


def write_document(reports: Mapping[str, Report], document: Path) -> None:
    """Put each part's report between the document's markers of that part, and leave the other parts as they are.

    Raises BenchError when the markers are not there; then nothing is written.
    """
    text = document.read_text(encoding="utf-8")
    for part, report in reports.items():
        begin, end = f"<!-- bench {part}: begin -->", f"<!-- bench {part}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise BenchError(f"{document}: the lines {begin} and {end} must stand in it, once")
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}\n\n{report.markdown()}\n\n{end}{after}"
    document.write_text(text, encoding="utf-8")
