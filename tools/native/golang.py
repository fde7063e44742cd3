"""Compiling programs from Go modules, with go.sum as the guarantee of what is compiled."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tools.native.errors import NativeError
from tools.native.progress import Step
from tools.native.recipes import GoBuilderCollector, GoModule, Program
from tools.native.running import Finished, run
from tools.native.toolchain import Go, required, toolchain

PLACEHOLDER = (
    "<!doctype html><title>Not here</title><p>This build has the API only: the pages are not part of the Go module.\n"
)
"""What stands where a program's web pages would."""

_HINTS = (
    (r"checksum mismatch|SECURITY ERROR", "do not edit go.sum to make this pass: find out what was changed"),
    (r"requires go >=|toolchain not available", "install a newer Go from https://go.dev/dl, or remove the one on PATH"),
    (r"no space left", "make room: the Go caches take some gigabytes (`go clean -cache -modcache` empties them)"),
    (
        r"dial tcp|no such host|timeout|connection re|TLS|40[34] |50\d |unknown revision|EOF",
        "the module cannot be downloaded: check the network, GOPROXY and that this version exists, then run this again",
    ),
)
_AGAIN = "see the words of go above; run this again when it is repaired: what was compiled is kept in Go's build cache"


def build_module(program: Program, source: GoModule, work: Path, step: Step) -> Path:
    """Compile the programs of a module in an empty directory; return the directory of the executables."""
    go = toolchain(program.name, required(source.directory / "go.mod"), step)
    build = _Build(program.name, go, source.directory, work / "source", step)
    for file in source.sources:
        (build.directory / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.directory / file, build.directory / file)
    if source.placeholders:
        build.copy_module(source)
    flags: list[str] = ["-ldflags", _linker_flags(source, program.version)]
    if source.tags:
        flags += ["-tags", ",".join(source.tags)]
    made = work / "bin"
    if source.renamed:
        made.mkdir()
    build.compile(source.packages, flags, f"{made}/{source.renamed}")
    for file in source.module_files:
        shutil.copyfile(build.module_directory(source) / file, made / Path(file).name)
        (made / Path(file).name).chmod(0o755)
    return made


def build_collector(program: Program, source: GoBuilderCollector, work: Path, step: Step) -> Path:
    """Compile the builder, have it write the collector's sources, and compile those."""
    (work / "builder").mkdir()
    builder = build_module(program, source.builder, work / "builder", step) / "builder"
    go = toolchain(program.name, required(source.directory / "go.mod"), step)
    build = _Build(program.name, go, source.directory, work / "source", step)
    shutil.copyfile(source.directory / "builder.yaml", build.directory / "builder.yaml")
    step.phase("generating sources")
    # Sources only: its own go.mod would take whatever versions are the newest; the committed one says which are meant.
    arguments = ("--config", "builder.yaml", "--skip-compilation", "--skip-get-modules")
    build.go_or_fail((builder, *arguments), what="the collector's builder fails")
    for generated in (build.directory / "dist").glob("*.go"):
        generated.rename(build.directory / generated.name)
    made = work / "bin"
    made.mkdir()
    build.compile((".",), ["-ldflags", "-s -w"], str(made / program.executables[0]))
    return made


def _linker_flags(source: GoModule, version: str) -> str:
    stamps = [*([(source.version_variable, version)] if source.version_variable else []), *source.stamps]
    return " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in stamps)])


