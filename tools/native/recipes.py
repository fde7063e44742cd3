"""The shape of a row of the table: a program, and where it comes from when PATH does not have it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias


class Group(StrEnum):
    """What a program is needed for."""

    STACK = "stack"
    PULUMI = "pulumi"
    EXPORTERS = "exporters"
    TESTS = "tests"
    CLUSTER = "cluster"


NUMBER = r"v?(\d+\.\d+(?:\.\d+)?(?:-[0-9A-Za-z.+-]+)?)"
"""A version as the programs print it, as a group of a regular expression."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoModule:
    """Programs compiled from a Go module by way of an own go.mod and go.sum.

    Not `go install package@version`: it refuses modules whose go.mod has replace directives, and most of these do.
    """

    directory: Path
    """Where go.mod and go.sum are."""
    module: str
    """The module the programs belong to."""
    module_version: str
    """The version of it that go.mod asks for. Not always the program's: Prometheus 3.13.5 is module v0.313.5."""
    packages: tuple[str, ...]
    """The main packages; each gives an executable named after its last part."""
    version_variable: str = ""
    """The Go variable that the linker sets to the version. Without it a program says it has none."""
    stamps: tuple[tuple[str, str], ...] = ()
    """More Go variables that the linker sets, each with its value."""
    renamed: str = ""
    """What the (only) executable is called here, where that is not the last part of its package."""
    tags: tuple[str, ...] = ()
    """Build tags."""
    module_files: tuple[str, ...] = ()
    """Files of the module to install beside the executables."""
    sources: tuple[str, ...] = ()
    """Go files below the directory of go.mod: main packages of our own, where the module's would compile too much."""
    placeholders: tuple[str, ...] = ()
    """Files that the module embeds and its published form lacks. When there are any, the module is copied to `./src`
    (go.mod replaces it by that), and each of these is written there as a small page."""

    def files(self) -> tuple[Path, ...]:
        """Return the committed files that decide what is built."""
        return tuple(self.directory / name for name in ("go.mod", "go.sum", *self.sources))

    def facts(self) -> tuple[str, ...]:
        """Return everything else that decides what is built."""
        lists = (self.packages, self.tags, self.module_files, self.placeholders)
        stamps = (f"{variable}={value}" for variable, value in self.stamps)
        renamed = (self.renamed,) if self.renamed else ()
        return (self.version_variable, *(",".join(words) for words in lists), *stamps, *renamed)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoBuilderCollector:
    """An OpenTelemetry Collector: its builder writes the sources that builder.yaml asks for, then they are compiled."""

    directory: Path
    """Where builder.yaml is, with the go.mod and go.sum of the generated program."""
    builder: GoModule
    """The pinned builder."""

    def files(self) -> tuple[Path, ...]:
        """Return the committed files that decide what is built."""
        names = ("builder.yaml", "go.mod", "go.sum")
        return (*(self.directory / name for name in names), *self.builder.files())

    def facts(self) -> tuple[str, ...]:
        """Return everything else that decides what is built."""
        return self.builder.facts()


@dataclass(frozen=True, kw_only=True, slots=True)
class DebianPackage:
    """A program taken out of a Debian package, without installing the package: no root, no service started."""

    package: str
    """The package."""
    binary: str
    """What Debian calls the executable, in /usr/bin."""

    def files(self) -> tuple[Path, ...]:
        """Return no file: the package decides."""
        return ()

    def facts(self) -> tuple[str, ...]:
        """Return what is taken."""
        return (self.package, self.binary)


@dataclass(frozen=True, kw_only=True, slots=True)
class DebianTree:
    """A program that is nothing without its surroundings: Debian packages, with every library that this system lacks,
    unpacked below one directory and started there. Nothing is installed."""

    packages: tuple[str, ...]
    """The packages; the first is the program's. What else they depend on comes along where it is not installed."""
    binary: str
    """The executable, as a path below the root of a system."""

    def files(self) -> tuple[Path, ...]:
        """Return no file: the packages decide."""
        return ()

    def facts(self) -> tuple[str, ...]:
        """Return what is taken."""
        return (*self.packages, self.binary)


