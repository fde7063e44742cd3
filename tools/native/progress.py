"""What a run says while it works: live bars on a terminal, plain lines everywhere else."""

import os
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from tools.native.recipes import Program

EVERY = 15.0
"""Seconds between two lines about the same program, where there is no terminal."""


def duration(seconds: float) -> str:
    """Return a duration as people write it: 45s, 1m30s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def estimate(programs: Sequence[Program]) -> str:
    """Return how long programs may take; the times of the table are of two cores and empty caches."""
    cores = os.cpu_count() or 1
    minutes = max(1, round(sum(program.seconds for program in programs) * 2 / cores / 60))
    return (
        f"about {_many(minutes, 'minute')} on {_many(cores, 'core')} from nothing, less for what Go has compiled before"
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


class Step:
    """What is being said about one program."""

    def __init__(self, title: str, console: Console, bars: Progress | None) -> None:
        """Take a line or a bar for it."""
        self._title = title
        self._console = console
        self._bars = bars
        self._task: TaskID | None = bars.add_task(title, total=None, start=False, phase="waiting") if bars else None
        self._phase = ""
        self._began = self._spoke = time.monotonic()

    def begin(self) -> None:
        """Start its clock."""
        self._began = self._spoke = time.monotonic()
        if self._bars and self._task is not None:
            self._bars.start_task(self._task)
        else:
            self._say("started")

    def phase(self, text: str) -> None:
        """Say what is being done now."""
        self._phase = text
        self._update(None, None)

    def count(self, text: str, done: int, total: int) -> None:
        """Say what is being done now, and how far it is."""
        self._phase = text
        self._update(done, total)

    def announce(self, text: str) -> None:
        """Say what is being done now, at once: it may last."""
        self._phase = text
        self._update(None, None)
        if self._bars is None:
            self._say(text)

    def tick(self) -> None:
        """Repeat what is being done when nothing was said for a while."""
        if self._bars is None and time.monotonic() - self._spoke >= EVERY:
            self._say(f"{self._phase}, {self.elapsed}")

    def end(self, text: str) -> None:
        """Say how it ended."""
        if self._bars and self._task is not None:
            self._bars.update(self._task, total=1, completed=1, phase=text)
            self._bars.stop_task(self._task)
        else:
            self._say(text)

    @property
    def elapsed(self) -> str:
        """How long it has taken."""
        return duration(time.monotonic() - self._began)

    def _update(self, done: int | None, total: int | None) -> None:
        if self._bars and self._task is not None:
            self._bars.update(self._task, total=total, completed=done or 0, phase=self._phase)
        self.tick()

    def _say(self, text: str) -> None:
        self._spoke = time.monotonic()
        say(self._console, f"{self._title}: {text}")


class _Elapsed(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text("" if seconds is None else duration(seconds), style="cyan")


def say(console: Console, text: str) -> None:
    """Write one line as it is, however long: logs are searched by line."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def reporting(programs: Sequence[Program], console: Console) -> Generator[list[Step], None, None]:
    """Yield a step for each program, in a live display where there is a terminal."""
    titles = [f"{program.name} {program.version}" for program in programs]
    say(console, f"{_many(len(programs), 'native program')} to make: {', '.join(titles)}: {estimate(programs)}")
    with ExitStack() as stack:
        bars = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[phase]}"), _Elapsed())
            bars = stack.enter_context(Progress(*columns, console=console))
        yield [Step(title, console, bars) for title in titles]
