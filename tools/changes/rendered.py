"""What a revision renders, by its own code, kept for the next time."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from specs.model import SettingsError
from tools import paths
from tools.changes.revisions import Revision, revision

_SECONDS = 120
_KEPT = 60
"""How many renders stay: of a working tree that is edited, each is another."""
_INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "VIRTUAL_ENV")
"""What a render sees of the environment: nothing that could hold a secret, or a setting of this machine."""


def tree(ref: str, stack: str, *, option: str = "BASE", root: Path = paths.ROOT) -> Path:
    """The directory with every file that revision `ref` of the checkout at `root` renders for `stack`: see
    `tools.render.files`. It is of a cache, so nobody writes there.

    `ref` is a branch, a tag or a commit; WORKING_TREE is the checkout as it stands, uncommitted files included.
    Raises SettingsError, naming `option`, for a revision, or a stack of it, that is not there or does not render.
    """
    with revision(ref, option=option, root=root) as found:
        refuse_absent(found, stack, option)
        return render(found, stack, option)


def refuse_absent(found: Revision, stack: str, option: str) -> None:
    """Raises SettingsError, naming the stacks that there are, for one that `found` has not."""
    if has(found, stack):
        return
    files = [name.split(".") for name in found.names() if name.startswith("Pulumi.") and name.endswith(".yaml")]
    stacks = ", ".join(sorted(parts[1] for parts in files if len(parts) == 3))
    where = f"{option}={found.name} has" if found.name else "there is"
    raise SettingsError(f"STACK={stack}: {where} no Pulumi.{stack}.yaml (accepted: {stacks or 'none is there'})")


def has(found: Revision, stack: str) -> bool:
    """Whether the revision has the stack."""
    # A name with a slash would be another directory's file.
    return "/" not in stack and found.has(f"Pulumi.{stack}.yaml")


def render(found: Revision, stack: str, option: str) -> Path:
    """As `tree`, of a revision that has the stack."""
    kept = _cache(found.root) / f"{found.tree}-{stack}"
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _forget_oldest(kept.parent)
        with _checkout(found) as source, tempfile.TemporaryDirectory(prefix=".new-", dir=kept.parent) as scratch:
            out = Path(scratch) / "out"
            _run(found, stack, source, out, option)
            _place(out, kept)
    # Renders that were asked for last stay longest.
    os.utime(kept)
    return kept


def _cache(root: Path) -> Path:
    """Where renders are kept. Other libraries can render otherwise: what this checkout pins is part of the name."""
    pins = root / "requirements.txt"
    libraries = hashlib.sha256(pins.read_bytes()).hexdigest()[:12] if pins.is_file() else "unpinned"
    return _home() / "rendered" / libraries


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "observability"


@contextmanager
def _checkout(found: Revision) -> Generator[Path]:
    """The revision's files, nobody else's for as long. The directory stays, with what Python compiled there: of most
    files the next revision has the same."""
    home = _home() / "checkouts" / hashlib.sha256(str(found.root).encode()).hexdigest()[:12]
    home.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        with (home / f"{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                number += 1
                continue
            found.check_out(home / str(number))
            _forget_compiled(home / str(number))
            yield home / str(number)
            return


def _forget_compiled(directory: Path) -> None:
    """Forget what Python compiled of files that were replaced: it tells them apart by size and second alone."""
    for compiled in directory.rglob("__pycache__/*.pyc"):
        source = compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py"
        if not source.is_file() or source.stat().st_mtime_ns >= compiled.stat().st_mtime_ns:
            compiled.unlink()


def _run(found: Revision, stack: str, source: Path, out: Path, option: str) -> None:
    environment = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    where = f"{option}={found.name}" if found.name else found.words
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tools.cli", "render", "--stack", stack, "--out", str(out)],
            cwd=source,
            env={**environment, "PYTHONPATH": str(source), "COLUMNS": "400"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SettingsError(f"{where}: {stack} takes more than {_SECONDS} s (accepted: one that renders)") from None
    if done.returncode or not out.is_dir():
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it wrote no file"]
        raise SettingsError(f"{where}: {stack} does not render: {said[-1]} (accepted: a revision that renders)")


def _place(out: Path, kept: Path) -> None:
    """Whoever looks sees all of a render or nothing."""
    try:
        out.rename(kept)
    except OSError:
        # Another one rendered the same in the meantime.
        if not kept.is_dir():
            raise


def _forget_oldest(cache: Path) -> None:
    """Make room for one more."""
    renders = sorted(cache.glob("[!.]*"), key=lambda path: path.stat().st_mtime)
    for path in renders[: max(0, len(renders) - _KEPT + 1)]:
        shutil.rmtree(path, ignore_errors=True)
