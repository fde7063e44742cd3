"""Log lines as each system writes them: about its work, about what goes on beside it, and about its troubles."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sample_app.impersonation.spans import Traced
from sample_app.impersonation.traffic import Work
from specs.log_formats import FORMATS
from specs.profile import LogSource, Profile

Line = tuple[str, str]
"""Name of a file, and a line of it without its end."""

_TRACEBACK: Final = """\
Traceback (most recent call last):
  File "/srv/app/service.py", line 118, in answer
    return self.store.find(wanted)
KeyError: 'wanted'"""


_STATEMENT: Final = "SELECT id, title FROM entries WHERE user_id = $1"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something worth a line, whatever the line looks like."""

    at: float
    service: str
    message: str
    level: str = "info"
    about: str = "app"
    """Part of the program that says it."""
    fields: Mapping[str, object] = field(default_factory=dict[str, object])
    ids: Mapping[str, str] = field(default_factory=dict[str, str])
    exception: str = ""

    @property
    def moment(self) -> datetime:
        """When it was, in UTC."""
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Lines that a log alert is about."""

    every: float
    """Seconds from one to the next."""
    message: str
    level: str = "error"
    fields: Mapping[str, object] = field(default_factory=dict[str, object])
    exception: str = ""


def _query(took: float) -> Trouble:
    return Trouble(
        every=10,
        level="warning",
        message=f"Slow query ({took:.2f}s): find visits by place",
        fields={"duration_seconds": took, "collection": "visits", "operation": "query"},
    )


TROUBLES: Final[Mapping[str, Trouble]] = {
    "LogErrorBurst": Trouble(every=0.5, message="The stock service answered with an error"),
    "LogFailedLogins": Trouble(every=2, level="warning", message="Login failed: invalid credentials"),
    "SlowQueries": _query(2.0),
    "VerySlowQueries": _query(8.0),
    "LogSlowRequests": Trouble(
        every=10, level="warning", message="slow request GET /reports", fields={"response_time": 7000}
    ),
    "LogTracebacks": Trouble(every=15, message="The request could not be answered", exception=_TRACEBACK),
    "LogPanics": Trouble(every=60, message="panic: runtime error: index out of range [7] with length 3"),
    "LogOutOfMemory": Trouble(every=60, message="MemoryError: cannot allocate memory for the image"),
    "LogDiskFull": Trouble(every=60, message="OSError: [Errno 28] No space left on device: '/srv/uploads'"),
    "LogConnectionsExhausted": Trouble(every=60, message="FATAL: sorry, too many clients already"),
    "LogConnectionErrors": Trouble(every=10, message="127.0.0.1:6379: connection refused"),
    "LogCertificateErrors": Trouble(every=60, message="certificate verify failed: certificate has expired"),
    "LogDeadlocks": Trouble(every=60, message="deadlock detected, the transaction was rolled back"),
}
"""By the alert in Loki's ruler that they bring about."""

_BESIDE: Final = (
    ("info", "authentication", "Authentication succeeded, login by password"),
    ("info", "cache", "Cache miss, the entry is computed and kept"),
    ("info", "database", "Database connection taken from the pool"),
    ("warning", "security", "Security: an address was blocked by the rate limit"),
)
_TOPICS: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "api": (
        *_BESIDE,
        ("info", "sms_routing", "SMS routing: the number belongs to a user"),
        ("info", "oauth", "OAuth flow completed"),
        ("info", "cache_miss", "cache_miss for the calendar of a user"),
        ("info", "database_connection", "database_connection checked in"),
    ),
    "worker": (
        ("info", "sms_routing", "sms_routing: message handed to the carrier"),
        ("info", "oauth", "oauth token refreshed"),
        ("info", "tasks", "task done"),
    ),
    "scheduler": (("info", "schedule", "reminders are due"), ("info", "schedule", "calendars are due")),
    "slow-queries": (("info", "zerodb", "query near the limit"),),
}
"""By service: level, part of the program, and text of what it says now and then."""