@dataclass(frozen=True, kw_only=True, slots=True)
class NpmPackages:
    """A program of npm, installed by its committed lock file with all that it needs; Node.js runs it."""

    directory: Path
    """Where package.json and package-lock.json are."""
    script: str
    """What Node.js executes, as a path below node_modules."""

    def files(self) -> tuple[Path, ...]:
        """Return the committed files that decide what is installed."""
        return (self.directory / "package.json", self.directory / "package-lock.json")

    def facts(self) -> tuple[str, ...]:
        """Return what is executed."""
        return (self.script,)


@dataclass(frozen=True, kw_only=True, slots=True)
class PathOnly:
    """A program that no registry has: used when it is installed, and done without when it is not."""

    install: str
    """How to install it by hand."""

    def files(self) -> tuple[Path, ...]:
        """Return no file: nothing is built."""
        return ()

    def facts(self) -> tuple[str, ...]:
        """Return nothing: nothing is built."""
        return ()


Source: TypeAlias = GoModule | GoBuilderCollector | DebianPackage | DebianTree | NpmPackages | PathOnly
"""Where a program comes from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What a program of PATH must say it can do, where the version alone does not tell."""

    arguments: tuple[str, ...]
    """How to ask."""
    words: tuple[str, ...]
    """What the answer must contain, as whole words."""

    def missing(self, answer: str) -> tuple[str, ...]:
        """Return the words that the answer lacks."""
        return tuple(word for word in self.words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", answer))


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A native program: what it provides, which versions will do, and where it comes from."""

    name: str
    """The name of the program."""
    executables: tuple[str, ...]
    """The executables it provides, under the names this project uses."""
    version: str
    """The pinned version: what is built."""
    accepts: str
    """The versions that will do when PATH has them, as a version specifier."""
    group: Group
    """What it is needed for."""
    source: Source
    """Where it comes from when PATH does not have it."""
    version_arguments: tuple[str, ...] = ("--version",)
    """How to ask an executable for its version."""
    version_pattern: str = rf"version[ =:]*{NUMBER}"
    """Where the version stands in the answer."""
    also_called: tuple[str, ...] = ()
    """Other names that the (only) executable has on PATH."""
    features: Features | None = None
    """What one of PATH must be able to do."""
    comes_with: str = ""
    """The program it belongs to: from PATH it is used with that program only, and has that program's version."""
    seconds: int = 0
    """How long it takes from nothing on two cores, downloads included: for the estimate."""

    @property
    def helpers(self) -> tuple[str, ...]:
        """The names of the files installed beside the executables."""
        files = self.source.module_files if isinstance(self.source, GoModule) else ()
        return tuple(file.rpartition("/")[2] for file in files)


def debian_exporter(
    name: str,
    *,
    version: str,
    accepts: str,
    version_pattern: str = rf"version[ =:]*{NUMBER}",
    also_called: tuple[str, ...] = (),
) -> Program:
    """Return an exporter that Debian packages as `prometheus-…-exporter`; the pin is the version of Debian 12."""
    packaged = f"prometheus-{name.replace('_', '-')}"
    return Program(
        name=name,
        executables=(name,),
        version=version,
        accepts=accepts,
        version_pattern=version_pattern,
        also_called=(packaged, *also_called),
        group=Group.EXPORTERS,
        source=DebianPackage(package=packaged, binary=packaged),
        seconds=3,
    )


def npm_program(package: str, *, directory: Path, script: str) -> Program:
    """Return a program of npm at the version of its package.json; PATH is not asked, since what is beside it counts."""
    asked: Mapping[str, Mapping[str, str]] = json.loads((directory / "package.json").read_text(encoding="utf-8"))
    version = asked["dependencies"][package]
    return Program(
        name=package,
        executables=(f"observability-{package}",),
        version=version,
        accepts=f"=={version}",
        group=Group.TESTS,
        source=NpmPackages(directory=directory, script=script),
        seconds=10,
    )
