"""Revisions of a checkout as git has them: which tree of files each is, and a copy of them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from specs.model import SettingsError

WORKING_TREE = ""
"""The revision that is the checkout as it stands, uncommitted and new files included (ignored ones are not)."""
_LEFT = "..."
_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """A revision, and the git tree that holds its files: what has the same tree is the same."""

    name: str
    """As the user wrote it; empty: the working tree."""
    tree: str
    """The tree's object id, 40 hexadecimal digits."""
    root: Path
    objects: Path | None = field(default=None, repr=False)
    """Where objects of a working tree stand that the repository has not got."""

    @property
    def words(self) -> str:
        """What people call it."""
        return self.name or "the working tree"

    def has(self, path: str) -> bool:
        """Whether the revision has a file at `path`."""
        return bool(self.names(path))

    def names(self, pattern: str = "") -> list[str]:
        """Paths of the top directory, or `pattern` alone when it is there."""
        return _git(self.root, "ls-tree", "--name-only", self.tree, *([pattern] if pattern else []), at=self).split()

    def read(self, path: str) -> str:
        """What the file at `path` holds; empty: there is none."""
        return _output(self.root, "show", f"{self.tree}:{path}", at=self).decode() if self.has(path) else ""

    def check_out(self, directory: Path) -> None:
        """Make the files below `directory` its own; those that are already are not touched."""
        directory.mkdir(parents=True, exist_ok=True)
        index = directory.with_suffix(".index")
        # Whoever was killed here left it locked.
        index.with_suffix(".index.lock").unlink(missing_ok=True)
        extra = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(directory)}
        extra["GIT_DIR"] = str((self.root / _git(self.root, "rev-parse", "--git-dir").strip()).resolve())
        _output(directory, "read-tree", "--reset", "-u", self.tree, at=self, extra=extra)


@contextmanager
def revision(name: str, *, option: str, root: Path, head: str = "") -> Generator[Revision]:
    """The revision that is called `name` (a branch, tag, commit, or WORKING_TREE) in the checkout at `root`.

    With three dots after its name it is where `head` (empty: what is checked out) left it, as in `git diff`.
    Raises SettingsError, naming `option`, when there is none, and when `root` is no checkout of git.
    """
    if name != WORKING_TREE:
        yield Revision(name=name, tree=_tree_of(root, name, head or "HEAD", option), root=root)
        return
    with tempfile.TemporaryDirectory(prefix="working-tree-") as scratch:
        yield _working_tree(root, Path(scratch))


def _tree_of(root: Path, name: str, head: str, option: str) -> str:
    _git(root, "rev-parse", "--git-dir")
    try:
        commit = _commit(root, name.removesuffix(_LEFT))
        if name.endswith(_LEFT):
            commit = _git(root, "merge-base", commit, _commit(root, head)).strip()
        return _git(root, "rev-parse", f"{commit}^{{tree}}").strip()
    except SettingsError:
        raise SettingsError(
            f"{option}={name}: no such revision (accepted: a branch, tag or commit that this clone has;"
            " a shallow one fetches it first)"
        ) from None


def _commit(root: Path, name: str) -> str:
    # Without the end of options, what starts with a dash would be one.
    return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()


def _working_tree(root: Path, scratch: Path) -> Revision:
    """The tree of the files as they are: an index and objects of our own leave the repository untouched."""
    index, objects = scratch / "index", scratch / "objects"
    objects.mkdir()
    own = (root / _git(root, "rev-parse", "--git-path", "index").strip()).resolve()
    if own.is_file():
        # What it remembers of files' times spares reading them all.
        shutil.copy2(own, index)
    blank = Revision(name=WORKING_TREE, tree="", root=root, objects=objects)
    extra = {"GIT_INDEX_FILE": str(index)}
    _output(root, "add", "--all", at=blank, extra=extra)
    written = _output(root, "write-tree", at=blank, extra=extra).decode().strip()
    return Revision(name=WORKING_TREE, tree=written, root=root, objects=objects)


def _git(root: Path, *arguments: str, at: Revision | None = None) -> str:
    return _output(root, *arguments, at=at).decode()


def _output(
    directory: Path, *arguments: str, at: Revision | None = None, extra: Mapping[str, str] | None = None
) -> bytes:
    # A hook of git sets variables that are about another repository or index than this one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | dict(extra or {})
    if at is not None and at.objects is not None:
        kept = (at.root / _git(at.root, "rev-parse", "--git-path", "objects").strip()).resolve()
        environment |= {"GIT_OBJECT_DIRECTORY": str(at.objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(kept)}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=directory, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        raise SettingsError("git: not found (accepted: git on the PATH, revisions are read by it)") from None
    except subprocess.TimeoutExpired:
        raise SettingsError(
            f"git {arguments[0]}: no answer in {_SECONDS} s (accepted: a repository that answers)"
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise SettingsError(f"git {arguments[0]}: {said[0]} (accepted: a checkout that git can read)")
    return done.stdout
