"""What an exporter is: one file under `specs/exporters/`, one value in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from specs.model import Model
from specs.part import Context, Monitoring
from specs.settings import RuntimeKind
from specs.workload import Workload

ALL_RUNTIMES = frozenset(RuntimeKind)


class ExporterSettings(Model):
    """What every exporter's settings share."""

    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """First port, where the exporter's usual one is taken; each further target takes the next."""


S = TypeVar("S", bound=ExporterSettings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exporting:
    """What an exporter with its settings amounts to in a stack."""

    workloads: tuple[Workload, ...]
    monitoring: Monitoring


@dataclass(frozen=True, kw_only=True, slots=True)
class Exporter(Generic[S]):
    """A program that turns something's state into metrics."""

    name: str
    """Key under `exporters` of the settings."""
    summary: str
    port: int
    """Usual port of its first workload."""
    settings: type[S]
    build: Callable[[Context, S], Exporting]
    runtimes: frozenset[RuntimeKind] = ALL_RUNTIMES
