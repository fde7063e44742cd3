"""The one place on this machine where a cluster can be, and who is in it."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster.network import LINK
from tests.cluster.node import CGROUP, remove_cgroups
from tests.kubernetes.control_plane import NotStartedError

PLACE = Path(tempfile.gettempdir()) / "observability-cluster"
KUBECONFIG = PLACE / "kubeconfig"
"""There once the cluster is ready; only the owner may read it."""
_LOCK = PLACE.with_suffix(".lock")
_NEEDED = ("ip", "unshare", "setpriv", "mount", "ldd")


@contextmanager
def claimed() -> Generator[Path]:
    """A directory for a cluster, empty but for `logs` of the cluster before, while nobody else has one.

    What a cluster left behind that was killed is ended and removed first. Raises NotStartedError for a machine on which
    none can be, or with who has one.
    """
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        why = f"{', '.join(missing)} must be installed" if missing else "namespaces and cgroups take root"
        raise NotStartedError(f"no cluster can run here: {why}")
    with _LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotStartedError(f"process {holder()} has a cluster: python -m tests.cluster down ends it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _clear()
        PLACE.mkdir(mode=0o755)
        try:
            yield PLACE
        finally:
            _clear()


def holder() -> int | None:
    """Id of the process that has the cluster; None when there is none."""
    try:
        with _LOCK.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0)
    except FileNotFoundError:
        pass
    return None


def _clear() -> None:
    """End what still runs in the place, and remove it. Only what was killed left anything."""
    for process in _processes():
        with suppress(ProcessLookupError):
            os.kill(int(process.name), signal.SIGKILL)
    subprocess.run(["ip", "link", "delete", LINK], check=False, capture_output=True)
    remove_cgroups()
    shutil.rmtree(PLACE, ignore_errors=True)


def leftovers() -> list[str]:
    """What of a cluster is still on this machine: links, cgroups, mounts, processes, files."""
    links = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    found = [line for line in links.splitlines() if LINK in line]
    found += [line for line in mounts.splitlines() if str(PLACE) in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*{CGROUP}")]
    found += [str(path) for path in [PLACE] if path.exists()]
    return found + [f"process {process.name}" for process in _processes()]


def _processes() -> list[Path]:
    """Who works in the place: everything that a cluster starts on the machine does."""
    found: list[Path] = []
    for process in Path("/proc").glob("[0-9]*"):
        # Processes end while they are looked at.
        with suppress(OSError):
            if PLACE in (process / "cwd").readlink().parents:
                found.append(process)
    return found
