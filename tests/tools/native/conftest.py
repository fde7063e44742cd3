"""What the tests of the native programs share: a cache of their own, a tiny real Go program, and shell scripts."""

import os
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from packaging.version import Version
from rich.console import Console

from tools.native import cache
from tools.native.progress import Step
from tools.native.recipes import GoModule, Group, Program
from tools.native.table import program_of
from tools.native.toolchain import Go, toolchain

HELLO = "golang.org/x/example/hello"
HELLO_VERSION = "v0.0.0-20250915201037-7f05d217867b"
HELLO_SUM = (
    f"{HELLO} {HELLO_VERSION} h1:+gZE2jOdiscYByu0606Uw8Ldir2Cecd39Vq/3IEasRA=\n"
    f"{HELLO} {HELLO_VERSION}/go.mod h1:UhUKOXx5fMcLZxwL20DUrWWBBoRYG9Jvc8FiwZhRHCI=\n"
)


@pytest.fixture(scope="session")
def go() -> Go:
    """Return the Go of this machine, installed as for any build where PATH has none."""
    return toolchain("the tests", Version("1.21"), Step("go", Console(stderr=True), bars=None))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go: Go) -> Path:
    """Give each test a cache of its own, and leave Go its usual one, which makes these builds quick."""
    environment = dict(go.environment)
    asked = [str(go.command), "env", "GOCACHE"]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    monkeypatch.setenv("GOCACHE", said.stdout.strip())
    monkeypatch.setenv("PATH", f"{go.command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "observability" / "native"


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty directory that is all of PATH but for the system's own tools."""
    directory = tmp_path / "front"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


@pytest.fixture
def script() -> Callable[[Path, str], Path]:
    """Return what writes a shell script that can be run."""

    def write(path: Path, text: str) -> Path:
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def words() -> StringIO:
    """Return where the words of the console go."""
    return StringIO()


@pytest.fixture
def console(words: StringIO) -> Console:
    """Return a console that is no terminal and keeps its words."""
    return Console(file=words, width=200)


@pytest.fixture
def hello(tmp_path: Path) -> Program:
    """Return a program that is really compiled from a real module of two packages."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    go_mod = f"module local/hello-build\n\ngo 1.19\n\nrequire {HELLO} {HELLO_VERSION}\n"
    (recipe / "go.mod").write_text(go_mod, encoding="utf-8")
    (recipe / "go.sum").write_text(HELLO_SUM, encoding="utf-8")
    return Program(
        name="tiny-hello",
        executables=("hello",),
        version="1.0.0",
        accepts=">=1,<2",
        group=Group.TESTS,
        source=GoModule(directory=recipe, module=HELLO, module_version=HELLO_VERSION, packages=(HELLO,)),
    )


@pytest.fixture
def install() -> Callable[[str], Path]:
    """Return what puts a shell script into the cache as the finished install of a row of the table."""

    def put(name: str) -> Path:
        program = program_of(name)
        with cache.locked(program.name, waiting=lambda: None) as directory, cache.workspace(directory) as work:
            (work / "bin").mkdir()
            for file in (*program.executables, *program.helpers):
                (work / "bin" / file).write_text("#!/bin/sh\n", encoding="utf-8")
                (work / "bin" / file).chmod(0o755)
            return cache.install(program, work / "bin", program.version).bin

    return put
