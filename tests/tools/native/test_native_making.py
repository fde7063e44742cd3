"""What is missing is built for real, once, and completely or not at all."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tools.native import NativeError, cache
from tools.native.making import ensure_programs
from tools.native.recipes import GoModule, Program

REPOSITORY = Path(__file__).parents[3]
RUN = """
import pickle, sys
from pathlib import Path
from rich.console import Console
from tools.native.making import ensure_programs
program = pickle.loads(Path(sys.argv[1]).read_bytes())
print(ensure_programs([program], Console(stderr=True))["hello"].path)
"""


def module(program: Program) -> GoModule:
    """Return the source of a program that is a Go module."""
    assert isinstance(program.source, GoModule)
    return program.source


def in_another_process(program: Program, place: Path, path: str) -> subprocess.Popen[str]:
    """Start another process that ensures a program."""
    (pickled := place / "program").write_bytes(pickle.dumps(program))
    return subprocess.Popen(
        [sys.executable, "-c", RUN, pickled],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def slow_go(tmp_path: Path, script: Callable[[Path, str], Path]) -> Path:
    """Return a directory with a go that notes each build and takes its time before it does it."""
    (directory := tmp_path / "slow").mkdir()
    real = shutil.which("go")
    note = f'echo $$ >> {directory}/builds; sleep "$(cat {directory}/seconds)"'
    text = f'[ "$1" != build ] || {{ {note}; }}\nexec {real} "$@"'
    script(directory / "go", text)
    (directory / "seconds").write_text("1")
    return directory


def test_a_program_is_built_into_its_place(hello: Program, console: Console, words: StringIO, own_cache: Path) -> None:
    """Proves the layout of the cache, that the executable runs, and that nothing else is left there."""
    found = ensure_programs([hello], console)["hello"]
    directory = own_cache / "tiny-hello" / f"1.0.0-{cache.fingerprint(hello)}"
    assert (found.path, found.version, found.origin) == (directory / "bin" / "hello", "1.0.0", "cache")
    assert subprocess.run([found.path], capture_output=True, text=True, check=True).stdout == "Hello, world!\n"
    assert sorted(entry.name for entry in directory.parent.iterdir()) == [".lock", directory.name]
    first, started, ended = words.getvalue().splitlines()
    assert first.startswith("1 native program to make: tiny-hello 1.0.0: about 1 minute on ")
    assert started == "tiny-hello 1.0.0: started"
    assert ended.startswith("tiny-hello 1.0.0: made in ")


def test_what_is_there_is_not_built_again(hello: Program, console: Console, words: StringIO) -> None:
    """Proves that a second run says nothing and does nothing."""
    first = ensure_programs([hello], console)
    words.truncate(0)
    words.seek(0)
    assert ensure_programs([hello], console) == first
    assert words.getvalue() == ""


def test_another_recipe_is_another_install(hello: Program, console: Console) -> None:
    """Proves that a changed recipe is built anew, beside what an older checkout may still use."""
    before = ensure_programs([hello], console)["hello"].path
    changed = replace(hello, source=replace(module(hello), tags=("some",)))
    after = ensure_programs([changed], console)["hello"].path
    assert before != after
    assert before.exists()


def test_the_checkout_is_not_written(hello: Program, console: Console) -> None:
    """Proves that go, which likes to rewrite go.mod and go.sum, works on copies."""
    recipe = module(hello).directory
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in recipe.iterdir()}
    ensure_programs([hello], console)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in recipe.iterdir()} == before


def test_a_version_that_does_not_exist_is_told(hello: Program, console: Console, own_cache: Path) -> None:
    """Proves that the error has the program, go's words and what to do, and that nothing is installed."""
    go_mod = module(hello).directory / "go.mod"
    go_mod.write_text(go_mod.read_text().replace("20250915201037-7f05d217867b", "20990101000000-000000000000"))
    with pytest.raises(NativeError) as caught:
        ensure_programs([hello], console)
    first, *words, remedy = str(caught.value).splitlines()
    assert first == "tiny-hello: go fails:"
    assert "golang.org/x/example/hello" in "".join(words)
    assert remedy.startswith("  What to do: ")
    assert [entry.name for entry in (own_cache / "tiny-hello").iterdir()] == [".lock"]


