"""Programs of PATH are used at an accepted version, and only then."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.native import Located, locate
from tools.native.locate import survey
from tools.native.table import PROGRAMS, program_of

Script = Callable[[Path, str], Path]
Install = Callable[[str], Path]


def test_an_accepted_version_on_path_is_used(front: Path, script: Script) -> None:
    """Proves that the user's own program is preferred to building one."""
    path = script(front / "loki", 'echo "loki, version 3.4.1 (branch: HEAD, revision: abc)"')
    assert locate("loki") == Located(name="loki", path=path, version="3.4.1", origin="path")


@pytest.mark.parametrize("said", ["loki, version 2.9.8 (branch: HEAD)", "loki, version  (branch: , revision: unknown)"])
def test_a_version_out_of_range_or_unknown_is_not_used(front: Path, script: Script, said: str) -> None:
    """Proves that an old program, or one that does not know its version, is refused with a reason."""
    path = script(front / "loki", f'echo "{said}"')
    assert locate("loki") is None
    (refused,) = survey(program_of("loki")).refused
    assert refused.startswith(f"{path} is not used: it ")


def test_a_later_one_on_path_is_used_when_the_first_is_too_old(
    front: Path, tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that all of PATH is looked at."""
    (tmp_path / "second").mkdir()
    monkeypatch.setenv("PATH", f"{front}:{tmp_path / 'second'}")
    script(front / "loki", "echo loki, version 2.9.8")
    newer = script(tmp_path / "second" / "loki", "echo loki, version 3.1.0")
    assert locate("loki") == Located(name="loki", path=newer, version="3.1.0", origin="path")


def test_too_old_on_path_gives_way_to_the_cache(front: Path, script: Script, install: Install) -> None:
    """Proves that a program built here is used in place of one that will not do."""
    script(front / "loki", "echo loki, version 2.9.8")
    path = install("loki") / "loki"
    assert locate("loki") == Located(name="loki", path=path, version="3.7.8", origin="cache")


def test_the_parts_of_a_program_are_not_mixed(front: Path, script: Script) -> None:
    """Proves that prometheus of PATH without its promtool is not used."""
    script(front / "prometheus", "echo prometheus, version 3.14.0")
    assert locate("prometheus") is None
    script(front / "promtool", "echo promtool, version 3.14.0")
    assert [locate(name) is not None for name in ("prometheus", "promtool")] == [True, True]


def test_debians_name_is_found_under_ours(front: Path, script: Script) -> None:
    """Proves that an exporter is found under the name Debian gives it."""
    path = script(
        front / "prometheus-redis-exporter", 'echo "msg=\\"Redis Metrics Exporter 1.58.0    build date: x\\""'
    )
    assert locate("redis_exporter") == Located(name="redis_exporter", path=path, version="1.58.0", origin="path")


def test_a_pulumi_without_a_language_host_is_not_used(front: Path, script: Script) -> None:
    """Proves that pulumi and its language host come from the same place."""
    pulumi = script(front / "pulumi", "echo v3.230.0")
    assert locate("pulumi") is None
    assert survey(program_of("pulumi")).refused == (
        f"{pulumi} is not used: pulumi-language-python is neither beside it nor on PATH",
    )
    host = script(front / "pulumi-language-python", "exit 1")
    assert locate("pulumi") == Located(name="pulumi", path=pulumi, version="3.230.0", origin="path")
    assert locate("pulumi-language-python") == Located(
        name="pulumi-language-python", path=host, version="3.230.0", origin="path"
    )


def test_a_language_host_of_path_is_not_used_with_our_pulumi(front: Path, script: Script, install: Install) -> None:
    """Proves that the host of a pulumi that is too old does not serve ours."""
    script(front / "pulumi", "echo v3.100.0")
    script(front / "pulumi-language-python", "exit 1")
    ours = install("pulumi-language-python")
    found = locate("pulumi-language-python")
    assert found is not None
    assert found.path == ours / "pulumi-language-python"


def test_a_collector_must_have_the_components(front: Path, script: Script) -> None:
    """Proves that a collector of the right version but without what the stack uses is refused, naming what it lacks."""
    features = program_of("otelcol").features
    assert features is not None
    text = 'if [ "$1" = components ]; then echo "{}"; else echo "otelcol version 0.160.0"; fi'
    script(front / "otelcol", text.format(" ".join(word for word in features.words if word != "file_log")))
    (refused,) = survey(program_of("otelcol")).refused
    assert refused == f"{front / 'otelcol'} is not used: it lacks file_log"
    time.sleep(0.01)
    script(front / "otelcol", text.format(" ".join(features.words)))
    assert locate("otelcol") is not None


def test_a_program_is_asked_once_for_each_state_of_its_file(front: Path, script: Script, tmp_path: Path) -> None:
    """Proves that the answer is remembered, and forgotten when the file changes."""
    asked = tmp_path / "asked"
    text = 'echo x >> "{}"; echo "loki, version {}"'
    script(front / "loki", text.format(asked, "3.1.0"))
    assert [found.version for found in (locate("loki"), locate("loki")) if found] == ["3.1.0", "3.1.0"]
    assert asked.read_text() == "x\n"
    script(front / "loki", text.format(asked, "3.10.0"))
    assert [found.version for found in (locate("loki"),) if found] == ["3.10.0"]


def test_a_cached_program_is_found_quickly(front: Path, install: Install) -> None:
    """Proves that locate is cheap enough to be called wherever a path is needed: 20 ms, at the best of five."""
    install("loki")
    times: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        assert locate("loki") is not None
        times.append(time.perf_counter() - began)
    assert min(times) < 0.02
    assert front.is_dir()


def test_what_was_built_here_is_not_the_users_own(
    front: Path, monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    """Proves that the cache's executables on PATH are still told from the user's."""
    directory = install("loki")
    monkeypatch.setenv("PATH", f"{directory}:{front}")
    found = locate("loki")
    assert found is not None
    assert found.origin == "cache"


@pytest.mark.parametrize("name", [name for program in PROGRAMS for name in program.executables])
def test_nothing_is_found_where_nothing_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that an absent program is no error, and that locating builds nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate(name) is None
    assert list(tmp_path.iterdir()) == []
