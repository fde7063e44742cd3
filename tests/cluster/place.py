"""The places on this machine where a cluster can be, and who is in them."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups
from tests.kubernetes.control_plane import NotStartedError

_NEEDED = ("ip", "unshare", "nsenter", "setpriv", "mount", "ldd")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one cluster can be at a time."""

    name: str
    """Short: a network interface is called after it."""

    @property
    def directory(self) -> Path:
        """There while a cluster is."""
        return Path(tempfile.gettempdir()) / f"observability-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """There once a cluster that somebody asked for is ready; only the owner may read it."""
        return self.directory / "kubeconfig"

    @property
    def link(self) -> str:
        """The machine's end of the network link."""
        return f"obs-{self.name}"

    @property
    def cgroup(self) -> str:
        """Above every container, in each hierarchy."""
        return f"observability-{self.name}"

    @property
    def _lock(self) -> Path:
        return self.directory.with_suffix(".lock")

    @contextmanager
    def claimed(self) -> Generator[Path]:
        """The empty directory, while nobody else has the place.

        What a cluster left behind that was killed is ended and removed first. Raises NotStartedError for a machine on
        which none can be, or with who is here.
        """
        missing = [name for name in _NEEDED if shutil.which(name) is None]
        if os.geteuid() != 0 or missing:
            why = f"{', '.join(missing)} must be installed" if missing else "namespaces and cgroups take root"
            raise NotStartedError(f"no cluster can run here: {why}")
        with self._lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NotStartedError(f"process {self.holder()} has a cluster in {self.directory}") from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self._clear()
            self.directory.mkdir(mode=0o755)
            try:
                yield self.directory
            finally:
                self._keep_logs()
                self._clear()

    def holder(self) -> int | None:
        """Id of the process that has the place; None when nobody has."""
        try:
            with self._lock.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(lock.read() or 0)
        except FileNotFoundError:
            pass
        return None

    def leftovers(self) -> list[str]:
        """What of a cluster is still on this machine: links, cgroups, mounts, processes, files."""
        links = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
        found = [line for line in links.splitlines() if self.link in line]
        found += [line for line in mounts.splitlines() if str(self.directory) in line]
        found += [str(path) for path in Path("/sys/fs/cgroup").rglob(self.cgroup)]
        found += [str(path) for path in [self.directory] if path.exists()]
        return found + [f"process {process.name}" for process in self._processes()]

    def _keep_logs(self) -> None:
        """Keep what every program of the cluster said, pods' too, in the place of what is left of the one before."""
        kept = self.directory.with_suffix(".logs")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(mode=0o700)
        for log in self.directory.rglob("*.log"):
            if log.is_file() and not log.is_symlink():
                shutil.copyfile(log, kept / str(log.relative_to(self.directory)).replace("/", "_"))

    def _clear(self) -> None:
        """End what still runs here, and remove it. Only what was killed left anything."""
        for process in self._processes():
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        subprocess.run(["ip", "link", "delete", self.link], check=False, capture_output=True)
        cgroups.remove(self.cgroup)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _processes(self) -> list[Path]:
        """Who works here: everything that a cluster starts on the machine does."""
        found: list[Path] = []
        for process in Path("/proc").glob("[0-9]*"):
            # Processes end while they are looked at.
            with suppress(OSError):
                if self.directory in (process / "cwd").readlink().parents:
                    found.append(process)
        return found
