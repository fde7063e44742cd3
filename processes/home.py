"""Where a process stack lives on disk."""

import fcntl
import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from processes.errors import ProcessError

MARKER = "OBSERVABILITY_HOME"
"""Environment variable of every process of a stack: its home. What carries it was started by this stack, and only
that is ever ended by it."""

# A Unix socket's path has 108 bytes (unix(7)), and 104 on other systems.
_SOCKET_BYTES = 100


@dataclass(frozen=True, slots=True)
class Home:
    """A directory that holds everything of one stack; each workload has `<name>/{config,data,log}` below it."""

    path: Path

    def config(self, name: str) -> Path:
        """What a deployment replaces."""
        return self.path / name / "config"

    def data(self, name: str) -> Path:
        """What survives; the working directory of the program."""
        return self.path / name / "data"

    def log(self, name: str) -> Path:
        """The program's output, rotated."""
        return self.path / name / "log" / f"{name}.log"

    @property
    def registry(self) -> Path:
        """What applications register: `scrape/*.json`, `logs/<app>/*`."""
        return self.path / "registry"

    @property
    def supervision(self) -> Path:
        """Supervisor's own configuration, log and pid."""
        return self.path / "supervisor"

    @property
    def socket(self) -> Path:
        """Supervisor's control socket; elsewhere when the home's path is too long for one."""
        here = self.supervision / "supervisor.sock"
        if len(os.fsencode(here)) <= _SOCKET_BYTES:
            return here
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        # Not TMPDIR's: every command has to find the same socket, whatever that says.
        return Path("/tmp") / f"observability-{os.getuid()}" / f"{digest}.sock"  # noqa: S108

    def make(self) -> None:
        """Create what every stack has. Only its owner can read it.

        Raises ProcessError when the socket's directory, where that is one that all can write to, is not our own.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for directory in (
            self.path,
            self.supervision,
            self.supervision / "programs",
            self.registry,
            self.registry / "scrape",
            self.registry / "logs",
            self.socket.parent,
        ):
            directory.mkdir(exist_ok=True, mode=0o700)
        status = self.socket.parent.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise ProcessError(f"{self.socket.parent} is not a directory of yours (remove it)")
        self.socket.parent.chmod(0o700)

    @contextmanager
    def lock(self, name: str) -> Generator[None, None, None]:
        """One at a time, over threads and processes alike."""
        self.make()
        with (self.supervision / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def of_stack(stack: str) -> Home:
    """Home of a stack: `.state/<stack>` of the checkout, or below OBSERVABILITY_STATE when that is set. Where this is
    installed as a package, with no checkout around it, below the user's directory for data."""
    checkout = Path(__file__).resolve().parent.parent
    state = checkout / ".state" if (checkout / "Pulumi.yaml").exists() else user_data_path("observability")
    return Home(Path(os.environ.get("OBSERVABILITY_STATE") or state).resolve() / stack)
