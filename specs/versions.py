"""Versions that a stack is not to run: withdrawn ones, those that get no more fixes, and those that do not fit.

What counts is this table, never the clock: the same stack file means the same on every day. docs/versions.md shows it.
"""

import re
from dataclasses import dataclass
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from specs import programs
from specs.model import SettingsError
from specs.settings import KEY, Settings
from specs.workload import Program


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Versions of a program that are refused, and why."""

    program: str
    """Its name in `specs/programs.py`; or what the stack runs on or beside, which is in the table for people alone."""
    versions: str
    """As Python's packaging writes ranges: `<3.13`, `==1.5.2`, `>=9.0,<9.4`."""
    kind: Literal["ended", "withdrawn", "unfit"]
    """`ended`: no more fixes. `withdrawn`: broken, by its makers' own word. `unfit`: not with the files of a stack."""
    on: str = ""
    """The day on which the last of them ended."""
    why: str = ""
    """What is wrong with them, where they did not just end."""
    source: str

    @property
    def reason(self) -> str:
        """Why, in a few words."""
        return self.why or f"has had no fixes since {self.on}"


_ELASTIC = ("elasticsearch", "logstash", "kibana", "apm-server")

TABLE = (
    Refused(
        program="prometheus",
        versions="<3.13",
        kind="ended",
        on="2026-07-31",
        source="https://prometheus.io/docs/introduction/release-cycle/",
    ),
    Refused(
        program="prometheus",
        versions="==3.13.0",
        kind="withdrawn",
        why="can answer range queries with samples of another time",
        source="https://github.com/prometheus/prometheus/pull/19134",
    ),
    Refused(
        program="thanos",
        versions="<0.41",
        kind="unfit",
        why="refuses a Prometheus that joins blocks once they are uploaded",
        source="https://github.com/thanos-io/thanos/pull/8582",
    ),
    Refused(
        program="alertmanager",
        versions="<0.33",
        kind="unfit",
        why="records no events, which the alert history is made of",
        source="https://github.com/prometheus/alertmanager/blob/main/CHANGELOG.md",
    ),
    Refused(
        program="loki",
        versions="<3.6",
        kind="ended",
        on="2026-03-26",
        source="https://endoflife.date/grafana-loki",
    ),
    Refused(
        program="jaeger",
        versions="<2",
        kind="ended",
        on="2025-12-31",
        source="https://github.com/jaegertracing/jaeger/issues/6321",
    ),
    Refused(
        program="collector",
        versions="<0.149",
        kind="unfit",
        why="does not know the receiver file_log by this name",
        source="https://github.com/open-telemetry/opentelemetry-collector-contrib/pull/46750",
    ),
    Refused(
        program="grafana",
        versions="<12.4",
        kind="ended",
        on="2026-08-19",
        source="https://endoflife.date/grafana",
    ),
    Refused(
        program="grafana",
        versions="==13.0.0",
        kind="withdrawn",
        why="was never released: 13.0.1 was the first",
        source="https://endoflife.date/grafana",
    ),
    Refused(
        program="nginx-exporter",
        versions="==1.5.2",
        kind="withdrawn",
        why="was retracted by its makers as a broken release",
        source="https://github.com/nginx/nginx-prometheus-exporter/pull/1327",
    ),
    Refused(
        program="cadvisor",
        versions="<0.54",
        kind="unfit",
        why="is not at ghcr.io/google/cadvisor, where images are since 0.54",
        source="https://github.com/google/cadvisor/issues/3806",
    ),
    Refused(
        program="glitchtip-postgres",
        versions="<15",
        kind="ended",
        on="2026-11-12",
        source="https://www.postgresql.org/support/versioning/",
    ),
    *(
        refused
        for program in _ELASTIC
        for refused in (
            Refused(
                program=program,
                versions="<8.19",
                kind="ended",
                on="2026-01-15",
                source="https://www.elastic.co/support/eol",
            ),
            Refused(
                program=program,
                versions=">=9.0,<9.4",
                kind="ended",
                on="2026-08-04",
                source="https://www.elastic.co/support/eol",
            ),
        )
    ),
    Refused(
        program="kubernetes",
        versions="<1.35",
        kind="ended",
        on="2026-10-27",
        source="https://kubernetes.io/releases/",
    ),
)
"""Looked up on 2026-11-21, from the makers' announcements."""


def version_of(tag: str) -> Version | None:
    """The version that the tag of an image stands for: without a `v` before it, and what comes after it; None when
    there is none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", tag)
    if found is None:
        return None
    try:
        return Version(tag)
    except InvalidVersion:
        return Version(found[1])


def refused(program: str, tag: str) -> Refused | None:
    """Why `tag` of `program` is refused; None when it is not."""
    version = version_of(tag)
    if version is None:
        return None
    return next(
        (
            one
            for one in TABLE
            if one.program == program and SpecifierSet(one.versions).contains(version, prereleases=True)
        ),
        None,
    )


def shipped() -> dict[str, str]:
    """The version of every program that has an image."""
    every = [program for program in vars(programs).values() if isinstance(program, Program)]
    return {program.name: program.version for program in every if program.image}


def check(settings: Settings, *, file: str) -> None:
    """Raises SettingsError, a line each, for versions that the stack file `file` asks for and nobody should run."""
    ours = shipped()
    lines: list[str] = []
    for name, tag in settings.versions.items():
        accepted = f"(accepted: {ours[name]}, which ships" if name in ours else "(accepted: another"
        key = f"{file}: {KEY}.versions.{name}"
        if not any(character.isdigit() for character in tag):
            lines.append(f'{key}: "{tag}" names no version, so nobody knows what it is tomorrow {accepted})')
        elif found := refused(name, tag):
            lines.append(f"{key}: {tag} {found.reason} {accepted}; docs/versions.md)")
    if lines:
        raise SettingsError("\n".join(lines))


def markdown() -> str:
    """The table for docs/versions.md."""
    ours = shipped()
    kinds = {"ended": "no more fixes", "withdrawn": "withdrawn", "unfit": "does not fit"}
    lines = ["| program | ships | refused | why | source |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.program} | {ours.get(one.program, '')} | `{one.versions}` | {kinds[one.kind]}: {one.reason} |"
        f" <{one.source}> |"
        for one in TABLE
    ]
    return "\n".join(lines) + "\n"
