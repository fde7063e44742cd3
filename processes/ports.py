"""Who holds a port of this machine."""

import socket
from collections.abc import Iterable, Mapping

import psutil

from processes.errors import ProcessError
from processes.home import MARKER, Home


def holders() -> Mapping[tuple[int, str], int | None]:
    """Port and protocol → pid of its holder, None where that may not be known."""
    found: dict[tuple[int, str], int | None] = {}
    for connection in psutil.net_connections(kind="inet"):
        protocol = "tcp" if connection.type == socket.SOCK_STREAM else "udp"
        if connection.laddr and (protocol == "udp" or connection.status == psutil.CONN_LISTEN):
            found[(connection.laddr.port, protocol)] = connection.pid
    return found


def _is_own(home: Home, pid: int) -> bool:
    try:
        return psutil.Process(pid).environ().get(MARKER) == str(home.path)
    except psutil.Error:
        return False


def named(pid: int | None) -> str:
    """The program behind `pid`, for people."""
    if pid is None:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}: {' '.join(process.cmdline())[:120]})"
    except psutil.Error:
        return f"pid {pid}"


def refuse_busy(home: Home, wanted: Iterable[tuple[int, str, str]], advice: str) -> None:
    """Raise ProcessError naming every wanted (port, protocol, workload) that somebody else holds, and the holder."""
    held = holders()
    lines = [
        f"port {port}/{protocol} of {workload} is held by {named(held[(port, protocol)])}"
        for port, protocol, workload in wanted
        if (port, protocol) in held and not ((pid := held[(port, protocol)]) is not None and _is_own(home, pid))
    ]
    if lines:
        raise ProcessError("\n".join([*lines, advice]))
