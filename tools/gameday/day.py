"""A game day: incidents happen, and it is seen who hears of them, by which alert, and when."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specs import routing
from specs.model import seconds
from specs.monitoring import Alert
from specs.stack import Stack
from tools.gameday import ground as grounds
from tools.gameday.ground import Ground
from tools.gameday.incidents import INCIDENTS, Incident, Wishes

_LOOK = 0.5
_LATE = 2.0
"""Seconds in which all of those who are told of an alert are."""
_LEAVE_SECONDS = 60.0
_BEAT_SECONDS = 75.0
"""A beat comes every minute: after so long, one is missing."""
ALERTS = tuple(sorted({incident.alert for incident in INCIDENTS} - {routing.WATCHDOG}))
"""Those that do not wait on a game day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What became of an incident."""

    incident: Incident
    after: float | None
    """Seconds until somebody was told; None: nobody was in time."""
    waits: float
    """Seconds that are waited besides, where alerts are as the stack declares them."""
    told: tuple[str, ...]
    """Receivers."""
    besides: tuple[str, ...]
    """Other alerts that told of the same."""
    notes: tuple[str, ...]
    """What else people should know."""
    happened: bool = True
    """Whether it was brought about: nobody can notice what was not."""

    @property
    def noticed(self) -> bool:
        """Whether the expected alert told somebody in time."""
        return self.happened and self.after is not None

    @property
    def missed(self) -> bool:
        """Whether it happened, and nobody heard of it in time."""
        return self.happened and self.after is None

    def data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "incident": self.incident.name,
            "what": self.incident.says,
            "expected": self.incident.alert,
            "happened": self.happened,
            "noticed": self.noticed,
            "after_seconds": None if self.after is None else round(self.after, 1),
            "as_declared_seconds": None if self.after is None else round(self.after + self.waits, 1),
            "within_seconds": self.incident.within,
            "told": list(self.told),
            "besides": list(self.besides),
            "notes": list(self.notes),
        }


@dataclass
class _Seen:
    """What was seen of an incident so far."""

    after: float | None = None
    told: set[str] = field(default_factory=set[str])
    besides: set[str] = field(default_factory=set[str])
    notes: list[str] = field(default_factory=list[str])
    happened: bool = True


def _matches(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= labels.items()


def _about(labels: Mapping[str, str], incident: Incident) -> bool:
    """Whether an alert is about who is in trouble, whichever alert it is."""
    whom = {key: value for key, value in incident.labels.items() if key in {"app", "job"}}
    return bool(whom) and _matches(labels, whom)


def _heard(ground: Ground, incident: Incident, seen: _Seen, began: float, since: str) -> None:
    """Take down what arrived since the incident began: at `began` by the monotonic clock, at `since` by the inbox's."""
    if incident.silent:
        silence = ground.beat()
        if seen.after is None and silence > _BEAT_SECONDS:
            seen.after = time.monotonic() - began
            seen.told.add(routing.DEAD_MANS_SWITCH)
        return
    for each in ground.notifications():
        labels: Mapping[str, str] = each["labels"]
        if each["status"] != "firing" or each["timestamp"] < since:
            continue
        if labels["alertname"] == incident.alert and _matches(labels, incident.labels):
            seen.after = time.monotonic() - began if seen.after is None else seen.after
            seen.told.add(each["receiver"])
        elif _about(labels, incident):
            seen.besides.add(labels["alertname"])


def _happen(ground: Ground, incident: Incident, wishes: Wishes) -> _Seen:
    """Have an incident happen until it is told, or its time or the day is over."""
    seen = _Seen()
    began, since = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    try:
        with incident.happens(ground, wishes, seen.notes):
            while time.monotonic() - began < incident.within and seen.after is None and not ground.ended.is_set():
                _heard(ground, incident, seen, began, since)
                ground.ended.wait(_LOOK)
            ground.ended.wait(_LATE)
            _heard(ground, incident, seen, began, since)
    except OSError as problem:
        seen.happened = seen.after is not None
        seen.notes.append(f"it came to its end early: {problem}" if seen.happened else f"it did not happen: {problem}")
    return seen


def _waits(declared: Stack, incident: Incident) -> float:
    """Seconds that an alert waits where nothing is shortened: for its condition to last, and for others to join."""
    if incident.silent:
        return 0.0
    found: list[Alert] = [
        alert
        for group in (*declared.groups, *declared.log_groups)
        for alert in group.alerts
        if alert.name == incident.alert and alert.app in ("", incident.labels.get("app", alert.app))
    ]
    app = incident.labels.get("app", "")
    routes = next((system.profile.routes for system in declared.systems if system.name == app), None)
    wait = (routes.wait if routes else None) or declared.context.settings.alerting.grouping.wait
    own = [alert for alert in found if not app or alert.of in ("", app)]
    return max((seconds(alert.for_) for alert in own), default=0.0) + seconds(wait)


def play(
    name: str, directory: Path, incidents: Sequence[Incident], wishes: Wishes, say: Callable[[str], None]
) -> list[Finding]:
    """Have `incidents` happen on a stack with the alerting of the stack `name`; those at once that can.

    Raises SettingsError for a stack file that is none, BenchError for a part that does not start.
    """
    declared = grounds.stack(name, at_once=False, alerts=ALERTS)
    found: dict[str, _Seen] = {}

    def one(ground: Ground, incident: Incident) -> None:
        say(f"{incident.name}: {incident.says}")
        seen = found[incident.name] = _happen(ground, incident, wishes)
        words = f"told after {seen.after:.0f} s" if seen.after is not None else "MISSED"
        words = words if seen.happened else "did not happen"
        say(f"{incident.name}: {words}")

    with grounds.ground(name, directory, ALERTS) as ground:
        together = [
            threading.Thread(target=one, args=(ground, incident), daemon=True)
            for incident in incidents
            if not incident.alone
        ]
        try:
            for thread in together:
                thread.start()
            for thread in together:
                thread.join()
        except BaseException:
            # What an incident started ends in its own thread.
            ground.ended.set()
            deadline = time.monotonic() + _LEAVE_SECONDS
            for thread in together:
                if thread.ident is not None:
                    thread.join(max(0.0, deadline - time.monotonic()))
            raise
        for incident in incidents:
            if incident.alone:
                one(ground, incident)
    return [_finding(declared, incident, found.get(incident.name, _Seen())) for incident in incidents]


def _finding(declared: Stack, incident: Incident, seen: _Seen) -> Finding:
    return Finding(
        incident=incident,
        after=seen.after,
        waits=_waits(declared, incident),
        told=tuple(sorted(seen.told)),
        besides=tuple(sorted(seen.besides)),
        notes=tuple(seen.notes),
        happened=seen.happened,
    )
