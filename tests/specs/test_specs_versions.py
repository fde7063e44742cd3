"""Versions that a stack is not to run are refused, whatever the day is; docs/versions.md shows the same table."""

import pytest
from packaging.specifiers import SpecifierSet

from specs import versions
from specs.workload import Program
from tests.specs.support import EVERY_RECEIVER, ROOT, complaint, stack

KEY = "Pulumi.test.yaml: observability:settings.versions."


def test_what_ships_is_not_refused() -> None:
    """No program of a new stack is one that the table refuses."""
    found = {name: versions.refused(name, tag) for name, tag in versions.shipped().items()}

    assert len(found) > 20
    assert {name for name, refused in found.items() if refused} == set()


@pytest.mark.parametrize(
    ("program", "tag", "words"),
    [
        ("jaeger", "1.76.0", "1.76.0 has had no fixes since 2025-12-31"),
        ("prometheus", "v3.12.0", "v3.12.0 has had no fixes since 2026-07-31"),
        ("prometheus", "v3.13.0", "v3.13.0 can answer range queries with samples of another time"),
        ("loki", "3.5.12", "3.5.12 has had no fixes since 2026-03-26"),
        ("grafana", "12.1.10+security-01", "12.1.10+security-01 has had no fixes since 2026-08-19"),
        ("nginx-exporter", "1.5.2", "1.5.2 was retracted by its makers as a broken release"),
        ("elasticsearch", "9.3.8", "9.3.8 has had no fixes since 2026-08-04"),
        ("kibana", "7.17.29", "7.17.29 has had no fixes since 2026-01-15"),
        ("glitchtip-postgres", "14.24-bookworm", "14.24-bookworm has had no fixes since 2026-11-12"),
        ("collector", "0.148.0", "0.148.0 does not know the receiver file_log by this name"),
        ("alertmanager", "v0.32.3", "v0.32.3 records no events, which the alert history is made of"),
        ("cadvisor", "0.53.0", "0.53.0 is not at ghcr.io/google/cadvisor, where images are since 0.54"),
        ("loki", "latest", '"latest" names no version, so nobody knows what it is tomorrow'),
    ],
)
def test_one_line_names_the_version_and_a_good_one(program: str, tag: str, words: str) -> None:
    """A stack that asks for a version of the table is refused, with the reason and the one that ships."""
    ships = versions.shipped()[program]
    said = complaint(runtime="docker", versions={program: tag})

    end = ")" if tag == "latest" else "; docs/versions.md)"
    assert said == f"{KEY}{program}: {words} (accepted: {ships}, which ships{end}"


@pytest.mark.parametrize(
    ("program", "tag"),
    [
        ("prometheus", "v3.13.1"),
        ("loki", "3.6.15"),
        ("jaeger", "2.19.0"),
        ("elasticsearch", "8.19.20"),
        ("elasticsearch", "9.4.5"),
        ("glitchtip-postgres", "17.11-trixie"),
        ("nginx-exporter", "1.5.1"),
        ("redis-exporter", "v1.80.0-alpine"),
    ],
)
def test_others_are_accepted(program: str, tag: str) -> None:
    """What is at the edge of the table, and not in it, is nobody's business."""
    assert versions.refused(program, tag) is None


def test_every_line_of_a_stack_is_said_at_once() -> None:
    """Two bad versions are two lines."""
    assert len(complaint(runtime="docker", versions={"jaeger": "1.76.0", "loki": "3.5.0"}).splitlines()) == 2


def test_a_good_version_is_run() -> None:
    """Proves that the table is no obstacle to a version that it does not name."""
    made = stack(runtime="docker", alerting=EVERY_RECEIVER, versions={"loki": "3.7.0"})
    programs: set[Program] = {workload.program for workload in made.workloads}

    assert {program.version for program in programs if program.name == "loki"} == {"3.7.0"}


@pytest.mark.parametrize(
    ("tag", "version"),
    [("v3.14.0", "3.14.0"), ("18.6-trixie", "18.6"), ("9.1.2-alpine3.22", "9.1.2"), ("3.7.0-rc.1", "3.7.0rc1")],
)
def test_tags_are_read(tag: str, version: str) -> None:
    """Registries write versions in many forms."""
    assert str(versions.version_of(tag)) == version


def test_the_table_is_sound() -> None:
    """Every line can be read, names a program that there is, a reason, a source, and a day where something ended."""
    known = {*versions.shipped(), "kubernetes"}

    for one in versions.TABLE:
        assert one.program in known
        assert SpecifierSet(one.versions)
        assert one.source.startswith("https://")
        assert bool(one.on) == (one.kind == "ended")
        assert bool(one.why) == (one.kind != "ended")


def test_the_page_shows_the_table() -> None:
    """docs/versions.md has what `specs/versions.py` says, and nothing else between its markers."""
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- versions: begin -->\n\n")[2].partition("\n<!-- versions: end -->")[0]

    assert shown == versions.markdown()