def accepted(system: str, profile: Profile) -> tuple[str, ...]:
    """Names of the log alerts that the system's lines can bring about."""
    if not any(source.format == "json" for source in profile.logs):
        return ()
    return tuple(name for name in TROUBLES if name != "LogSlowRequests" or system not in _SHAPES)


class LogLines:
    """The lines of one system; the same seed gives the same."""

    def __init__(self, system: str, profile: Profile, troubles: Iterable[str], seed: int) -> None:
        """Write for a system, about the troubles named."""
        self._sources = profile.logs
        self._shape = _SHAPES.get(system, _plain)
        self._random = random.Random(seed)
        self._troubles = [TROUBLES[name] for name in troubles]
        self._passed = 0.0

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all its files."""
        return tuple(_file(source) for source in self._sources)

    def of(self, work: Work, traced: Traced, at: float) -> Iterator[Line]:
        """The lines about a piece of work."""
        first = next((source for source in self._sources if source.format == "json"), None)
        for source in self._sources:
            match source.format:
                case "json" if source is first:
                    yield _file(source), self._json(_finished(work, traced, at, source.service))
                case "text":
                    yield _file(source), f"{_iso(at)} {'ERROR' if work.failed else 'INFO'} {work.name}"
                case "nginx-access" if work.status:
                    yield _file(source), self._access(work, at)
                case "nginx-error" if work.failed:
                    yield _file(source), _refused(work, at)
                case "postgres" if (took := sum(call.seconds for call in work.calls if call.of_database)) > 0:
                    yield _file(source), _statement(took, at)
                case _:
                    pass

    def passed(self, seconds: float, at: float) -> Iterator[Line]:
        """The lines of the last `seconds` about everything else."""
        before, self._passed = self._passed, self._passed + seconds
        for source in self._sources:
            for _ in range(_times(before, self._passed, 1 if source.format == "json" else 20)):
                yield from self._beside(source, at)
        for trouble in self._troubles:
            for _ in range(_times(before, self._passed, trouble.every)):
                yield from self._troubled(trouble, at)

    def _beside(self, source: LogSource, at: float) -> Iterator[Line]:
        match source.format:
            case "json":
                level, about, message = self._random.choice(_TOPICS.get(source.service, _BESIDE))
                took = round(self._random.uniform(0.6, 0.9), 3)
                more: dict[str, object] = {"duration": round(self._random.uniform(2, 80), 1)}
                if source.service == "slow-queries":
                    more = {"collection": self._random.choice(("users", "events")), "duration_seconds": took}
                event = Event(
                    at=at,
                    service=source.service,
                    level=level,
                    about=about,
                    message=message,
                    fields=more,
                    ids=self._ids(),
                )
                yield _file(source), self._json(event)
            case "redis":
                stamp = datetime.fromtimestamp(at).astimezone().strftime("%d %b %Y %H:%M:%S.%f")[:-3]
                yield _file(source), f"1:M {stamp} * 100 changes in 300 seconds. Saving..."
            case "nginx-error":
                what = "*7 a client request body is buffered to a temporary file"
                yield _file(source), f"{_local(at)} [warn] 31#31: {what}"
            case "postgres":
                yield _file(source), f"{_utc(at)} [71] LOG:  checkpoint complete: wrote 12 buffers (0.1%)"
            case _:
                pass

    def _troubled(self, trouble: Trouble, at: float) -> Iterator[Line]:
        sources = [source for source in self._sources if source.format == "json"]
        if "collection" in trouble.fields:
            # Where a system keeps slow queries apart, there.
            sources.sort(key=lambda source: "slow" not in source.service)
        for source in sources[:1]:
            event = Event(
                at=at,
                service=source.service,
                level=trouble.level,
                message=trouble.message,
                fields=trouble.fields,
                ids=self._ids(),
                exception=trouble.exception,
            )
            yield _file(source), self._json(event)

    def _ids(self) -> dict[str, str]:
        return {
            "request_id": f"{self._random.getrandbits(64):016x}",
            "user_id": f"user-{self._random.randint(1, 200)}",
        }

    def _json(self, event: Event) -> str:
        return json.dumps(self._shape(event))

    def _access(self, work: Work, at: float) -> str:
        stamp = datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        size = self._random.randint(200, 9000)
        request = f"{work.method} {work.route} HTTP/1.1"
        return f'127.0.0.1 - - [{stamp}] "{request}" {work.status} {size} "-" "curl/8.5" {work.seconds:.3f}'


def _file(source: LogSource) -> str:
    return f"{source.service}{FORMATS[source.format].ending}"


def _times(before: float, after: float, every: float) -> int:
    """How often something that comes `every` so many seconds came meanwhile."""
    return int(after / every) - int(before / every)


def _finished(work: Work, traced: Traced, at: float, service: str) -> Event:
    milliseconds = round(work.seconds * 1000, 3)
    level = "error" if work.failed else "warning" if work.status >= 400 else "info"
    said = f"{work.name} answered {work.status}" if work.status else f"{work.name} done"
    took: dict[str, object] = {"response_time": milliseconds} if work.status else {"duration": milliseconds}
    return Event(
        at=at,
        service=service,
        level=level,
        about="requests" if work.status else "tasks",
        message=said,
        fields=({"endpoint": work.route, "status": work.status} if work.status else {}) | took,
        ids={
            "request_id": work.request_id,
            "user_id": work.user_id,
            "trace_id": traced.trace_id,
            "span_id": traced.span_id,
        },
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y/%m/%d %H:%M:%S")


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _refused(work: Work, at: float) -> str:
    said = "upstream prematurely closed connection while reading response header from upstream"
    request = f'request: "{work.method} {work.route} HTTP/1.1"'
    upstream = f'upstream: "http://127.0.0.1:8000{work.route}"'
    return f"{_local(at)} [error] 31#31: *7 {said}, client: 127.0.0.1, server: app, {request}, {upstream}"


def _statement(seconds: float, at: float) -> str:
    return f"{_utc(at)} [71] app@app LOG:  duration: {seconds * 1000:.3f} ms  statement: {_STATEMENT}"


def _plain(event: Event) -> dict[str, object]:
    return {
        "timestamp": _iso(event.at),
        "level": event.level,
        "service": event.service,
        "logger": event.about,
        "message": event.message,
        **event.fields,
        **event.ids,
        **({"exception": event.exception} if event.exception else {}),
    }


def _with_metadata(event: Event) -> dict[str, object]:
    """Everything that is not about who and when stands below `metadata`."""
    traced = {name: value for name, value in event.ids.items() if name in {"trace_id", "span_id"}}
    return {
        "timestamp": _iso(event.at),
        "level": event.level.upper(),
        "service": event.service,
        "request_id": event.ids.get("request_id"),
        "user_id": event.ids.get("user_id"),
        "message": f"{event.message}\n{event.exception}" if event.exception else event.message,
        "metadata": {"component": event.about, **event.fields},
        **traced,
    }


def _with_place(event: Event) -> dict[str, object]:
    """Python's own fields, and a time without a zone."""
    return {
        "timestamp": event.moment.replace(tzinfo=None).isoformat(),
        "level": event.level.upper(),
        "logger": f"app.{event.about}",
        "message": event.message,
        "module": event.about,
        "function": "answer",
        "line": 118,
        **({"exception": event.exception} if event.exception else {}),
        **event.ids,
    }


_SHAPES: Final[Mapping[str, Callable[[Event], dict[str, object]]]] = {
    "roadtrip": _with_metadata,
    "mysmartnotes": _with_place,
}
"""Systems whose lines have fields of their own; all others write `_plain`."""
