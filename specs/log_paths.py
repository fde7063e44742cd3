"""Log files of a host, as a container on it finds them: under /host, so that no path hides one of the container's own."""

import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import PurePosixPath

INSIDE = "/host"
_LOGS = PurePosixPath("/var/log")
_PATTERN = re.compile(r"[*?\[{]")


def directory(glob: str) -> str:
    """The directory that everything lies below that `glob` may find.

    Anything in /var/log means all of that: unlike what an application makes in it some day, it is there, and a path
    that is missing keeps a container from being made. Raises ValueError where it would be all of the host.
    """
    fixed = PurePosixPath(*takewhile(lambda part: not _PATTERN.search(part), PurePosixPath(glob).parts[:-1]))
    if not fixed.is_absolute() or ".." in fixed.parts or len(fixed.parts) < 2:
        raise ValueError(f'"{glob}" is not below a directory of the host (accepted: /directory/…, without ..)')
    return str(_LOGS if fixed.is_relative_to(_LOGS) else fixed)


def seen(globs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The directories that a container needs for `globs`, with their places inside, none below another of them."""
    wanted = sorted({directory(glob) for glob in globs})
    outer = [path for path in wanted if not any(path.startswith(f"{other}/") for other in wanted)]
    return tuple((path, inside(path)) for path in outer)


def inside(path: str) -> str:
    """Where the container finds `path` of the host."""
    return f"{INSIDE}{path}"
