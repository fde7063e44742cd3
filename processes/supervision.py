"""Supervisor, spoken to: start and end it, add and remove programs, ask for their state."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast

import psutil
from supervisor.xmlrpc import SupervisorTransport

from processes import keeper
from processes.errors import ProcessError
from processes.home import MARKER, Home

_START_SECONDS = 20.0
_STOP_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class State:
    """What supervisor says of a program."""

    name: str
    """STOPPED, STARTING, RUNNING, BACKOFF, EXITED, FATAL (supervisor's own words)."""
    pid: int
    """0 when there is none."""
    started: float
    """Unix time of the last start."""


def _conf(home: Home) -> str:
    # Supervisor is started in the home, and everything is named from there: a path of the user's may have characters
    # that these files give a meaning.
    own = home.socket.is_relative_to(home.path)
    socket = home.socket.relative_to(home.path) if own else home.socket
    return f"""[supervisord]
logfile = supervisor/supervisord.log
logfile_maxbytes = 5MB
logfile_backups = 1
pidfile = supervisor/supervisord.pid

[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = programs/*.conf
"""


def _rpc(home: Home) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{home.socket}")
    return cast("Any", xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)).supervisor


def is_running(home: Home) -> bool:
    """Whether supervisor answers."""
    try:
        return bool(_rpc(home).getState()["statename"] == "RUNNING")
    except (OSError, HTTPException, xmlrpc.client.Error):
        return False


def _environment() -> dict[str, str]:
    """What keeper, supervisor and all programs inherit: nothing of Pulumi, whose passphrase they need not know, and no
    mark of a stack that this may itself be started from."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_") and key != MARKER}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def start(home: Home) -> None:
    """Make sure that a keeper and its supervisor live. What is configured starts with it.

    Raises ProcessError when supervisor does not answer in time.
    """
    home.make()
    with home.lock("start"):
        conf = home.supervision / "supervisord.conf"
        if not conf.exists() or conf.read_text() != _conf(home):
            conf.write_text(_conf(home))
        if not keeper.is_kept(home):
            with (home.supervision / "keeper.log").open("a") as log:
                subprocess.Popen(
                    [sys.executable, "-m", "processes.keeper", str(home.path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    # The engine's own directory may be gone long before the keeper is.
                    cwd=home.path,
                    env=_environment(),
                )
        deadline = time.monotonic() + _START_SECONDS
        while not (keeper.is_kept(home) and is_running(home)):
            if time.monotonic() > deadline:
                said = tail(home.supervision / "supervisord.log")
                raise ProcessError(f"supervisor does not answer after {_START_SECONDS:.0f} s\n{said}")
            time.sleep(0.1)


def stop(home: Home) -> None:
    """End supervisor, its keeper and every process of the stack; nothing of it is left when this returns."""
    if is_running(home):
        # By itself supervisor would end one after the other.
        with contextlib.suppress(OSError, HTTPException, xmlrpc.client.Error):
            _rpc(home).stopAllProcesses(True)
    # The lock tells, not the pid: a keeper whose parent does not ask for its status keeps that as a zombie.
    deadline = time.monotonic() + _STOP_SECONDS
    asked: int | None = None
    while keeper.is_kept(home):
        # A keeper that just started may not have written its pid yet.
        pid = keeper.pid_of(home)
        if pid is not None and time.monotonic() > deadline:
            _signal(pid, signal.SIGKILL)
            break
        if pid is not None and pid != asked:
            _signal(pid, signal.SIGTERM)
            asked = pid
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    orphan = keeper.supervisor(home)
    if orphan is not None:
        _signal(orphan.pid, signal.SIGTERM)
        _, stubborn = psutil.wait_procs([orphan], timeout=60)
        for process in stubborn:
            _signal(process.pid, signal.SIGKILL)
    keeper.end_leftovers(home)
    home.socket.unlink(missing_ok=True)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _conf_of(home: Home, name: str) -> Path:
    return home.supervision / "programs" / f"{name}.conf"


def _script_of(home: Home, name: str) -> Path:
    return home.supervision / "programs" / f"{name}.sh"


def _section(name: str) -> str:
    """Supervisor's section for one program."""
    return f"""[program:{name}]
command = /bin/sh ../../supervisor/programs/{name}.sh
directory = {name}/data
umask = 077
autorestart = true
startsecs = 1
startretries = 1000000
stopwaitsecs = 30
killasgroup = true
redirect_stderr = true
stdout_logfile = {name}/log/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""


def script(home: Home, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """What starts a program: a shell script, since supervisor's own files cannot say every argument and value (its
    comments, its quotes and its % take no escape that would do in all places)."""
    exports = [f"export {key}={shlex.quote(value)}" for key, value in {**environment, MARKER: str(home.path)}.items()]
    return "\n".join([*exports, f"exec {shlex.join(command)}", ""])


def running_script(home: Home, name: str) -> str | None:
    """What started the program that runs; None when it does not run."""
    file = _script_of(home, name)
    return file.read_text(encoding="utf-8") if is_alive(home, name) and file.exists() else None


@contextlib.contextmanager
def _plainly(name: str) -> Generator[None]:
    """What goes wrong between us and supervisor, as a ProcessError."""
    try:
        yield
    except (OSError, HTTPException, xmlrpc.client.Error) as problem:
        raise ProcessError(f"{name}: supervisor does not do as asked: {problem}") from problem


def run(home: Home, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a program, or run it anew. The caller waits for its health. Raises ProcessError."""
    restore(home, name, script(home, command, environment))


