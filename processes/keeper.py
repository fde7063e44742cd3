"""Keeps supervisor itself alive: the one process of a stack that nothing else watches, and so the simplest.

    python -m processes.keeper HOME

Supervisor restarts programs, but when it is killed outright its programs live on as orphans that hold their ports,
and a second supervisor could not start them. So the keeper ends what the dead one left behind, then starts anew.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from processes.home import MARKER, Home

_PATIENCE = 30.0
"""Seconds that a program has to end itself before it is killed."""


def marked(home: Home) -> list[psutil.Process]:
    """Every live process that this stack's supervisor started, and what those started."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARKER) == str(home.path):
                found.append(process)
        except psutil.Error:
            continue
    return found


def end_leftovers(home: Home) -> int:
    """End every process of the stack, kindly first; return how many there were."""
    left = marked(home)
    for process in left:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, stubborn = psutil.wait_procs(left, timeout=_PATIENCE)
    for process in stubborn:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(stubborn, timeout=5)
    return len(left)


def supervisor(home: Home) -> psutil.Process | None:
    """The supervisor of this stack, if it lives."""
    try:
        pid = int((home.supervision / "supervisord.pid").read_text())
        process = psutil.Process(pid)
        command = process.cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    ours = str(home.supervision / "supervisord.conf") in command and process.status() != psutil.STATUS_ZOMBIE
    return process if ours else None


def pid_of(home: Home) -> int | None:
    """Pid of the keeper of this home, if it lives. What an ended one left written is not believed."""
    try:
        process = psutil.Process(int((home.supervision / "keeper.pid").read_text()))
        ours = process.cmdline()[-3:] == ["-m", "processes.keeper", str(home.path)]
    except (OSError, ValueError, psutil.Error):
        return None
    return process.pid if ours else None


def is_kept(home: Home) -> bool:
    """Whether a keeper lives for this home."""
    try:
        with (home.supervision / "keeper.lock").open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _keep(home: Home) -> None:
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    child: subprocess.Popen[bytes] | None = None
    started = 0.0
    while not stopping:
        if supervisor(home) is None:
            if child is not None:
                child.wait()
            ended = end_leftovers(home)
            print(f"{time.strftime('%FT%TZ', time.gmtime())} starting supervisor ({ended} left over)", flush=True)
            # A supervisor that dies at once must not turn this into a busy loop.
            time.sleep(max(0.0, 2.0 - (time.monotonic() - started)))
            started = time.monotonic()
            child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "supervisor.supervisord",
                    "--nodaemon",
                    "-c",
                    str(home.supervision / "supervisord.conf"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                # Its configuration names everything from here.
                cwd=home.path,
            )
            _await_pid(home, child)
        elif child is not None:
            child.poll()
        time.sleep(0.5)
    running = supervisor(home)
    if running is not None:
        running.terminate()
        try:
            running.wait(timeout=_PATIENCE)
        except psutil.TimeoutExpired:
            running.kill()
    end_leftovers(home)


def _await_pid(home: Home, child: "subprocess.Popen[bytes]") -> None:
    """Until supervisor wrote its pid, or died."""
    for _ in range(100):
        if supervisor(home) is not None or child.poll() is not None:
            return
        time.sleep(0.1)


def _alone(handle: IO[str]) -> bool:
    """Take the lock, unless another keeper has it."""
    for _ in range(20):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Whoever asks `is_kept` holds it for a moment, too; that is no keeper.
            time.sleep(0.05)
        else:
            return True
    return False


def main() -> None:
    """Keep one home, once: a second keeper for the same home ends at once."""
    home = Home(Path(sys.argv[1]))
    with (home.supervision / "keeper.lock").open("a+") as handle:
        if not _alone(handle):
            return
        # The lock must not reach supervisor: it would outlive the keeper there.
        os.set_inheritable(handle.fileno(), False)
        (home.supervision / "keeper.pid").write_text(str(os.getpid()))
        _keep(home)


if __name__ == "__main__":
    main()
