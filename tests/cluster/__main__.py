"""A cluster to try things on: `python -m tests.cluster up`, `kubeconfig`, `down`. Needs root; ends after some hours."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.cluster.cluster import Cluster
from tests.cluster.place import Place
from tests.kubernetes.control_plane import NotStartedError

_PLACE = Place("cluster")
_UP_SECONDS = 240
_DOWN_SECONDS = 90
_LOG = Path(tempfile.gettempdir()) / "observability-cluster.log"


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _serve(hours: float) -> int:
    signal.signal(signal.SIGTERM, _end)
    until = time.monotonic() + hours * 3600
    try:
        with _PLACE.claimed(), Cluster.running(_PLACE) as cluster:
            # In one step: whoever waits for it reads all of it.
            shutil.copy(cluster.control.kubeconfig(), made := _PLACE.directory / "kubeconfig.new")
            made.rename(_PLACE.kubeconfig)
            while time.monotonic() < until and Path(f"/proc/{cluster.first}").exists():
                time.sleep(1)
    except NotStartedError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _up(hours: float) -> int:
    if _PLACE.holder() is None:
        # One that was killed left its own.
        _PLACE.kubeconfig.unlink(missing_ok=True)
        with _LOG.open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster", "serve", "--hours", str(hours)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _UP_SECONDS
        while not _PLACE.kubeconfig.exists() or _PLACE.holder() != server.pid:
            if server.poll() is not None or time.monotonic() > deadline:
                print(f"the cluster did not start:\n{_LOG.read_text(encoding='utf-8')[-4000:]}", file=sys.stderr)
                server.terminate()
                return 1
            time.sleep(0.2)
    return _kubeconfig()


def _kubeconfig() -> int:
    if _PLACE.holder() is None or not _PLACE.kubeconfig.exists():
        print("there is no cluster (python -m tests.cluster up)", file=sys.stderr)
        return 1
    print(_PLACE.kubeconfig)
    return 0


def _down() -> int:
    process = _PLACE.holder()
    if process is None:
        return 0
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    while _PLACE.holder() is not None:
        if time.monotonic() > deadline:
            print(f"process {process} does not end", file=sys.stderr)
            return 1
        time.sleep(0.2)
    return 0


def main() -> int:
    """Do what the command line says; the exit code says whether it was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=("up", "kubeconfig", "down", "serve"))
    parser.add_argument("--hours", type=float, default=4.0, help="after which the cluster ends by itself")
    given = parser.parse_args()
    match given.command:
        case "up":
            return _up(given.hours)
        case "serve":
            return _serve(given.hours)
        case "down":
            return _down()
        case _:
            return _kubeconfig()


if __name__ == "__main__":
    sys.exit(main())