def restore(home: Home, name: str, text: str) -> None:
    """Run a program, or run it anew, by a script that `running_script` gave. Raises ProcessError."""
    with _plainly(name):
        for directory in (home.data(name).parent, home.data(name), home.log(name).parent):
            directory.mkdir(exist_ok=True, mode=0o700)
        # Outside the lock, so that programs can stop side by side.
        _end(home, name)
        with home.lock("programs"):
            _conf_of(home, name).write_text(_section(name), encoding="utf-8")
            _script_of(home, name).write_text(text, encoding="utf-8")
            rpc = _rpc(home)
            rpc.reloadConfig()
            _remove(home, name)
            rpc.addProcessGroup(name)


def remove(home: Home, name: str) -> None:
    """Stop a program and forget it; its directories stay. Raises ProcessError."""
    with _plainly(name):
        _end(home, name)
        with home.lock("programs"):
            _conf_of(home, name).unlink(missing_ok=True)
            _script_of(home, name).unlink(missing_ok=True)
            if is_running(home):
                _rpc(home).reloadConfig()
                _remove(home, name)


@contextlib.contextmanager
def paused(home: Home, name: str) -> Generator[None]:
    """While this lasts the program does not run; afterwards it does again, if it did before. Raises ProcessError."""
    ran = is_alive(home, name)
    try:
        with _plainly(name):
            _end(home, name)
        yield
    finally:
        if ran:
            with _plainly(name):
                _begin(home, name)


def is_alive(home: Home, name: str) -> bool:
    """Whether a program runs, or is about to."""
    found = state(home, name)
    return found is not None and found.name in ("RUNNING", "STARTING", "BACKOFF")


def _begin(home: Home, name: str) -> None:
    # Who was interrupted while it stopped: until it has, it cannot be started.
    deadline = time.monotonic() + _STOP_SECONDS
    while (found := state(home, name)) and found.name == "STOPPING" and time.monotonic() < deadline:
        time.sleep(0.1)
    if not is_alive(home, name):
        _rpc(home).startProcess(name, True)


def _end(home: Home, name: str) -> None:
    if is_alive(home, name):
        # It may die by itself between question and order.
        with contextlib.suppress(xmlrpc.client.Fault):
            _rpc(home).stopProcess(name, True)


def _remove(home: Home, name: str) -> None:
    for attempt in range(5):
        if state(home, name) is None:
            return
        try:
            _rpc(home).stopProcessGroup(name, True)
            _rpc(home).removeProcessGroup(name)
        except xmlrpc.client.Fault:
            # One that died by itself is started anew between the two.
            if attempt == 4:
                raise
            time.sleep(0.2)


def state(home: Home, name: str) -> State | None:
    """State of a program; None when supervisor does not know it or is not there."""
    try:
        info = cast("Mapping[str, Any]", _rpc(home).getProcessInfo(name))
    except (OSError, HTTPException, xmlrpc.client.Error):
        return None
    return State(name=str(info["statename"]), pid=int(info["pid"]), started=float(info["start"]))


def tail(path: os.PathLike[str] | str, lines: int = 15) -> str:
    """The last lines of a log, or nothing."""
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:]).rstrip()
    except OSError:
        return ""
