"""Programs out of Debian packages: downloaded and unpacked, never installed, so no root and no service started."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.native import cache, probe
from tools.native.errors import NativeError
from tools.native.progress import Step
from tools.native.recipes import DebianPackage, DebianTree, Program
from tools.native.running import Finished, run


def unpack(program: Program, source: DebianPackage, work: Path, step: Step) -> tuple[Path, str]:
    """Download and unpack a package in an empty directory; return the directory of the executable and the version."""
    apt = _Apt(program, source.package, work, step)
    version = apt.accepted_version()
    step.phase(f"downloading the package {source.package} {version}")
    apt.download({source.package: version})
    package = next(work.glob("*.deb"))
    apt.run_or_fail("dpkg-deb", "-x", str(package), "unpacked")
    made = work / "bin"
    made.mkdir()
    (work / "unpacked" / "usr" / "bin" / source.binary).rename(made / program.executables[0])
    return made, version


_STARTER = """#!/bin/sh
# Unpacked, not installed: its libraries are beside it, and its fonts where the system has none.
root="$(dirname "$(readlink -f "$0")")/root"
for libraries in "$root"/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu/pulseaudio; do
  LD_LIBRARY_PATH="$libraries:$LD_LIBRARY_PATH"
done
export LD_LIBRARY_PATH
if [ -d "$root/etc/fonts" ]; then
  export FONTCONFIG_PATH="$root/etc/fonts" XDG_DATA_HOME="$root/usr/share"
fi
exec "$root/{binary}" "$@"
"""


def unpack_tree(program: Program, source: DebianTree, work: Path, step: Step) -> tuple[Path, str]:
    """Download and unpack packages, and what they need and this system lacks, in an empty directory; return the
    directory of the script that starts the program, and the version."""
    apt = _Apt(program, source.packages[0], work, step)
    version = apt.accepted_version()
    lacking = apt.lacking(source.packages)
    step.phase(f"downloading {source.packages[0]} {version} and {len(lacking) - 1} packages that it needs")
    apt.download(lacking)
    (root := work / "bin" / "root").mkdir(parents=True)
    step.phase("unpacking")
    for package in sorted(work.glob("*.deb")):
        apt.run_or_fail("dpkg-deb", "-x", str(package), str(root))
    starter = work / "bin" / program.executables[0]
    starter.write_text(_STARTER.replace("{binary}", source.binary), encoding="utf-8")
    starter.chmod(0o755)
    return work / "bin", version


class _Apt:
    def __init__(self, program: Program, package: str, work: Path, step: Step) -> None:
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise NativeError(
                    program.name,
                    f"it comes out of the Debian package {package}, and this system has no {tool}",
                    remedy=f"install {program.name} {program.accepts} in another way, so that PATH has it",
                )
        self._program = program
        self._package = package
        self._work = work
        self._step = step

    def accepted_version(self) -> str:
        """Return the version of the package that apt would download; fail when it will not do."""
        self._step.phase("looking for the package")
        version = self.candidate() or self.update_and_look()
        upstream = version.rpartition(":")[2].partition("-")[0].partition("+")[0]
        if not probe.accepted(self._program, upstream):
            raise NativeError(
                self._program.name,
                f"the Debian package {self._package} is {version}, wanted is {self._program.accepts}",
                remedy=f"install {self._program.name} {self._program.version} in another way, so that PATH has it",
            )
        return version

    def lacking(self, packages: Sequence[str]) -> Mapping[str, str]:
        """Return the versions of `packages`, and of all that an installation of them would bring along."""
        # What is installed is not downloaded again, but for the packages themselves.
        asked = ("apt-get", "install", "--simulate", "--reinstall", "--no-install-recommends", *packages)
        said = self._run(*asked)
        if said.code != 0:
            self._update("apt does not find all that it needs")
            said = self.run_or_fail(*asked)
        return dict(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", said.output, re.MULTILINE))

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

    def download(self, packages: Mapping[str, str]) -> None:
        """Download packages of some versions; lists that are too old name files that are gone, so once more with new
        ones."""
        # As root apt downloads as its own user, which may not write here.
        named = [f"{name}={version}" for name, version in packages.items()]
        command = ("apt-get", "-o", "APT::Sandbox::User=root", "download", *named)
        if self._run(*command).code != 0:
            self._update("the package cannot be downloaded")
            self.run_or_fail(*command)

    def run_or_fail(self, *command: str) -> Finished:
        """Run a command, and fail with its words."""
        done = self._run(*command)
        if done.code != 0:
            raise NativeError(
                self._program.name,
                f"{' '.join(command)} fails:\n    " + "\n    ".join(done.errors[-6:]),
                remedy=f"see the words above, or install {self._package} by hand",
            )
        return done

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
