"""The contract, taken apart into facts, each with what tries it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

FILE = Path(__file__).with_name("requirements.yaml")
CONTRACT: Mapping[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
_NAMING = ("name", "title", "job", "service", "target", "severity")
"""What tells the entries of a list apart."""

Check = Callable[..., None]
_CHECKS: list[tuple[re.Pattern[str], Check]] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that the contract asks for."""

    path: str
    value: Any
    check: Check | None
    """None: nothing tries it."""
    names: Mapping[str, str]
    """What the parts of the path are called, for the check."""

    def hold(self) -> None:
        """Fail unless the rendered output has it."""
        assert self.check is not None, f"{self.path}: nothing tries it"
        self.check(self.value, **self.names)


def covers(*patterns: str) -> Callable[[Check], Check]:
    """What follows tries every fact at a path like one of these; groups of the pattern are its arguments."""

    def register(check: Check) -> Check:
        _CHECKS.extend((re.compile(pattern), check) for pattern in patterns)
        return check

    return register


def facts(value: object = CONTRACT, path: str = "") -> Iterator[Fact]:
    """Every fact below a path: what a check is about, and whatever no check is about."""
    for pattern, check in _CHECKS:
        found = pattern.fullmatch(path)
        if found:
            yield Fact(path=path, value=value, check=check, names=found.groupdict())
            return
    if isinstance(value, dict):
        for key, inner in cast("Mapping[str, object]", value).items():
            yield from facts(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in cast("Sequence[object]", value):
            yield from facts(inner, f"{path}[{_name(inner)}]")
    else:
        yield Fact(path=path, value=value, check=None, names={})


def _name(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    entry = cast("Mapping[str, object]", value)
    return " ".join(str(entry[key]) for key in _NAMING if key in entry)
