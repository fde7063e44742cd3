"""Whom an Alertmanager tells, by its configuration file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from .model import items, mapping, maps

_MATCHER = re.compile(r"""^\s*"?(?P<label>[^\s"=!~]+)"?\s*(?P<how>=~|!~|!=|=)\s*(?P<value>.*?)\s*$""", re.DOTALL)
_DYNAMIC = ("app", "service")
"""Labels that come with what an alert finds, when it does not say them itself."""


@dataclass(frozen=True, slots=True)
class _Matcher:
    label: str
    how: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.how.endswith("~"):
            return self._fits(found) == (self.how == "=~")
        return (found == self.value) == (self.how == "=")

    def _fits(self, found: str) -> bool:
        try:
            return re.fullmatch(self.value, found) is not None
        except re.error:
            # What only Go's expressions know fits nothing here.
            return False

    @property
    def values(self) -> tuple[str, ...]:
        """The values that it names: one, or plain alternatives of an expression."""
        if not self.how.endswith("~"):
            return (self.value,)
        plain = re.fullmatch(r"\^?(?:\((?:\?:)?)?([\w-]+(?:\|[\w-]+)*)\)?\$?", self.value)
        return tuple(plain[1].split("|")) if plain else ()


@dataclass(frozen=True, slots=True)
class _Route:
    receiver: str
    matchers: tuple[_Matcher, ...]
    goes_on: bool
    routes: tuple["_Route", ...]

    def receivers(self, labels: Mapping[str, str]) -> Iterator[str]:
        """As Alertmanager does: the first child that matches, the next ones too while it says `continue`, and the route
        itself when no child does."""
        told = False
        for child in self.routes:
            if all(matcher.matches(labels) for matcher in child.matchers):
                told = True
                yield from child.receivers(labels)
                if not child.goes_on:
                    break
        if not told:
            yield self.receiver

    def every(self) -> Iterator["_Route"]:
        yield self
        for child in self.routes:
            yield from child.every()


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text[1:-1])
    return text


def _matchers(route: Mapping[str, Any]) -> Iterator[_Matcher]:
    for text in map(str, items(route.get("matchers"))):
        if found := _MATCHER.match(text):
            yield _Matcher(found["label"], found["how"], _unquoted(found["value"]))
    for key, how in (("match", "="), ("match_re", "=~")):
        for label, value in mapping(route.get(key)).items():
            yield _Matcher(str(label), how, str(value))


def _route(found: Mapping[str, Any], receiver: str) -> _Route:
    own = str(found.get("receiver") or receiver)
    children = tuple(_route(child, own) for child in maps(found.get("routes")))
    return _Route(own, tuple(_matchers(found)), bool(found.get("continue")), children)


@dataclass(frozen=True)
class Routing:
    """The routes and receivers of one Alertmanager."""

    root: _Route
    notifying: frozenset[str]
    """Receivers that tell somebody."""
    silent: frozenset[str]
    """Receivers that tell nobody: what is only to be seen."""
    _known: dict[tuple[tuple[str, str], ...], frozenset[str]] = field(
        default_factory=dict[tuple[tuple[str, str], ...], frozenset[str]]
    )

    @property
    def undefined(self) -> frozenset[str]:
        """Receivers that routes name and that there are not."""
        return frozenset(route.receiver for route in self.root.every()) - self.notifying - self.silent

    @cached_property
    def _values(self) -> Mapping[str, tuple[str, ...]]:
        """Values that routes tell labels apart by."""
        found: dict[str, set[str]] = {}
        for route in self.root.every():
            for matcher in route.matchers:
                found.setdefault(matcher.label, set()).update(filter(None, matcher.values))
        return {label: tuple(sorted(values)) for label, values in found.items()}

    def untold(self, labels: Mapping[str, str]) -> str:
        """Empty when an alert with these labels notifies somebody, whatever app and service it is about; else for which
        it does not, as the end of a sentence."""
        # Names of alerts matter only where a route tells them apart.
        free = [label for label in _DYNAMIC if label not in labels]
        for values in product(*(("", *self._values.get(label, ())) for label in free)):
            about = {label: value for label, value in zip(free, values, strict=True) if value}
            if not self._told({**labels, **about}) & self.notifying:
                return "".join(f", {label} {value}" for label, value in about.items()) or " at all"
        return ""

    def _told(self, labels: Mapping[str, str]) -> frozenset[str]:
        key = tuple(sorted(labels.items()))
        if key not in self._known:
            self._known[key] = frozenset(self.root.receivers(labels))
        return self._known[key]


def routing(content: Mapping[str, Any]) -> Routing:
    """The routing of an Alertmanager with the configuration `content`."""
    receivers = {
        str(each.get("name")): any(key.endswith("_configs") and value for key, value in each.items())
        for each in maps(content.get("receivers"))
    }
    return Routing(
        _route(mapping(content.get("route")), ""),
        frozenset(name for name, tells in receivers.items() if tells),
        frozenset(name for name, tells in receivers.items() if not tells),
    )
