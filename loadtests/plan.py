"""One load test, decided: wrong wishes are refused before anything is asked of the target."""

from dataclasses import dataclass

from loadtests import targets
from loadtests.journeys import Step, journey
from loadtests.shapes import SHAPES, Shape
from specs.model import SettingsError, seconds

MOST_USERS = 2000
LONGEST = 1800
"""Seconds."""
SMALLEST_SCALE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Who comes when, to do what."""

    target: str
    app: str
    shape: Shape
    scale: float
    journey: tuple[Step, ...]


def make(  # noqa: PLR0913 - what people may wish
    *, shape: str, target: str, allow_remote: str, app: str, scale: float, users: int | None, run_time: str
) -> Plan:
    """The plan that the wishes ask for; `users` None and an empty `run_time` are the shape's own.

    Raises SettingsError naming the wish that cannot be.
    """
    target = targets.checked(target, allow_remote=allow_remote)
    if shape not in SHAPES:
        raise SettingsError(f"SHAPE={shape}: no such shape (accepted: {', '.join(SHAPES)}, endpoints)")
    if not SMALLEST_SCALE <= scale <= 1:
        raise SettingsError(f"SCALE={scale:g}: out of bounds (accepted: from {SMALLEST_SCALE} to 1)")
    if users is not None and not 1 <= users <= MOST_USERS:
        raise SettingsError(f"USERS={users}: out of bounds (accepted: from 1 to {MOST_USERS})")
    return Plan(
        target=target,
        app=app,
        shape=SHAPES[shape].scaled(scale, users=users, seconds=_length(run_time) if run_time else None),
        scale=scale,
        journey=journey(app),
    )


def _length(run_time: str) -> float:
    length = seconds(run_time)
    if not run_time.rstrip("smh").isdecimal() or not 1 <= length <= LONGEST:
        raise SettingsError(f"RUN_TIME={run_time}: not a run time (accepted: from 1s to {LONGEST // 60}m, like 90s)")
    return length
