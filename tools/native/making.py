"""Making what is missing: one program after the other, since each keeps all cores busy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from tools.native import cache
from tools.native.debian import unpack, unpack_tree
from tools.native.errors import NativeError
from tools.native.golang import build_collector, build_module
from tools.native.locate import Located, cached, survey
from tools.native.npm import install_packages
from tools.native.progress import Step, reporting, say
from tools.native.recipes import (
    DebianPackage,
    DebianTree,
    GoBuilderCollector,
    GoModule,
    NpmPackages,
    PathOnly,
    Program,
)
from tools.native.table import program_of


def ensure(names: Sequence[str], console: Console | None = None) -> Mapping[str, Located]:
    """Return where all executables of some programs are, after building what is missing.

    A name is that of a program or of one of its executables. Optional programs that are not installed are not in the
    answer; for all others this returns what is there, or raises `NativeError`.
    """
    programs = tuple(dict.fromkeys(program_of(name) for name in names))
    return ensure_programs(programs, console or Console(stderr=True))


def ensure_programs(programs: Sequence[Program], console: Console) -> Mapping[str, Located]:
    """Do what `ensure` does, for rows of any table."""
    located: dict[str, Located] = {}
    missing: list[Program] = []
    for program in programs:
        finding = survey(program)
        located |= finding.located
        for line in finding.refused if not finding.located else ():
            say(console, f"{program.name}: {line}")
        if finding.located:
            continue
        if isinstance(program.source, PathOnly):
            say(console, f"{program.name}: not on PATH, done without; {program.source.install}")
        else:
            missing.append(program)
    if missing:
        with reporting(missing, console) as steps:
            for program, step in zip(missing, steps, strict=True):
                located |= _make_once(program, step)
    return located


def _make_once(program: Program, step: Step) -> Mapping[str, Located]:
    step.begin()
    told = False

    def waiting() -> None:
        nonlocal told
        if not told:
            step.announce("waiting for another run that is making it")
            told = True
        step.tick()

    try:
        with cache.locked(program.name, waiting=waiting) as directory:
            if found := cached(program):
                step.end("made by another run meanwhile")
                return found
            with cache.workspace(directory) as work:
                made, version = _make(program, work, step)
                _check(program, made)
                cache.install(program, made, version)
    except OSError as error:
        remedy = f"see that {cache.root()} can be written and has room, or set XDG_CACHE_HOME to a place that has"
        raise NativeError(program.name, str(error), remedy=remedy) from error
    found = cached(program)
    everything = found[program.executables[0]].path.parent.rglob("*")
    megabytes = sum(file.lstat().st_size for file in everything if not file.is_dir()) / 1e6
    step.end(f"made in {step.elapsed}, {megabytes:.0f} MB")
    return found


def _make(program: Program, work: Path, step: Step) -> tuple[Path, str]:
    match program.source:
        case GoModule() as source:
            return build_module(program, source, work, step), program.version
        case GoBuilderCollector() as source:
            return build_collector(program, source, work, step), program.version
        case DebianPackage() as source:
            return unpack(program, source, work, step)
        case DebianTree() as source:
            return unpack_tree(program, source, work, step)
        case NpmPackages() as source:
            return install_packages(program, source, work, step), program.version
        case PathOnly() as source:
            raise NativeError(program.name, "it is not on PATH, and nothing here can make it", remedy=source.install)


def _check(program: Program, made: Path) -> None:
    lacking = [name for name in (*program.executables, *program.helpers) if not (made / name).is_file()]
    if lacking:
        remedy = "correct its row in tools/native/table.py"
        raise NativeError(program.name, f"the build did not give {', '.join(lacking)}", remedy=remedy)
