"""A system's hour in a moment: what Prometheus would have scraped of its stand-in, as series for promtool."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sample_app.impersonation import Impersonation
from sample_app.impersonation.targets import targets

from specs.profile import Profile

ENVIRONMENT = "test"
ADDRESS = "127.0.0.1:8000"

_UP: tuple[str, Mapping[str, str], float] = ("up", {}, 1.0)


@dataclass(frozen=True, kw_only=True)
class Scraped:
    """A target, and the page that it answers with."""

    labels: Mapping[str, str]
    page: tuple[str, str]


def scraped(system: str, profile: Profile) -> Iterator[Scraped]:
    """Every target that the stand-in registers."""
    for entry in targets(system, profile, ADDRESS, {"environment": ENVIRONMENT}):
        labels = entry["labels"]
        kind = "exporter" if "__param_name" in labels else "service"
        kept = {name: value for name, value in labels.items() if not name.startswith("__")}
        yield Scraped(labels={**kept, "instance": ADDRESS, "job": "applications"}, page=(kind, kept["service"]))


def replay(
    impersonation: Impersonation,
    *,
    minutes: float,
    step: float = 30,
    only: Collection[str] | None = None,
    meanwhile: Callable[[float], None] = lambda _seconds: None,
) -> dict[str, str]:
    """Series and their values, a sample each `step` seconds. `only` names the metrics that matter; `meanwhile` is
    called with the seconds that passed before each sample."""
    found: dict[str, list[float]] = {}
    entries: list[Scraped] = list(scraped(impersonation.system, impersonation.profile))
    for moment in range(round(minutes * 60 / step) + 1):
        if moment:
            impersonation.advance(step)
        meanwhile(moment * step)
        for entry in entries:
            for name, labels, value in (_UP, *impersonation.samples(entry.page)):
                if only is None or name in only:
                    found.setdefault(_series(name, {**entry.labels, **labels}.items()), []).append(value)
    return {name: " ".join(map(repr, values)) for name, values in found.items()}


def _series(name: str, labels: Iterable[tuple[str, str]]) -> str:
    inside = ", ".join(f'{label}="{value}"' for label, value in sorted(labels))
    return f"{name}{{{inside}}}"
