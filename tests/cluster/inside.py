"""The first process of the node, in namespaces of its own: `python -m tests.cluster.inside <file>`.

With it everything ends that it started and mounted, however it ends: the kernel sees to that. What it may not have of
its own (cgroups, sysctls of the whole machine) is in the hands of `tests.cluster.node`, or not touched.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SYSCTLS = {
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
"""What kubelet would set for the whole machine. It finds it as it wants it, in files that it may write to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the node is made of."""

    directory: str
    """Where it may write."""
    interface: str
    """Its network interface, put into its namespace by somebody else."""
    address: str
    """Its address, with the length of the network's prefix."""
    gateway: str
    """Who has everything that is not in it."""
    covered: Mapping[str, str]
    """Directories of the machine, and what the node has in their place; what it writes below is gone with it."""
    programs: Mapping[str, Sequence[str]]
    """Commands by name, in the order they are started; what each says is in `<name>.log`."""
    sockets: Mapping[str, str]
    """What a program listens on when the next one may start."""
    path: str
    """Where programs look for others."""


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def _prepare(plan: Plan) -> None:
    directory = Path(plan.directory)
    # Pods ask for mounts that follow the node's; the machine's own get nothing of it.
    _run("mount", "--make-rshared", "/")
    for place, kept in plan.covered.items():
        upper, work = Path(kept), Path(f"{kept}.work")
        upper.mkdir(parents=True)
        work.mkdir()
        _run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", place)
    for name, value in _SYSCTLS.items():
        file = directory / "sysctls" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n", encoding="utf-8")
        _run("mount", "--bind", file, Path("/proc/sys") / name)
    _run("ip", "link", "set", "lo", "up")
    while subprocess.run(["ip", "link", "show", plan.interface], capture_output=True, check=False).returncode != 0:
        time.sleep(0.05)
    _run("ip", "address", "add", plan.address, "dev", plan.interface)
    _run("ip", "link", "set", plan.interface, "up")
    _run("ip", "route", "add", "default", "via", plan.gateway)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")


def _start(plan: Plan) -> dict[int, str]:
    started: dict[int, str] = {}
    environment = {**os.environ, "PATH": plan.path}
    for name, command in plan.programs.items():
        with (Path(plan.directory) / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=plan.directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        started[process.pid] = name
        while name in plan.sockets and not Path(plan.sockets[name]).exists():
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with {process.returncode}")
            time.sleep(0.05)
    return started


def main() -> None:
    """Set the node up and keep it until one of its programs ends."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    _prepare(plan)
    started = _start(plan)
    while True:
        # Orphans of the whole node come here, too.
        ended, status = os.wait()
        if ended in started:
            raise SystemExit(f"{started[ended]} ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
