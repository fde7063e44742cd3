"""A port that somebody else holds is named with its holder; one's own is no obstacle."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processes.errors import ProcessError
from processes.home import MARKER, Home
from processes.ports import refuse_busy
from tests.processes.support import free_port


@contextmanager
def holding(port: int, kind: str, home: Path) -> Generator[int]:
    """Run a process of a home that holds a port; yields its pid."""
    listen = "s.listen()" if kind == "tcp" else ""
    code = (
        f"import socket, time\ns = socket.socket(type=socket.{'SOCK_STREAM' if kind == 'tcp' else 'SOCK_DGRAM'})\n"
        f"s.bind(('127.0.0.1', {port}))\n{listen}\nprint(flush=True)\ntime.sleep(60)"
    )
    environment = {**os.environ, MARKER: str(home)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_busy_port_names_its_holder(tmp_path: Path, protocol: str) -> None:
    """Proves that port, protocol, workload, program and pid are said, and what to do; for TCP and UDP."""
    port = free_port(socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    with holding(port, protocol, tmp_path / "other") as pid:
        with pytest.raises(ProcessError) as problem:
            refuse_busy(Home(tmp_path / "mine"), [(port, protocol, "loki")], "end it")
        said = re.match(rf"port {port}/{protocol} of loki is held by (\S+) \(pid {pid}: \S*python", str(problem.value))
        assert said is not None
        assert said[1].startswith("python")
        assert str(problem.value).splitlines()[-1] == "end it"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_of_the_stack_itself_is_not_busy(tmp_path: Path, protocol: str) -> None:
    """Proves that a running stack can be brought up again."""
    port = free_port(socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    with holding(port, protocol, tmp_path):
        refuse_busy(Home(tmp_path), [(port, protocol, "loki")], "end it")


def test_the_other_protocol_is_another_port(tmp_path: Path) -> None:
    """Proves that a UDP port that is held leaves the TCP port of that number free, and the other way round."""
    port = free_port()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        refuse_busy(Home(tmp_path), [(port, "tcp", "loki")], "end it")
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        refuse_busy(Home(tmp_path), [(port, "udp", "loki")], "end it")


def test_a_connection_is_no_listener(tmp_path: Path) -> None:
    """Proves that a port which a connection goes out from is not taken for one that is listened on."""
    with socket.create_server(("127.0.0.1", free_port())) as server, socket.socket() as client:
        port = free_port()
        client.bind(("127.0.0.1", port))
        client.connect(server.getsockname())
        refuse_busy(Home(tmp_path), [(port, "tcp", "loki")], "end it")


def test_every_busy_port_is_named_at_once(tmp_path: Path) -> None:
    """Proves that nobody has to try again for each: all lines come together, the advice once."""
    with (
        socket.create_server(("127.0.0.1", free_port())) as one,
        socket.create_server(("127.0.0.1", free_port())) as two,
    ):
        ports = [server.getsockname()[1] for server in (one, two)]
        wanted = [(ports[0], "tcp", "loki"), (free_port(), "tcp", "jaeger"), (ports[1], "tcp", "prometheus")]
        with pytest.raises(ProcessError) as problem:
            refuse_busy(Home(tmp_path), wanted, "end it")
    lines = str(problem.value).splitlines()
    assert [line.partition(" is held by ")[0] for line in lines] == [
        f"port {ports[0]}/tcp of loki",
        f"port {ports[1]}/tcp of prometheus",
        "end it",
    ]


def test_a_free_port_is_no_problem(tmp_path: Path) -> None:
    """Proves that nothing is said of ports nobody has."""
    refuse_busy(Home(tmp_path), [(free_port(), "tcp", "loki"), (free_port(socket.SOCK_DGRAM), "udp", "jaeger")], "")
