"""How many users there are at which second."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Users change evenly from what the stage before left."""

    users: int
    """How many there are at its end."""
    seconds: float
    """How long it takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """Where the number of users goes."""

    users: int
    """How many there are to be at the end of the stage."""
    change: float
    """Users a second that come or go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A curve of users over time, and the load that they offer together."""

    name: str
    stages: tuple[Stage, ...]
    rate: float
    """Requests a second that all users together would make if every answer came at once."""

    @property
    def peak(self) -> int:
        """The most users at a time."""
        return max(stage.users for stage in self.stages)

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def pace(self) -> float:
        """Seconds from the start of a user's request to the start of the next."""
        return self.peak / self.rate

    def _stage_at(self, second: float) -> tuple[int, Stage, float] | None:
        """Users at the start of the stage that `second` is in, the stage, and how far in it that is."""
        before = 0
        for stage in self.stages:
            if second < stage.seconds:
                return before, stage, second
            second -= stage.seconds
            before = stage.users
        return None

    def users_at(self, second: float) -> float | None:
        """Users `second` seconds after the start, in theory; None when it is over."""
        found = self._stage_at(second)
        if found is None:
            return None
        before, stage, since = found
        return before + (stage.users - before) * since / stage.seconds

    def heading_at(self, second: float) -> Heading | None:
        """Where users go `second` seconds after the start; None when it is over."""
        found = self._stage_at(second)
        if found is None:
            return None
        before, stage, _ = found
        return Heading(users=stage.users, change=abs(stage.users - before) / stage.seconds)

    def scaled(self, scale: float, *, users: int | None = None, seconds: float | None = None) -> Self:
        """The same curve smaller: users, time and load shrink alike, except where `users` or `seconds` are given."""
        across = scale if users is None else users / self.peak
        along = scale if seconds is None else seconds / self.seconds
        stages = tuple(
            Stage(users=max(1, round(stage.users * across)) if stage.users else 0, seconds=stage.seconds * along)
            for stage in self.stages
        )
        return replace(self, stages=stages, rate=self.rate * scale)


def _ramped(name: str, *, users: int, spawn_rate: float, seconds: float, rate: float) -> Shape:
    ramp = users / spawn_rate
    stages = (Stage(users=users, seconds=ramp), Stage(users=users, seconds=seconds - ramp))
    return Shape(name=name, stages=stages, rate=rate)


# The guide gives no pace of a user. These let a system that is fast enough meet the wanted throughput with room to
# spare, and do not offer so much more that the load generator, one process, would measure itself.
SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        _ramped("normal", users=100, spawn_rate=10, seconds=300, rate=1250),
        _ramped("stress", users=500, spawn_rate=50, seconds=600, rate=2500),
        Shape(
            name="spike",
            stages=(Stage(users=1000, seconds=60), Stage(users=1000, seconds=300), Stage(users=0, seconds=60)),
            rate=2500,
        ),
    )
}
"""By name. Each has its own curve; all have the same criteria."""
