"""The environment in which the native programs are found by name, by Pulumi above all."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.native import cache
from tools.native.locate import locate
from tools.native.table import PROGRAMS

LAUNCHER = "pulumi-resource-pulumi-python"
"""The plugin by which Pulumi runs dynamic resources; part of Pulumi's own archive, and no Go program."""

LAUNCHER_TEXT = '#!/bin/sh\nexec python -u -m pulumi.dynamic "$@"\n'


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` with PATH and Pulumi's switches set for the programs that are there; builds nothing.

    One directory of links comes after the `bin` of the active virtual environment, which stays first, since Pulumi's
    language host and the launcher of dynamic resources take the first `python`.
    """
    result = dict(base)
    pulumi = locate("pulumi")
    ours = pulumi is not None and pulumi.origin == "cache"
    directory = _links(launcher=ours)
    rest = [
        entry
        for entry in base.get("PATH", os.defpath).split(os.pathsep)
        if not Path(entry).is_relative_to(cache.root())
    ]
    virtual = _virtual_environment(base)
    first = [] if virtual is None else [str(virtual)]
    result["PATH"] = os.pathsep.join([*first, str(directory), *(entry for entry in rest if entry not in first)])
    result.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    if ours:
        # Every command of a CLI without its plugins beside it asks the network for them first.
        result.setdefault("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    return result


def _virtual_environment(base: Mapping[str, str]) -> Path | None:
    if active := base.get("VIRTUAL_ENV"):
        return Path(active) / "bin"
    return Path(sys.prefix) / "bin" if sys.prefix != sys.base_prefix else None


def _links(*, launcher: bool) -> Path:
    """Return a directory of links to what is there, made in one step."""
    targets: dict[str, Path] = {}
    for program in PROGRAMS:
        for name in (*program.executables, *program.helpers):
            found = locate(name)
            # What PATH already gives under this name needs no link.
            if found and (found.origin == "cache" or shutil.which(name) != str(found.path)) and found.path.exists():
                targets[name] = found.path
    text = LAUNCHER_TEXT if launcher else ""
    listing = "\n".join(["hard", *(f"{name}={path}" for name, path in sorted(targets.items())), text])
    directory = cache.root() / f"bin-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"
    if directory.exists():
        return directory
    with cache.locked("links", waiting=lambda: None) as parent:
        if directory.exists():
            return directory
        with cache.workspace(parent) as work:
            made = work / "bin"
            made.mkdir()
            for name, path in targets.items():
                # Pulumi looks for its language host beside the file it runs from, behind any symbolic link, and warns
                # about one it finds elsewhere: a hard link is beside.
                if launcher and name.startswith("pulumi"):
                    _link(path, made / name)
                else:
                    (made / name).symlink_to(path)
            if launcher:
                (made / LAUNCHER).write_text(text, encoding="utf-8")
                (made / LAUNCHER).chmod(0o755)
            made.rename(directory)
    return directory


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)
