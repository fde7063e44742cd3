"""Supervisor, spoken to: start and end it, add and remove programs, ask for their state."""

import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast

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
    # `%` starts an expansion in supervisor's files.
    here = str(home.supervision).replace("%", "%%")
    return f"""[supervisord]
logfile = {here}/supervisord.log
logfile_maxbytes = 5MB
logfile_backups = 1
pidfile = {here}/supervisord.pid
umask = 077
environment = {MARKER}={_quoted(str(home.path))}

[unix_http_server]
file = {str(home.socket).replace("%", "%%")}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = {here}/programs/*.conf
"""


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _rpc(home: Home) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{home.socket}")
    return cast("Any", xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)).supervisor


def is_running(home: Home) -> bool:
    """Whether supervisor answers."""
    try:
        return bool(_rpc(home).getState()["statename"] == "RUNNING")
    except (OSError, HTTPException, xmlrpc.client.Error):
        return False


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
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                )
        deadline = time.monotonic() + _START_SECONDS
        while not (keeper.is_kept(home) and is_running(home)):
            if time.monotonic() > deadline:
                said = tail(home.supervision / "supervisord.log")
                raise ProcessError(f"supervisor does not answer after {_START_SECONDS:.0f} s\n{said}")
            time.sleep(0.1)


def stop(home: Home) -> None:
    """End supervisor, its keeper and every process of the stack; nothing of it is left when this returns."""
    if keeper.is_kept(home):
        pid = int((home.supervision / "keeper.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        # The lock tells, not the pid: a keeper whose parent does not ask for its status keeps that as a zombie.
        deadline = time.monotonic() + _STOP_SECONDS
        while keeper.is_kept(home):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.1)
    orphan = keeper.supervisor(home)
    if orphan is not None:
        orphan.terminate()
        orphan.wait(timeout=60)
    keeper.end_leftovers(home)
    home.socket.unlink(missing_ok=True)


def program_conf(home: Home, name: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Supervisor's section for one program."""
    pairs = ",".join(f"{key}={_quoted(value)}" for key, value in environment.items())
    return f"""[program:{name}]
command = {shlex.join(command).replace("%", "%%")}
directory = {str(home.data(name)).replace("%", "%%")}
environment = {pairs}
autorestart = true
startsecs = 1
startretries = 1000000
stopwaitsecs = 30
killasgroup = true
redirect_stderr = true
stdout_logfile = {str(home.log(name)).replace("%", "%%")}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""


def run(home: Home, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a program, or run it anew with another command. The caller waits for its health."""
    conf = home.supervision / "programs" / f"{name}.conf"
    text = program_conf(home, name, command, environment)
    with home.lock("programs"):
        same = conf.exists() and conf.read_text() == text
        conf.write_text(text)
        rpc = _rpc(home)
        if same and state(home, name) is not None:
            if _is_alive(home, name):
                rpc.stopProcess(name, True)
            rpc.startProcess(name, False)
            return
        rpc.reloadConfig()
        _remove(home, name)
        rpc.addProcessGroup(name)


def restore(home: Home, name: str, conf: str) -> None:
    """Run a program again as `conf`, an earlier section of it, says."""
    with home.lock("programs"):
        (home.supervision / "programs" / f"{name}.conf").write_text(conf)
        rpc = _rpc(home)
        rpc.reloadConfig()
        _remove(home, name)
        rpc.addProcessGroup(name)


def remove(home: Home, name: str) -> None:
    """Stop a program and forget it; its directories stay."""
    if _is_alive(home, name):
        # Outside the lock, so that programs can stop side by side.
        _rpc(home).stopProcess(name, True)
    with home.lock("programs"):
        (home.supervision / "programs" / f"{name}.conf").unlink(missing_ok=True)
        if is_running(home):
            _rpc(home).reloadConfig()
            _remove(home, name)


def _is_alive(home: Home, name: str) -> bool:
    found = state(home, name)
    return found is not None and found.name in ("RUNNING", "STARTING", "BACKOFF")


def _remove(home: Home, name: str) -> None:
    if state(home, name) is None:
        return
    rpc = _rpc(home)
    rpc.stopProcessGroup(name, True)
    rpc.removeProcessGroup(name)


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
