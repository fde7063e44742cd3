"""What other Pulumi programs import of this project: `from observability_stack import Stack` (docs/reuse.md).

The packages behind it have plain names, as a program's own directories may: one that hides another is refused here.
"""

from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("components", "dashboards", "processes", "specs", "tools")


def hidden(root: Path) -> list[str]:
    """A line for each of our packages, which stand in `root`, that something else hides."""
    lines: list[str] = []
    for name in _PACKAGES:
        found = find_spec(name)
        place = (
            Path(next(iter(found.submodule_search_locations), ""))
            if found and found.submodule_search_locations
            else None
        )
        if place is None or place.resolve() != (root / name).resolve():
            there = place or (found.origin if found else None) or "nothing"
            lines.append(
                f"{there}: hides the package {name} of observability-stack"
                " (accepted: another name for it, or the plugin instead of the import: docs/reuse.md)"
            )
    return lines


if _lines := hidden(Path(__file__).resolve().parent.parent):
    raise ImportError("\n".join(_lines))

from components import runtimes  # noqa: E402 - ours, now that this is sure
from components.part import Part  # noqa: E402
from components.reusable import Stack, StackArgs  # noqa: E402
from components.runtimes import Runtime  # noqa: E402
from specs.settings import Settings, load  # noqa: E402
from specs.stack import build  # noqa: E402

__all__ = ["Part", "Runtime", "Settings", "Stack", "StackArgs", "build", "load", "runtimes"]
