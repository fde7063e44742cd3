"""What checks find, in the words of people."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_ORDER = tuple(Level)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found."""

    level: Level
    words: str
    """What it is, with the part it is about."""
    todo: str = ""
    """What to do, on one line; empty: nothing."""


def ok(words: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, words)


def warn(words: str, todo: str) -> Finding:
    """Somebody should look at it."""
    return Finding(Level.WARN, words, todo)


def fail(words: str, todo: str) -> Finding:
    """It is broken."""
    return Finding(Level.FAIL, words, todo)


def worst(levels: Iterable[Level]) -> Level:
    """The worst of `levels`; none: ok."""
    return max(levels, key=_ORDER.index, default=Level.OK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of a check."""

    check: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def level(self) -> Level:
        """The worst of its findings."""
        return worst(finding.level for finding in self.findings)


def listed(names: Iterable[str], most: int = 5) -> str:
    """`names` for a sentence: the first few, and how many more."""
    found = list(names)
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest
