"""What an exporter is: one file under `specs/exporters/`, one value in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import Field, model_validator

from specs.model import Address, Model, Name, problem_at
from specs.part import Context, Monitoring
from specs.settings import RuntimeKind
from specs.workload import Workload

ALL_RUNTIMES = frozenset(RuntimeKind)


class ExporterSettings(Model):
    """What every exporter's settings share."""

    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """First port, where the exporter's usual one is taken; each further target takes the next."""


class ServerTarget(Model):
    """A server with an exporter of its own: one that the stack runs, or one that already runs."""

    SERVER: ClassVar[str]
    """Key that names the server."""
    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Keys that the stack's own exporter needs beside that."""

    exporter: Address | None = None
    """Where an exporter of the server already runs: the stack then only scrapes it."""
    app: Name | None = None
    """System that owns the server; none: the stack's own label."""

    @model_validator(mode="after")
    def _server_or_exporter(self) -> Self:
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if (self.SERVER in given) == ("exporter" in given):
            raise ValueError(
                f"a target is a server, or an exporter that already runs (accepted: either {self.SERVER} or exporter)"
            )
        unasked = sorted(given - {"exporter", "app"})
        if self.exporter and unasked:
            raise problem_at("not with exporter, which has its own settings (accepted: exporter, app)", unasked[0])
        missing = [name for name in self.NEEDS if name not in given]
        if not self.exporter and missing:
            raise problem_at(f"required with {self.SERVER}, but missing (accepted: text)", missing[0])
        return self


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
