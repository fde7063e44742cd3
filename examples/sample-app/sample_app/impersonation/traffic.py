"""Requests and tasks that a stand-in seems to work on: drawn from the same levels as its metrics."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sample_app.impersonation.levels import SPREAD, Exposed, Levels, Stream
from specs.profile import Kind, Profile

OFTEN: Final = 5.0
"""Requests a second at most that are told one by one."""
_TASKS: Final = re.compile(r"task|job")
_DATABASE: Final = re.compile(r"(^|_)(db|database|zerodb|query)(_|$)")
_USERS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a request waits for."""

    name: str
    attributes: Mapping[str, str]
    seconds: float
    metric: str = ""
    """Histogram that such calls are observed in; none: no metric of it."""

    @property
    def of_database(self) -> bool:
        """Whether a database is called."""
        return _DATABASE.search(self.name) is not None


@dataclass(frozen=True, kw_only=True)
class Work:
    """A request that was answered, or a task that was done."""

    name: str
    seconds: float
    request_id: str
    user_id: str
    status: int = 0
    """Of the answer; 0: it is a task."""
    method: str = ""
    route: str = ""
    calls: tuple[Call, ...] = ()
    metric: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def failed(self) -> bool:
        """Whether the server is to blame."""
        return self.status >= 500


class Traffic:
    """An endless stream of work; the same seed gives the same."""

    def __init__(self, profile: Profile, levels: Levels, seed: int) -> None:
        """Draw from the levels of a system."""
        self._profile = profile
        self._metrics = levels.metrics
        self._random = random.Random(seed)
        self._due = 0.0
        http = profile.http
        histograms = {
            name: exposed
            for name, exposed in levels.metrics.items()
            if exposed.metric.kind is Kind.HISTOGRAM and name in profile.metrics and (not http or name != http.duration)
        }
        self._tasks = {name: found for name, found in histograms.items() if _TASKS.search(name)}
        self._calls = {name: found for name, found in histograms.items() if name not in self._tasks}

    @property
    def _often(self) -> float:
        http = self._profile.http
        return min(OFTEN, sum(each.level for each in self._metrics[http.requests].streams)) if http else 0.5

    def passed(self, seconds: float) -> Iterator[Work]:
        """The work of the last `seconds`."""
        self._due += seconds * self._often
        while self._due >= 1:
            self._due -= 1
            if self._profile.http is not None:
                yield self._request()
            if self._tasks and self._random.random() < 0.2:
                yield self._task()

    def _request(self) -> Work:
        http = self._profile.http
        if http is None:
            raise ValueError("a system without HTTP has no requests")
        labels = dict(self._drawn(self._metrics[http.requests].streams).labels)
        timed = [
            stream
            for stream in self._metrics[http.duration].streams
            if all(labels.get(name, value) == value for name, value in stream.labels)
        ]
        stream = self._drawn(timed or self._metrics[http.duration].streams)
        calls = tuple(self._call(name, found) for name, found in self._calls.items() if self._wanted(name))
        waited = sum(call.seconds for call in calls)
        route, method = labels.get(http.route, "/"), labels.get("method", "GET")
        return Work(
            name=f"{method} {route}",
            seconds=max(self._lasting(stream), waited * 1.1),
            request_id=f"{self._random.getrandbits(64):016x}",
            user_id=f"user-{self._random.randint(1, _USERS)}",
            status=int(labels.get(http.status, "200")),
            method=method,
            route=route,
            calls=calls or self._below(),
            metric=http.duration,
            labels=dict(stream.labels),
        )

    def _wanted(self, name: str) -> bool:
        """Most requests ask the database; each of the others something else now and then."""
        return self._random.random() < (0.7 if _DATABASE.search(name) else 0.25)

    def _call(self, name: str, exposed: Exposed) -> Call:
        stream = self._drawn(exposed.streams)
        return Call(
            name=name.removesuffix("_duration_seconds"),
            attributes=dict(stream.labels),
            seconds=self._lasting(stream),
            metric=name,
        )

    def _below(self) -> tuple[Call, ...]:
        """What stands below a system whose metrics do not tell of it."""
        stands = [("database_query", "postgres"), ("cache_lookup", "redis")]
        return tuple(
            Call(name=name, attributes={}, seconds=self._random.uniform(0.0005, 0.003))
            for name, exporter in stands
            if exporter in self._profile.exporters
        )

    def _task(self) -> Work:
        name, exposed = self._random.choice(list(self._tasks.items()))
        stream = self._drawn(exposed.streams)
        what = next((value for _, value in stream.labels), "run")
        return Work(
            name=f"{name.removesuffix('_duration_seconds')} {what}",
            seconds=self._lasting(stream),
            request_id=f"{self._random.getrandbits(64):016x}",
            user_id=f"user-{self._random.randint(1, _USERS)}",
            calls=self._below(),
            metric=name,
            labels=dict(stream.labels),
        )

    def _drawn(self, streams: Sequence[Stream]) -> Stream:
        return self._random.choices(streams, [max(stream.level, 1e-12) for stream in streams])[0]

    def _lasting(self, stream: Stream) -> float:
        return stream.middle * math.exp(SPREAD * self._random.gauss())
