"""Where the native programs are: on PATH at an accepted version, or in the cache. Nothing is built here."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.native import cache, probe
from tools.native.recipes import Program
from tools.native.table import PROGRAMS, program_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """An executable that is there."""

    name: str
    """The name this project uses; the file may be called otherwise."""
    path: Path
    """The file."""
    version: str
    """Its version."""
    origin: Literal["path", "cache"]
    """`path`: the user's own, found on PATH. `cache`: built here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found of a program."""

    located: Mapping[str, Located]
    """Its executables by name; empty when it is not there."""
    refused: tuple[str, ...] = ()
    """What PATH has of it that will not do, and why: a line each."""


def locate(name: str) -> Located | None:
    """Return where an executable is, or nothing; builds nothing, and is quick."""
    program = program_of(name)
    found = survey(program).located
    if name in program.helpers and found:
        beside = found[program.executables[0]]
        return Located(name=name, path=beside.path.with_name(name), version=beside.version, origin=beside.origin)
    return found.get(name)


def survey(program: Program) -> Finding:
    """Look for all executables of a program: all on PATH, or all in the cache."""
    on_path = _on_path(program)
    return on_path if on_path.located else Finding(located=cached(program), refused=on_path.refused)


def cached(program: Program) -> Mapping[str, Located]:
    """Return the executables of a program that were built here."""
    installed = cache.find(program)
    if installed is None:
        return {}
    return {
        name: Located(name=name, path=installed.bin / name, version=installed.version, origin="cache")
        for name in program.executables
    }


def _on_path(program: Program) -> Finding:
    if program.comes_with:
        return _with_owner(program)
    located: dict[str, Located] = {}
    refused: list[str] = []
    for name in program.executables:
        for path in candidates(name, *program.also_called):
            version = probe.version_of(program, path)
            objection = _objection(program, path, version)
            if version is not None and objection is None:
                located[name] = Located(name=name, path=path, version=version, origin="path")
                break
            refused.append(f"{path} is not used: {objection}")
    complete = len(located) == len(program.executables)
    return Finding(located=located if complete else {}, refused=tuple(refused))


def _objection(program: Program, path: Path, version: str | None) -> str | None:
    if version is None:
        return "it does not say its version"
    if not probe.accepted(program, version):
        return f"it is {version}, wanted is {program.accepts}"
    if missing := probe.missing_features(program, path):
        return f"it lacks {', '.join(missing)}"
    for companion in _companions(program):
        if not all(_beside_or_on_path(path, name) for name in companion.executables):
            return f"{companion.name} is neither beside it nor on PATH"
    return None


def _with_owner(program: Program) -> Finding:
    owner = survey(program_of(program.comes_with)).located.get(program.comes_with)
    if owner is None or owner.origin != "path":
        return Finding(located={})
    located = {
        name: Located(name=name, path=path, version=owner.version, origin="path")
        for name in program.executables
        if (path := _beside_or_on_path(owner.path, name))
    }
    return Finding(located=located)


def _companions(program: Program) -> Iterator[Program]:
    return (other for other in PROGRAMS if other.comes_with == program.name)


def _beside_or_on_path(path: Path, name: str) -> Path | None:
    beside = path.resolve().with_name(name)
    if _is_executable(beside):
        return beside
    return next(candidates(name), None)


def candidates(*names: str) -> Iterator[Path]:
    """Yield the executables of these names on PATH, first come first; not those that were built here."""
    ours = cache.root().resolve()
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for name in names:
            path = Path(directory or ".").absolute() / name
            # `environment` puts the cache on PATH: those must not pass for the user's own.
            if _is_executable(path) and ours not in path.resolve().parents and ours not in path.parents:
                yield path


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
