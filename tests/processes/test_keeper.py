"""Supervisor does not stay dead, and what a dead one left behind is ended: only that."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from processes import keeper, supervision
from processes.home import MARKER, Home
from tests.processes.support import App, eventually


@contextmanager
def sleeping(home: Path | None, code: str = "") -> "Generator[subprocess.Popen[bytes]]":
    """Run a process that carries the mark of `home`, and says when it is ready."""
    marks = {} if home is None else {MARKER: str(home)}
    program = f"import signal, time\n{code}\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, **marks}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_only_marked_processes_of_this_home_are_ended(tmp_path: Path) -> None:
    """Proves that processes of another home, one whose path only begins the same, and unmarked ones stay."""
    home = Home(tmp_path / "one")
    with (
        sleeping(home.path) as ours,
        sleeping(tmp_path / "two") as theirs,
        sleeping(tmp_path / "one-more") as alike,
        sleeping(None) as unmarked,
    ):
        assert [process.pid for process in keeper.marked(home)] == [ours.pid]
        assert keeper.end_leftovers(home) == 1
        assert not psutil.pid_exists(ours.pid)
        assert [other.poll() for other in (theirs, alike, unmarked)] == [None, None, None]
        assert keeper.end_leftovers(home) == 0


def test_one_that_does_not_heed_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that nothing is left that holds a port, though it ignores being asked."""
    monkeypatch.setattr(keeper, "_PATIENCE", 0.3)
    with sleeping(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)") as deaf:
        assert keeper.end_leftovers(Home(tmp_path)) == 1
        assert not psutil.pid_exists(deaf.pid)


def test_programs_carry_the_mark(home: Home, app: App) -> None:
    """Proves that what supervisor runs is found as this home's, with what that starts, and supervisor is not."""
    supervision.start(home)
    (home.path / app.name / "config").mkdir(parents=True)
    home.config(app.name).joinpath("app.json").write_text("{}")
    supervision.run(home, app.name, app.command(), {})
    said = app.await_say()
    assert said["environment"][MARKER] == str(home.path)
    assert [process.pid for process in keeper.marked(home)] == [said["pid"]]


def test_a_killed_supervisor_is_replaced_and_its_program_started_anew(home: Home, app: App) -> None:
    """Proves that the keeper ends the orphan that holds the port and starts supervisor, which starts the program."""
    supervision.start(home)
    (home.path / app.name / "config").mkdir(parents=True)
    home.config(app.name).joinpath("app.json").write_text("{}")
    supervision.run(home, app.name, app.command(), {})
    before = app.await_say()["pid"]
    killed = keeper.supervisor(home)
    assert killed is not None
    killed.kill()
    after = eventually(lambda: (pid := app.say()["pid"]) != before and pid)
    assert not psutil.pid_exists(before)
    now = keeper.supervisor(home)
    assert now is not None
    assert now.pid != killed.pid
    assert psutil.Process(after).ppid() == now.pid
    assert "starting supervisor (1 left over)" in (home.supervision / "keeper.log").read_text()


def test_a_second_keeper_ends_at_once(home: Home) -> None:
    """Proves that a home has one keeper: another leaves the first, its pid and supervisor alone."""
    supervision.start(home)
    first, running = keeper.pid_of(home), keeper.supervisor(home)
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "processes.keeper", str(home.path)], check=False, timeout=20)
    assert done.returncode == 0
    assert time.monotonic() - started < 5
    assert keeper.pid_of(home) == first is not None
    assert keeper.supervisor(home) == running is not None


def test_a_glance_at_the_lock_does_not_keep_a_keeper_away(home: Home) -> None:
    """Proves that a keeper starts though somebody just asks whether there is one."""
    home.make()
    code = "import processes.keeper as k\nk._keep = lambda home: print('kept')\nk.main()"
    with (home.supervision / "keeper.lock").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-c", code, str(home.path)],
            stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            time.sleep(0.7)
            fcntl.flock(handle, fcntl.LOCK_UN)
            assert process.communicate(timeout=10)[0] == b"kept\n"


def test_the_pid_of_another_process_is_not_believed(tmp_path: Path) -> None:
    """Proves that a pid which a keeper of before a reboot left, now somebody else's, is taken for none."""
    home = Home(tmp_path / "home")
    home.make()
    with sleeping(None) as other:
        for file in ("keeper.pid", "supervisord.pid"):
            (home.supervision / file).write_text(str(other.pid))
        assert keeper.pid_of(home) is None
        assert keeper.supervisor(home) is None
        supervision.stop(home)
        assert other.poll() is None


def test_no_home_is_not_kept(tmp_path: Path) -> None:
    """Proves that asking of a home that is not there finds nothing, and makes nothing."""
    home = Home(tmp_path / "none")
    assert (keeper.is_kept(home), keeper.pid_of(home), keeper.supervisor(home), keeper.marked(home)) == (
        False,
        None,
        None,
        [],
    )
    assert not home.path.exists()
