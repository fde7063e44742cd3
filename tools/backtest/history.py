"""Expressions over a long time: asked in chunks, two at a time, and remembered."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from tools.backtest.journal import Journal, Labels, Run, Runs
from tools.backtest.rules import Language
from tools.backtest.server import RefusedError, Server, TooMuchError

CHUNK = 10_000
"""Steps of one query: servers answer with 11,000 at most."""
_LEAST = 100
"""Steps that are not divided any more."""
_FEW = 8
"""Looks for the first sample that are not divided any more."""
_AT_ONCE = 2
_SETTLED = 900
"""Seconds after which samples come late no more, and an answer can be kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """An expression, evaluated every `step` milliseconds."""

    expr: str
    language: Language
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """When an expression had which series."""

    runs: Runs = field(default_factory=dict[Labels, tuple[Run, ...]])
    unknown: tuple[Run, ...] = ()
    """Steps for which the server did not answer."""
    words: str = ""
    """What the server said of those."""


def runs_of(series: Iterable[Mapping[str, Any]], step: int) -> Runs:
    """The runs of a range query's result. Series that only their names tell apart are one, as they are for alerts."""
    found: dict[Labels, list[int]] = {}
    for one in series:
        labels = tuple(sorted((name, value) for name, value in one["metric"].items() if name != "__name__"))
        points = [*one.get("values", ()), *one.get("histograms", ())]
        found.setdefault(labels, []).extend(round(float(at) * 1000 / step) for at, _ in points)
    return {labels: tuple(_joined((at, at) for at in sorted(set(steps)))) for labels, steps in found.items() if steps}


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Runs in their order, those that touch as one."""
    first = last = None
    for begin, end in runs:
        if first is None or last is None:
            first, last = begin, end
        elif begin <= last + 1:
            last = max(last, end)
        else:
            yield first, last
            first, last = begin, end
    if first is not None and last is not None:
        yield first, last


def merged(parts: Iterable[Runs]) -> Runs:
    """Runs of several times as those of all of it."""
    found: dict[Labels, list[Run]] = {}
    for part in parts:
        for labels, runs in part.items():
            found.setdefault(labels, []).extend(runs)
    return {labels: tuple(_joined(sorted(runs))) for labels, runs in found.items()}


@dataclass(kw_only=True)
class History:
    """What servers have kept."""

    servers: Mapping[Language, Server]
    journal: Journal
    planned: Callable[[int], object] = field(default=id)
    """Is told how many more queries there will be."""
    advanced: Callable[[], object] = field(default=dict)
    """Is told that one of them is answered."""
    _hopeless: dict[Question, str] = field(default_factory=dict[Question, str])

    def ask(self, wanted: Mapping[Question, Run]) -> dict[Question, Answer]:
        """The answers to questions, each for the steps from its first to its last."""
        jobs = [(question, chunk) for question, run in wanted.items() for chunk in _chunks(run)]
        self.planned(len(jobs))
        parts: dict[Question, list[Runs]] = {question: [] for question in wanted}
        unknown: dict[Question, list[Run]] = {question: [] for question in wanted}
        words: dict[Question, str] = {}
        pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
        try:
            running = {pool.submit(self._chunk, *job): job for job in jobs}
            for done in as_completed(running):
                question, chunk = running[done]
                found = done.result()
                if isinstance(found, str):
                    unknown[question].append(chunk)
                    words.setdefault(question, found)
                else:
                    parts[question].append(found)
                self.advanced()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return {
            question: Answer(
                runs=merged(parts[question]),
                unknown=tuple(_joined(sorted(unknown[question]))),
                words=words.get(question, ""),
            )
            for question in wanted
        }

    def _chunk(self, question: Question, chunk: Run) -> Runs | str:
        """A chunk's runs, or why there are none."""
        server = self.servers[question.language]
        key = (server.url, question.language, question.expr, str(question.step), *map(str, chunk))
        kept = self.journal.get(key)
        if kept is not None:
            return kept
        if question in self._hopeless:
            return self._hopeless[question]
        try:
            found = self._divided(server, question, chunk)
        except TooMuchError as problem:
            # What is too much in the smallest piece will be so in every other.
            self._hopeless[question] = str(problem)
            return str(problem)
        except RefusedError as problem:
            return str(problem)
        if chunk[1] * question.step / 1000 < time.time() - _SETTLED:
            self.journal.put(key, found)
        return found

    def _divided(self, server: Server, question: Question, chunk: Run) -> Runs:
        first, last = chunk
        step = question.step / 1000
        try:
            return runs_of(server.range(question.expr, first * step, last * step, step), question.step)
        except TooMuchError:
            if last - first < _LEAST:
                raise
        middle = (first + last) // 2
        halves = ((first, middle), (middle + 1, last))
        return merged([self._divided(server, question, half) for half in halves])

    def since(self, question: Question, run: Run) -> float | None:
        """The first time within a run of steps at which the expression has a result, to the step; None: never.

        What is there only between two of some hundred looks is not seen. Raises RefusedError and TooMuchError for what
        the server does not answer, not even in small parts.
        """
        server = self.servers[question.language]
        expr = f"count({question.expr})"
        first, last = run
        stride = max(1, (last - first) // 500)
        seen = _first(server, expr, (first, last), stride, question.step)
        if seen is not None and seen > first:
            near = (max(first, seen - stride), seen)
            seen = _first(server, expr, near, max(1, (near[1] - near[0]) // 1000), question.step)
        return None if seen is None else seen * question.step / 1000


def _first(server: Server, expr: str, run: Run, stride: int, step: int) -> int | None:
    """The first of some steps with a result."""
    begin, end = (at * step / 1000 for at in run)
    try:
        found = server.range(expr, begin, end, stride * step / 1000)
    except TooMuchError:
        looks = (run[1] - run[0]) // stride
        if looks < _FEW:
            raise
        middle = run[0] + looks // 2 * stride
        seen = _first(server, expr, (run[0], middle), stride, step)
        return _first(server, expr, (middle + stride, run[1]), stride, step) if seen is None else seen
    return min((round(float(one["values"][0][0]) * 1000 / step) for one in found if one["values"]), default=None)


def _chunks(run: Run) -> Iterator[Run]:
    """Pieces of the same size wherever a history starts: an answer serves again for another time."""
    first, last = run
    for begin in range(first - first % CHUNK, last + 1, CHUNK):
        yield begin, min(begin + CHUNK - 1, last)
