"""Whom alerts would have told and when: routes, inhibitions, mute times and groups, by Alertmanager's rendered file."""

import json
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from specs.model import seconds
from specs.routing import DEAD_MANS_SWITCH, Inhibition, Route, silenced, ways
from tools.backtest import muting
from tools.backtest.firing import Firing
from tools.backtest.rules import RenderedError
from tools.changes.told import matcher, route

_FILE = "alertmanager/alertmanager.yml"
_EVERY_LABEL = "..."
_WAIT, _INTERVAL, _REPEAT = "30s", "5m", "4h"
"""What Alertmanager takes where the file says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A notification that something fires: for the first time, more of it, or still."""

    receiver: str
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Telling:
    """Everything that decides who is told, and when."""

    root: Route
    inhibitions: tuple[Inhibition, ...]
    silent: frozenset[str]
    """Receivers whose notifications reach nobody, and the dead man's switch."""
    resolved: frozenset[str]
    """Receivers that are told of the end, too."""
    mute_times: Mapping[str, Sequence[Mapping[str, Any]]]
    """Time intervals by their name."""


def read(directory: Path) -> Telling:
    """What a rendered tree says. Raises RenderedError when it has no file of Alertmanager that can be read."""
    path = directory / _FILE
    try:
        found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        receivers = {each["name"]: _channels(each) for each in found["receivers"]}
        return Telling(
            root=route(found["route"]),
            inhibitions=tuple(_inhibition(rule) for rule in found.get("inhibit_rules") or ()),
            silent=frozenset({*(name for name, channels in receivers.items() if not channels), DEAD_MANS_SWITCH}),
            resolved=frozenset(name for name, channels in receivers.items() if any(channels)),
            mute_times={each["name"]: each["time_intervals"] for each in found.get("time_intervals") or ()},
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as problem:
        raise RenderedError(f"{path}: no file of Alertmanager ({type(problem).__name__})") from None


def _channels(receiver: Mapping[str, Any]) -> list[bool]:
    """Whether each channel is told of the end, which for mail is not the rule."""
    return [
        bool(channel.get("send_resolved", kind != "email_configs"))
        for kind, channels in receiver.items()
        if kind.endswith("_configs")
        for channel in channels
    ]


def _inhibition(rule: Mapping[str, Any]) -> Inhibition:
    return Inhibition(
        name=rule.get("name", ""),
        source=tuple(matcher(text) for text in rule.get("source_matchers") or ()),
        target=tuple(matcher(text) for text in rule.get("target_matchers") or ()),
        equal=tuple(rule.get("equal") or ()),
    )


_Key = tuple[tuple[str, str], ...]
"""Labels of an alert, in the order of their names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """What a group's last notification said."""

    fire: frozenset[_Key]
    over: frozenset[_Key]
    at: float


def _fires(one: Firing, at: float) -> bool:
    return one.open or one.end > at


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Alerts that are told together by one node of the tree."""

    telling: Telling
    receiver: str
    wait: float
    interval: float
    repeat: float
    mute: tuple[str, ...]

    def pages(self, firings: Sequence[Firing], others: Sequence[Firing], until: float) -> Iterator[Page]:
        """Every page about `firings`, which are in the order of time; `others` can hold them back."""
        queue = deque(firings)
        here: dict[_Key, Firing] = {}
        told: _Told | None = None
        flush = 0.0
        while queue or here:
            if not here:
                flush = queue[0].begin + self.wait
            if flush > until:
                return
            while queue and queue[0].begin <= flush:
                entered = queue.popleft()
                here[tuple(sorted(entered.labels.items()))] = entered
            let = {key for key, one in here.items() if not self._held(one, others, flush)}
            fire = frozenset(key for key in let if _fires(here[key], flush))
            why = "" if self._muted(flush) else self._why(told, fire, frozenset(let - fire), flush)
            if why:
                told = _Told(fire=fire, over=frozenset(let - fire), at=flush)
            if why == "fires":
                yield Page(receiver=self.receiver, at=flush)
            # What is over is told once.
            here = {key: one for key, one in here.items() if _fires(one, flush)}
            flush += self.interval

    def _why(self, told: "_Told | None", fire: frozenset[_Key], over: frozenset[_Key], now: float) -> str:
        """Why there is a notification: since something `fires`, or is `over`; empty: there is none."""
        if told is None or not fire <= told.fire:
            return "fires" if fire else ""
        if not fire:
            return "over" if told.fire else ""
        if self.receiver in self.telling.resolved and not over <= told.over:
            return "over"
        return "fires" if told.at < now - self.repeat else ""

    def _muted(self, at: float) -> bool:
        return any(muting.within(self.telling.mute_times.get(name, ()), at) for name in self.mute)

    def _held(self, one: Firing, others: Sequence[Firing], at: float) -> bool:
        firing = [other.labels for other in others if other.begin <= at and _fires(other, at)]
        return bool(firing and silenced(self.telling.inhibitions, firing, one.labels))


def _inherited(way: Sequence[Route], name: Literal["wait", "interval", "repeat"], usual: str) -> float:
    """Seconds that the lowest node says of those that say something."""
    return seconds(next((found for node in reversed(way) if (found := getattr(node, name))), usual))


def _by(way: Sequence[Route]) -> tuple[str, ...]:
    """Labels whose equal values make alerts that come this way one group."""
    return next((node.group_by for node in reversed(way) if node.group_by), ())


def manner(telling: Telling, way: Sequence[Route], receiver: str) -> Hashable:
    """Everything but the receiver by which `pages` tells of what comes this way: what is equal is told alike."""
    return (
        _inherited(way, "wait", _WAIT),
        _inherited(way, "interval", _INTERVAL),
        _inherited(way, "repeat", _REPEAT),
        frozenset(_by(way)),
        json.dumps([telling.mute_times.get(name, ()) for name in way[-1].mute], sort_keys=True, default=str),
        receiver in telling.resolved,
    )


def pages(telling: Telling, firings: Sequence[Firing], others: Sequence[Firing], end: float) -> list[Page]:
    """Every page about `firings` until `end`, in the order of time. `others` fire as well, and can hold them back."""
    groups: dict[tuple[int, _Key], tuple[_Group, list[Firing]]] = {}
    for firing in firings:
        for way, receiver in ways(telling.root, firing.labels):
            if receiver in telling.silent:
                continue
            by = _by(way)
            key = tuple(
                sorted((name, value) for name, value in firing.labels.items() if name in by or _EVERY_LABEL in by)
            )
            group = _Group(
                telling=telling,
                receiver=receiver,
                wait=_inherited(way, "wait", _WAIT),
                interval=_inherited(way, "interval", _INTERVAL),
                repeat=_inherited(way, "repeat", _REPEAT),
                mute=way[-1].mute,
            )
            groups.setdefault((id(way[-1]), key), (group, []))[1].append(firing)
    found = [page for group, own in groups.values() for page in group.pages(own, others, end)]
    return sorted(found, key=lambda page: (page.at, page.receiver))


def most(times: Sequence[float], length: float) -> int:
    """How many of some times, which are in order, are within one span of `length` seconds at most."""
    first = found = 0
    for at, time in enumerate(times):
        while time - times[first] >= length:
            first += 1
        found = max(found, at - first + 1)
    return found
