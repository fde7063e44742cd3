"""Programs out of Debian packages: downloaded and unpacked, never installed, so no root and no service started."""

import os
import shutil
from pathlib import Path

from tools.native import cache, probe
from tools.native.errors import NativeError
from tools.native.progress import Step
from tools.native.recipes import DebianPackage, Program
from tools.native.running import Finished, run


def unpack(program: Program, source: DebianPackage, work: Path, step: Step) -> tuple[Path, str]:
    """Download and unpack a package in an empty directory; return the directory of the executable and the version."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NativeError(
                program.name,
                f"it comes out of the Debian package {source.package}, and this system has no {tool}",
                remedy=f"install {program.name} {program.accepts} in another way, so that PATH has it",
            )
    apt = _Apt(program, source, work, step)
    step.phase("looking for the package")
    version = apt.candidate() or apt.update_and_look()
    upstream = version.rpartition(":")[2].partition("-")[0].partition("+")[0]
    if not probe.accepted(program, upstream):
        raise NativeError(
            program.name,
            f"the Debian package {source.package} is {version}, wanted is {program.accepts}",
            remedy=f"install {program.name} {program.version} in another way, so that PATH has it",
        )
    step.phase(f"downloading the package {source.package} {version}")
    apt.download(version)
    package = next(work.glob("*.deb"))
    apt.run_or_fail("dpkg-deb", "-x", str(package), "unpacked")
    made = work / "bin"
    made.mkdir()
    (work / "unpacked" / "usr" / "bin" / source.binary).rename(made / program.executables[0])
    return made, version


class _Apt:
    def __init__(self, program: Program, source: DebianPackage, work: Path, step: Step) -> None:
        self._program = program
        self._package = source.package
        self._work = work
        self._step = step

    def candidate(self) -> str | None:
        """Return the version that apt would download."""
        for line in self._run("apt-cache", "policy", self._package).output.splitlines():
            word, _, version = line.strip().partition(": ")
            if word == "Candidate" and version != "(none)":
                return version
        return None

    def update_and_look(self) -> str:
        """Fetch the lists of packages, then return the version that apt would download."""
        self._update("apt has no package of this name in its lists")
        version = self.candidate()
        if version is None:
            raise NativeError(
                self._program.name,
                f"apt has no package {self._package}, not even after apt-get update",
                remedy=f"install {self._program.name} {self._program.accepts} in another way, so that PATH has it",
            )
        return version

    def download(self, version: str) -> None:
        """Download the package; lists that are too old name files that are gone, so once more with new ones."""
        # As root apt downloads as its own user, which may not write here.
        command = ("apt-get", "-o", "APT::Sandbox::User=root", "download", f"{self._package}={version}")
        if self._run(*command).code != 0:
            self._update("the package cannot be downloaded")
            self.run_or_fail(*command)

    def run_or_fail(self, *command: str) -> None:
        """Run a command, and fail with its words."""
        done = self._run(*command)
        if done.code != 0:
            raise NativeError(
                self._program.name,
                f"{' '.join(command)} fails:\n    " + "\n    ".join(done.errors[-6:]),
                remedy=f"see the words above, or install {self._package} by hand",
            )

    def _update(self, why: str) -> None:
        prefix: tuple[str, ...] = ()
        if os.geteuid() != 0:
            prefix = ("sudo", "-n")
            if shutil.which("sudo") is None or self._run("sudo", "-n", "true").code != 0:
                raise NativeError(self._program.name, why, remedy="run `sudo apt-get update`, then this again")
        # One at a time: apt refuses a second one instead of waiting.
        with cache.locked("apt", waiting=lambda: self._step.phase("waiting for another apt-get update")):
            self._step.phase("apt-get update")
            self.run_or_fail(*prefix, "apt-get", "update", "--quiet")

    def _run(self, *command: str) -> Finished:
        return run(
            command,
            directory=self._work,
            environment={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            heard=lambda _: None,
            tick=self._step.tick,
        )
