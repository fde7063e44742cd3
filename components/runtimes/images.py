"""Where container images come from."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from specs.model import SettingsError
from specs.workload import Program

LOCK = Path(__file__).resolve().parents[2] / "images.lock"
"""Digests of images, as `make images LOCK=1` found them; the file need not be there."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def read_lock(path: Path = LOCK) -> Mapping[str, str]:
    """What `path` says: `repository:tag`, as specs/programs.py spells both → `sha256:…`. Empty without the file.

    Raises SettingsError naming the file, and the image whose digest is none.
    """
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"{path.name}: cannot be read as JSON: {problem} (make it anew: make images LOCK=1)"
        ) from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path.name}: not a mapping (accepted: each image:tag with its sha256:…)")
    entries = cast("dict[str, object]", found)
    for image, digest in entries.items():
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise SettingsError(f"{path.name}: {image}: not a digest (accepted: sha256: and 64 hexadecimal digits)")
    return cast("dict[str, str]", entries)


def split(repository: str) -> tuple[str, str]:
    """Host and path of `repository`; the host is empty where it is Docker's own registry, by Docker's own rule: only a
    first part that looks like a host is one."""
    host, slash, path = repository.partition("/")
    return (host, path) if slash and ("." in host or ":" in host or host == "localhost") else ("", repository)


def reference(program: Program, registry: str | None, lock: Mapping[str, str]) -> str:
    """The image of `program`, pulled through the mirror `registry` where there is one, and by the digest that `lock`
    has for it. The tag stays in front of the digest: people read it, engines ignore it.

    Raises SettingsError for a program that has no image.
    """
    if not program.image:
        raise SettingsError(f"{program.name} has no container image: it runs as a process only")
    _, repository = split(program.image)
    digest = lock.get(f"{program.image}:{program.version}")
    named = f"{registry}/{repository}" if registry else program.image
    return f"{named}:{program.version}" + (f"@{digest}" if digest else "")
