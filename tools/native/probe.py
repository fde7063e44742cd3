"""What version a program of PATH is, asked once for each state of the file."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from tools.native import cache
from tools.native.recipes import Program


def accepted(program: Program, version: str) -> bool:
    """Say whether a version is one that will do."""
    try:
        return SpecifierSet(program.accepts).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def version_in(program: Program, answer: str) -> str | None:
    """Return the version that stands in the answer of a program."""
    found = re.search(program.version_pattern, answer)
    return found.group(1) if found else None


def version_of(program: Program, path: Path) -> str | None:
    """Return the version an executable says it has, from the notes of an earlier time when the file is the same."""
    return version_in(program, _answer(path, program.version_arguments))


def missing_features(program: Program, path: Path) -> tuple[str, ...]:
    """Return what an executable should be able to do and is not."""
    if program.features is None:
        return ()
    return program.features.missing(_answer(path, program.features.arguments))


def _answer(path: Path, arguments: tuple[str, ...]) -> str:
    state = path.stat()
    question = json.dumps([str(path), state.st_mtime_ns, state.st_size, arguments])
    note = cache.root() / "answers" / hashlib.sha256(question.encode()).hexdigest()[:32]
    try:
        return note.read_text(encoding="utf-8")
    except FileNotFoundError:
        answer = _ask(path, arguments)
        _write(note, answer)
        return answer


def _ask(path: Path, arguments: tuple[str, ...]) -> str:
    # Some look for updates before they say their version.
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        said = subprocess.run(
            [path, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.decode(errors="replace") if said.returncode == 0 else ""


def _write(note: Path, answer: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=note.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(answer)
    Path(name).replace(note)
