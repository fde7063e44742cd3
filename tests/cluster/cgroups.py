"""Where the kernel counts what containers use: the one thing of a node that is below the machine's own."""

import os
import time
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NEEDED = ("cpu", "cpuset", "hugetlb", "io", "memory", "pids")
"""Controllers of version 2 that kubelet asks for, where the kernel has them."""
_STOP_SECONDS = 30


def make(name: str) -> None:
    """Make `name` in each of the machine's hierarchies."""
    for top in _hierarchies():
        if top == _ROOT:
            for controller in _NEEDED:
                # They are on already wherever containers run.
                with suppress(OSError):
                    (top / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        (top / name).mkdir()


def _hierarchies() -> list[Path]:
    """One where version 2 of cgroups has all controllers, else one for each controller."""
    below = [place for place in _ROOT.iterdir() if place.is_dir() and not place.is_symlink()]
    whole = (_ROOT / "cgroup.controllers").exists()
    return [_ROOT] if whole else [place for place in below if (place / "cgroup.procs").exists()]


def remove(name: str) -> None:
    """Remove what containers of a node left below `name` in the machine's hierarchies."""
    deadline = time.monotonic() + _STOP_SECONDS
    for top in _hierarchies():
        root = top / name
        if not root.is_dir():
            continue
        for place, _, _ in os.walk(root, topdown=False):
            # The kernel takes a moment over processes that were killed.
            while Path(place).is_dir() and time.monotonic() < deadline:
                with suppress(OSError):
                    Path(place).rmdir()
                    break
                time.sleep(0.05)
