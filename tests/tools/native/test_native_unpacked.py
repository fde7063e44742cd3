"""Programs that are downloaded with their surroundings: Debian packages with libraries, and packages of npm."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tools.native import NativeError
from tools.native.making import ensure_programs
from tools.native.npm import MODULES
from tools.native.recipes import DebianTree, Group, NpmPackages, Program
from tools.native.table import PROGRAMS

CLI = "process.stdout.write('tiny ' + process.argv.slice(2).join(' '))"
MAKES = f"mkdir -p {MODULES}/tiny && cat > {MODULES}/tiny/cli.js <<'END'\n{CLI}\nEND\necho \"$@\" > {MODULES}/asked"


@pytest.fixture
def tiny(tmp_path: Path) -> Program:
    """Return a program of npm."""
    (recipe := tmp_path / "recipe").mkdir()
    for name in ("package.json", "package-lock.json"):
        (recipe / name).write_text("{}", encoding="utf-8")
    return Program(
        name="tiny",
        executables=("observability-tiny",),
        version="1.0.0",
        accepts="==1.0.0",
        group=Group.TESTS,
        source=NpmPackages(directory=recipe, script="tiny/cli.js"),
    )


def test_a_program_of_npm_runs_with_what_its_lock_file_names(
    tiny: Program, front: Path, script: Callable[[Path, str], Path], console: Console
) -> None:
    """Proves that npm installs by the lock file and runs no script of a package, and that Node.js runs the program."""
    script(front / "npm", MAKES)
    script(front / "node", 'echo "node runs $@"')

    found = ensure_programs([tiny], console)["observability-tiny"]

    said = subprocess.run([found.path, "--flag"], capture_output=True, text=True, check=True).stdout
    assert said == f"node runs {found.path.parent}/{MODULES}/tiny/cli.js --flag\n"
    assert found.path.with_name("package-lock.json").is_file()
    asked = found.path.with_name(MODULES).joinpath("asked").read_text(encoding="utf-8").split()
    assert (asked[0], "--ignore-scripts" in asked) == ("ci", True)


def test_a_program_of_npm_without_npm(
    tiny: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    """Proves that a system without Node.js is told what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NativeError, match=r"(?s)tiny: .* this system has no node\n.*Node\.js 20 or newer"):
        ensure_programs([tiny], console)


def test_what_npm_refuses_is_said_in_its_words(
    tiny: Program, front: Path, script: Callable[[Path, str], Path], console: Console
) -> None:
    """Proves that a package whose hash is wrong is no program, and that the reason is npm's own."""
    script(front / "node", "")
    script(front / "npm", "echo 'npm error code EINTEGRITY' >&2; exit 1")
    with pytest.raises(NativeError, match="npm ci fails:\n    npm error code EINTEGRITY"):
        ensure_programs([tiny], console)


@pytest.mark.parametrize(
    "source", [pytest.param(each.source, id=each.name) for each in PROGRAMS if isinstance(each.source, NpmPackages)]
)
def test_lock_files_pin_every_package_by_hash(source: NpmPackages) -> None:
    """Proves that what is installed is what was looked at, and that no registry's address is committed."""
    lock = json.loads((source.directory / "package-lock.json").read_text(encoding="utf-8"))
    asked = json.loads((source.directory / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = {name: package for name, package in lock.pop("packages").items() if name}

    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked} == asked


def test_a_debian_package_runs_where_it_was_unpacked(console: Console) -> None:
    """Proves that a real package is downloaded at the version that apt has, and runs without being installed."""
    program = Program(
        name="tiny-hello",
        executables=("greet",),
        version="2.10",
        accepts=">=2",
        group=Group.TESTS,
        source=DebianTree(packages=("hello",), binary="usr/bin/hello"),
    )

    found = ensure_programs([program], console)["greet"]

    said = subprocess.run([found.path, "--greeting=it runs"], capture_output=True, text=True, check=True).stdout
    assert said == "it runs\n"
    assert found.version.startswith("2.")
    assert not Path("/usr/bin/hello").exists()


def test_a_debian_package_that_is_not_there(console: Console) -> None:
    """Proves that a name that no list has is an error in words."""
    source = DebianTree(packages=("no-such-package-anywhere",), binary="usr/bin/x")
    program = Program(name="x", executables=("x",), version="1", accepts=">=1", group=Group.TESTS, source=source)
    with pytest.raises(NativeError, match="apt has no package no-such-package-anywhere, not even after apt-get update"):
        ensure_programs([program], console)
