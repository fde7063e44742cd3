"""Programs of a stack, run for a measurement from the very files that the stack has, and ended afterwards."""

import socket
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager

import psutil

from processes.home import Home
from processes.place import executable, is_healthy
from specs.stack import Stack
from tools.bench_report import BenchError

_READY_SECONDS = 60.0
_END_SECONDS = 30.0
_OFFSETS = range(16000, 40000, 100)


def free_offset(ports: Iterable[int]) -> int:
    """How far `ports` are shifted so that all of them are free. Raises BenchError when they never are."""
    wanted = tuple(ports)
    for offset in _OFFSETS:
        try:
            for port in wanted:
                with socket.create_server(("127.0.0.1", port + offset)):
                    pass
        except OSError:
            continue
        return offset
    raise BenchError("no free ports for the programs that are measured")


@contextmanager
def running(stack: Stack, name: str, home: Home) -> Generator[psutil.Process]:
    """Run the workload `name` of a process stack until it is healthy, and end it. Raises BenchError with its last words
    when it does not start."""
    workload = stack.workload(name)
    for path, text in workload.files.items():
        file = home.config(name) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    home.data(name).mkdir(parents=True, exist_ok=True)
    (home.registry / "scrape").mkdir(parents=True, exist_ok=True)
    said = home.path / f"{name}.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [str(executable(workload.program.binary)), *workload.args], cwd=home.data(name), stdout=log, stderr=log
        )
    try:
        port = workload.port(workload.probe.port).number
        probe = f"http://{stack.context.addresses.outside(name, port)}{workload.probe.path}"
        deadline = time.monotonic() + _READY_SECONDS
        while not is_healthy(probe):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{name} does not start\n{said.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