class _Build:
    """One run of go in a copy of a recipe's directory: the checkout is never written."""

    def __init__(self, program: str, go: Go, recipe: Path, directory: Path, step: Step) -> None:
        self._program = program
        self._go = go
        self._recipe = recipe
        self._step = step
        self.directory = directory
        directory.mkdir()
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(recipe / name, directory / name)

    def copy_module(self, source: GoModule) -> None:
        """Copy the module to ./src, by which go.mod replaces it, and add what its published form lacks."""
        self._step.phase("downloading modules")
        # In a module of its own, so that go.sum is asked: go does not check ./src once it is a directory.
        (scratch := self.directory / "fetch").mkdir()
        wanted = f"{source.module}@{source.module_version}"
        go_mod = f"module local/fetch\n\ngo 1.21\n\nrequire {wanted.replace('@', ' ')}\n"
        (scratch / "go.mod").write_text(go_mod, encoding="utf-8")
        shutil.copyfile(self._recipe / "go.sum", scratch / "go.sum")
        self.go_or_fail((self._go.command, "mod", "download", wanted), directory=scratch)
        self._unchanged(scratch)
        target = self.directory / "src"
        shutil.copytree(self.module_directory(source), target)
        for place in [target, *target.rglob("*")]:
            place.chmod(place.stat().st_mode | 0o200)
        for file in source.placeholders:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (target / file).write_text(PLACEHOLDER, encoding="utf-8")

    def module_directory(self, source: GoModule) -> Path:
        """Return where go keeps a module: capitals are written with an exclamation mark there."""
        escaped = re.sub(r"[A-Z]", lambda letter: f"!{letter[0].lower()}", source.module)
        return self._go.modules / f"{escaped}@{source.module_version}"

    def compile(self, packages: Sequence[str], flags: Sequence[str], output: str) -> None:
        """Compile and link main packages."""
        # -mod=mod and no `go mod tidy`: tidying asks for the modules of all tests, too, and not all of them exist.
        # It may add to go.sum what is missing there, therefore the comparison.
        common = ("-mod=mod", "-trimpath", *flags)
        self._step.phase("downloading modules")
        listing = ("list", *common, "-deps", "-f", "{{.ImportPath}}\t{{.StaleReason}}", *packages)
        listed = self.go_or_fail((self._go.command, *listing)).output.splitlines()
        self._unchanged(self.directory)
        # What the build cache has is not compiled again: counting it would make a bar that never arrives.
        todo = [line for line in listed if not line.endswith("\t") and "available in build cache" not in line]
        self._done, self._total = 0, len(todo)
        self._step.count(self._compiling, 0, self._total)
        self.go_or_fail((self._go.command, "build", "-v", *common, "-o", output, *packages))
        self._unchanged(self.directory)

    @property
    def _compiling(self) -> str:
        return f"compiled {self._done} of {self._total} packages" if self._done < self._total else "linking"

    def go_or_fail(
        self, command: Sequence[str | Path], *, directory: Path | None = None, what: str = "go fails"
    ) -> Finished:
        """Run a command, and fail with its last words."""
        done = run(
            command,
            directory=directory or self.directory,
            environment=self._go.environment,
            heard=self._heard,
            tick=self._step.tick,
        )
        if done.code != 0:
            words = [line for line in done.errors if line.strip() and not _is_progress(line)][-12:]
            text = "\n".join(words) or f"exit code {done.code}"
            remedy = next((hint for pattern, hint in _HINTS if re.search(pattern, text)), _AGAIN)
            raise NativeError(self._program, f"{what}:\n    " + text.replace("\n", "\n    "), remedy=remedy)
        return done

    def _heard(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self._step.phase("downloading modules")
        elif _is_progress(line):
            self._done += 1
            self._step.count(self._compiling, min(self._done, self._total), self._total)

    def _unchanged(self, directory: Path) -> None:
        if (directory / "go.sum").read_bytes() != (self._recipe / "go.sum").read_bytes():
            raise NativeError(
                self._program,
                f"{self._recipe / 'go.sum'} does not hold the checksums of all that is compiled: go would add to it",
                remedy="restore go.sum from version control; after a change of go.mod, `go build -mod=mod` fills it",
            )

    _done = 0
    _total = 0


def _is_progress(line: str) -> bool:
    """Say whether a line of go is a module being downloaded or a package being compiled (its path alone)."""
    return line.startswith("go: downloading ") or bool(re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", line))
