"""The archive: a tar file with each part's data, and at its end a list of everything in it with checksums.

<part>/data/…        the data directory
<part>/config/…      secrets that were made up for the part, which its data needs
registry/…           what applications registered, in a backup of all parts
backup.json          `Listing`; what has none was cut off
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from specs.model import SettingsError

FORMAT = 1
LISTING = "backup.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What an archive holds."""

    stack: str
    created: str
    """RFC 3339, UTC."""
    versions: Mapping[str, str]
    """By the name of each part: the version of the program that wrote its data."""
    files: Mapping[str, str]
    """Path in the archive → SHA-256."""
    format: int = FORMAT

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(self.versions)


class _Hashing(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        found = self._file.read(size)
        self.digest.update(found)
        return found


class Writer:
    """Adds directories and files, and ends with the listing."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w")  # noqa: SIM115 - `finish` closes it
        self._files: dict[str, str] = {}

    def directory(self, directory: Path, under: str) -> int:
        """Add everything below `directory`; return its bytes. Only files and directories: programs keep no others."""
        total = 0
        for path in sorted(directory.rglob("*")):
            name = f"{under}/{path.relative_to(directory).as_posix()}"
            if path.is_dir() and not path.is_symlink():
                self._tar.add(path, name, recursive=False)
            elif path.is_file() and not path.is_symlink():
                # Applications rotate their logs meanwhile.
                with suppress(FileNotFoundError):
                    total += self.file(path, name)
        return total

    def file(self, path: Path, name: str) -> int:
        """Add one file; return its bytes."""
        info = self._tar.gettarinfo(path, name)
        # A second name of a file that is in already is a file here.
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
        with path.open("rb") as file:
            hashing = _Hashing(file)
            self._tar.addfile(info, hashing)  # pyright: ignore[reportArgumentType] - it has what is read of it
        self._files[name] = hashing.digest.hexdigest()
        return int(info.size)

    def finish(self, *, stack: str, created: str, versions: Mapping[str, str]) -> None:
        """Write the listing and close."""
        listing = Listing(stack=stack, created=created, versions=versions, files=self._files)
        text = json.dumps(asdict(listing), indent=1).encode()
        info = tarfile.TarInfo(LISTING)
        info.size = len(text)
        self._tar.addfile(info, io.BytesIO(text))
        self._tar.close()


def _refused(path: Path, why: str) -> SettingsError:
    return SettingsError(f"{path}: {why} (accepted: a file that make backup wrote)")


def _listing(path: Path, tar: tarfile.TarFile) -> Listing:
    try:
        file = tar.extractfile(LISTING)
        found: dict[str, Any] = json.loads(file.read()) if file else {}
        listing = Listing(**found)
    except (KeyError, TypeError, ValueError):
        raise _refused(path, "no whole backup: its list is missing") from None
    if listing.format != FORMAT:
        raise SettingsError(f"{path}: a backup of format {listing.format} (accepted: {FORMAT})")
    return listing


def _safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def verified(path: Path) -> Listing:
    """What the archive holds, once all of it was read and compared. Raises SettingsError when it is not whole."""
    try:
        with tarfile.open(path, "r:") as tar:
            listing = _listing(path, tar)
            seen: dict[str, str] = {}
            for member in tar:
                if not (member.isfile() or member.isdir()) or not _safe(member.name):
                    raise _refused(path, f"{member.name}: nothing that a backup has")
                file = tar.extractfile(member) if member.name != LISTING else None
                if file is not None:
                    seen[member.name] = _digest(file)
    except OSError as problem:
        raise _refused(path, f"cannot be read: {problem.strerror or problem}") from None
    except tarfile.TarError as problem:
        raise _refused(path, f"no whole backup: {problem}") from None
    wrong = sorted(name for name in seen.keys() | listing.files.keys() if seen.get(name) != listing.files.get(name))
    if wrong:
        raise _refused(path, f"damaged: {wrong[0]}")
    return listing


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(_CHUNK):
        digest.update(block)
    return digest.hexdigest()


def size(path: Path, prefixes: Collection[str]) -> int:
    """Bytes of what a `verified` archive has below any of `prefixes`."""
    with tarfile.open(path, "r:") as tar:
        return sum(member.size for member in tar if member.name.split("/", 1)[0] in prefixes)


def extract(path: Path, prefix: str, target: Path, *, over: bool = True) -> None:
    """Write what a `verified` archive has below `prefix` to the directory `target`, readable by its owner alone; not
    `over` files that are there."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if not member.name.startswith(f"{prefix}/"):
                continue
            place = target / PurePosixPath(member.name).relative_to(prefix)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                continue
            if place.exists() and not over:
                continue
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            source = tar.extractfile(member)
            place.touch(mode=0o600)
            with place.open("wb") as file:
                while source and (block := source.read(_CHUNK)):
                    file.write(block)