def test_code_that_does_not_compile_is_told(hello: Program, console: Console, own_cache: Path) -> None:
    """Proves that the compiler's words are in the error, with the place."""
    # A page in place of Go code: the same way by which a missing web page is put into a module.
    recipe = module(hello).directory
    with (recipe / "go.mod").open("a") as file:
        file.write(f"\nreplace {module(hello).module} => ./src\n")
    broken = replace(hello, source=replace(module(hello), placeholders=("reverse/broken.go",)))
    with pytest.raises(NativeError, match=r"(?s)tiny-hello: go fails:.*broken\.go:1:1.*What to do: ") as caught:
        ensure_programs([broken], console)
    assert "Traceback" not in str(caught.value)
    assert [entry.name for entry in (own_cache / "tiny-hello").iterdir()] == [".lock"]


def test_a_wrong_checksum_is_refused(hello: Program, console: Console) -> None:
    """Proves that go.sum is the guarantee: what was downloaded and does not match it is not compiled."""
    go_sum = module(hello).directory / "go.sum"
    go_sum.write_text(go_sum.read_text().replace("+gZE2jOdiscYByu0606Uw8", "+gZE2jOdiscYByu0606Uw9"))
    with pytest.raises(NativeError, match=r"(?s)tiny-hello: .*checksum mismatch.*do not edit go\.sum"):
        ensure_programs([hello], console)


def test_a_missing_checksum_is_refused(hello: Program, console: Console) -> None:
    """Proves that go may not add to go.sum by itself what the committed one does not have."""
    (module(hello).directory / "go.sum").write_text("")
    with pytest.raises(NativeError, match=r"tiny-hello: .*go\.sum does not hold the checksums of all"):
        ensure_programs([hello], console)


def test_an_executable_that_the_build_does_not_give_is_told(hello: Program, console: Console) -> None:
    """Proves that a wrong row of the table is not installed."""
    with pytest.raises(NativeError, match="tiny-hello: the build did not give hallo"):
        ensure_programs([replace(hello, executables=("hello", "hallo"))], console)


def test_two_runs_build_once(hello: Program, tmp_path: Path, slow_go: Path) -> None:
    """Proves that of two processes one builds, and the other says it waits and then has the same."""
    path = f"{slow_go}:{os.environ['PATH']}"
    runs = [in_another_process(hello, tmp_path, path) for _ in range(2)]
    said = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert len((slow_go / "builds").read_text().splitlines()) == 1
    assert len({output for output, _ in said}) == 1
    waited = [errors for _, errors in said if "tiny-hello 1.0.0: waiting for another run that is making it" in errors]
    assert len(waited) == 1
    assert "tiny-hello 1.0.0: made by another run meanwhile" in waited[0]


def test_an_interrupt_leaves_nothing_broken(hello: Program, tmp_path: Path, slow_go: Path, own_cache: Path) -> None:
    """Proves that after Ctrl-C go is gone, nothing is half installed, and the next run succeeds."""
    (slow_go / "seconds").write_text("60")
    run = in_another_process(hello, tmp_path, f"{slow_go}:{os.environ['PATH']}")
    deadline = time.monotonic() + 30
    while not (slow_go / "builds").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    go = int((slow_go / "builds").read_text())
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=50)
    assert run.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.kill(go, 0)
    assert [entry.name for entry in (own_cache / "tiny-hello").iterdir()] == [".lock"]
    (slow_go / "seconds").write_text("0")
    again = in_another_process(hello, tmp_path, f"{slow_go}:{os.environ['PATH']}")
    output, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert Path(output.strip()).is_file()


def test_what_a_killed_run_left_is_cleared(hello: Program, console: Console, own_cache: Path) -> None:
    """Proves that a run that could not clean up (killed, power cut) is cleaned up after."""
    left = own_cache / "tiny-hello" / f"{cache.UNFINISHED}abc" / "bin"
    left.mkdir(parents=True)
    (left / "hello").write_text("half")
    found = ensure_programs([hello], console)["hello"]
    assert not left.exists()
    assert found.path.stat().st_size > 1000
