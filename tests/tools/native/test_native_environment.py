"""The environment finds the programs by name, after the virtual environment, and leaves the user's pulumi alone."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.native import environment

Script = Callable[[Path, str], Path]
Install = Callable[[str], Path]


@pytest.fixture
def base(front: Path, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a shell with an active virtual environment."""
    virtual = tmp_path / "virtual"
    (virtual / "bin").mkdir(parents=True)
    return {"PATH": f"{virtual / 'bin'}:{os.environ['PATH']}", "VIRTUAL_ENV": str(virtual), "OTHER": front.name}


def test_one_directory_comes_right_after_the_virtual_environment(
    base: dict[str, str], install: Install, own_cache: Path
) -> None:
    """Proves the order of PATH, the switches, and that nothing else of the environment changes."""
    install("pulumi")
    result = environment(base)
    first, ours, *rest = result.pop("PATH").split(":")
    assert [first, *rest] == base["PATH"].split(":")
    assert Path(ours).parent == own_cache
    assert result == {
        "VIRTUAL_ENV": base["VIRTUAL_ENV"],
        "OTHER": base["OTHER"],
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def test_the_directory_has_all_that_pulumi_looks_for(base: dict[str, str], install: Install) -> None:
    """Proves that the CLI, the language host, its helper and the launcher of dynamic resources are found by name."""
    bins = {name: install(name) for name in ("pulumi", "pulumi-language-python")}
    directory = Path(environment(base)["PATH"].split(":")[1])
    assert {entry.name for entry in directory.iterdir()} == {
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    }
    assert (directory / "pulumi").samefile(bins["pulumi"] / "pulumi")
    # Pulumi looks beside the file it runs from: a symbolic link would lead it away from its language host.
    assert not (directory / "pulumi").is_symlink()


def test_the_launcher_runs_the_first_python(base: dict[str, str], install: Install, script: Script) -> None:
    """Proves that dynamic resources run in the virtual environment, with the engine's arguments."""
    install("pulumi")
    script(Path(base["VIRTUAL_ENV"]) / "bin" / "python", 'echo "$@"')
    result = environment(base)
    launcher = Path(result["PATH"].split(":")[1]) / "pulumi-resource-pulumi-python"
    said = subprocess.run([launcher, "127.0.0.1:4000", "a b"], env=result, capture_output=True, text=True, check=True)
    assert said.stdout == "-u -m pulumi.dynamic 127.0.0.1:4000 a b\n"


def test_the_users_own_pulumi_keeps_its_plugins(base: dict[str, str], front: Path, script: Script) -> None:
    """Proves that a pulumi of PATH is neither linked nor kept from downloading plugins, and has its own launcher."""
    script(front / "pulumi", "echo v3.230.0")
    script(front / "pulumi-language-python", "exit 1")
    result = environment(base)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in result
    assert list(Path(result["PATH"].split(":")[1]).iterdir()) == []


def test_doing_it_twice_changes_nothing(base: dict[str, str], install: Install) -> None:
    """Proves that a shell that has the environment already gets the same, not a longer PATH."""
    install("pulumi")
    assert environment(environment(base)) == environment(base)


def test_a_new_program_gives_a_new_directory(base: dict[str, str], install: Install) -> None:
    """Proves that a directory that a shell already uses is never changed below it."""
    install("pulumi")
    before = Path(environment(base)["PATH"].split(":")[1])
    listing = sorted(before.iterdir())
    install("loki")
    result = environment({**base, "PATH": environment(base)["PATH"]})
    assert Path(result["PATH"].split(":")[1]) != before
    assert str(before) not in result["PATH"].split(":")
    assert sorted(before.iterdir()) == listing


def test_what_the_user_has_decided_stays(base: dict[str, str], install: Install) -> None:
    """Proves that a switch that is set already is not overruled."""
    install("pulumi")
    result = environment({**base, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false"})
    assert result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "false"
