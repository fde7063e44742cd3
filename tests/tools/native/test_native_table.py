"""The table of native programs is complete, and agrees with the go.mod files it points to."""

import re

import pytest

from tools.native import NativeError, probe, version_pin
from tools.native.recipes import GoBuilderCollector, GoModule, Program
from tools.native.table import MODULES, PROGRAMS, program_of

SOURCES = [(program, program.source) for program in PROGRAMS]
MODULE_SOURCES = [
    *[pytest.param(program, source, id=program.name) for program, source in SOURCES if isinstance(source, GoModule)],
    *[
        pytest.param(program, source.builder, id=f"{program.name}'s builder")
        for program, source in SOURCES
        if isinstance(source, GoBuilderCollector)
    ],
]


@pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in PROGRAMS])
def test_the_range_of_accepted_versions_includes_the_pin(program: Program) -> None:
    """Proves that what is built would also be accepted from PATH."""
    assert probe.accepted(program, program.version)


@pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in PROGRAMS])
def test_every_recipe_file_is_committed(program: Program) -> None:
    """Proves that no row points to a go.mod, go.sum or builder.yaml that is not there."""
    assert [str(file) for file in program.source.files() if not file.is_file()] == []


@pytest.mark.parametrize(("program", "source"), MODULE_SOURCES)
def test_go_mod_asks_for_the_version_of_the_table(program: Program, source: GoModule) -> None:
    """Proves that the version a program is said to have is the one that is compiled, and that go.sum holds it."""
    text = (source.directory / "go.mod").read_text(encoding="utf-8")
    required = re.findall(rf"^(?:require )?\s*{re.escape(source.module)} (v\S+)", text, re.MULTILINE)
    sums = (source.directory / "go.sum").read_text(encoding="utf-8")
    assert required == [source.module_version], program.name
    assert f"{source.module} {source.module_version} h1:" in sums


@pytest.mark.parametrize(("program", "source"), MODULE_SOURCES)
def test_the_pin_is_the_module_version_in_the_modules_own_counting(program: Program, source: GoModule) -> None:
    """Proves that the two versions of a row belong together, also where a project counts its modules otherwise."""
    counted = {
        "v1.62.0": "2.0.0-rc2",  # Jaeger keeps its second generation in modules of the first
        "v0.313.5": "3.13.5",  # Prometheus 3.x.y is module v0.3xx.y
    }
    assert program.version == counted.get(source.module_version, source.module_version.removeprefix("v"))


def test_the_collector_says_the_pinned_version() -> None:
    """Proves that builder.yaml, which stamps the collector's version, has the pin of the table."""
    text = (MODULES / "otelcol" / "builder.yaml").read_text(encoding="utf-8")
    assert re.findall(r"\bversion: ([\d.]+)", text) == [version_pin("otelcol")]


def test_the_collector_compiles_what_builder_yaml_asks_for() -> None:
    """Proves that the committed go.mod of the generated program requires each component at builder.yaml's version."""
    directory = MODULES / "otelcol"
    asked = re.findall(r"gomod: (\S+ v\S+)", (directory / "builder.yaml").read_text(encoding="utf-8"))
    go_mod = (directory / "go.mod").read_text(encoding="utf-8")
    assert asked != []
    assert [module for module in asked if f"\t{module}\n" not in go_mod] == []


def test_no_name_is_taken_twice() -> None:
    """Proves that a name means one program."""
    names = [name for program in PROGRAMS for name in {program.name, *program.executables, *program.helpers}]
    assert sorted(names) == sorted(set(names))


def test_every_module_directory_is_used() -> None:
    """Proves that no recipe is left behind when its row goes."""
    used = {file.relative_to(MODULES).parts[0] for program in PROGRAMS for file in program.source.files()}
    assert {directory.name for directory in MODULES.iterdir()} == used


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    """Proves that a wrong name is answered with the right ones."""
    with pytest.raises(NativeError, match=r"(?s)promteheus: there is no .* prometheus, promtool"):
        program_of("promteheus")
