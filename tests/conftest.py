"""How tests are shared between processes: `make test` runs one for each core."""

from pathlib import Path

import pytest

_ROOT = Path(__file__).parent
_ONE_AT_A_TIME = frozenset({"cluster", "examples", "loadtests", "local", "processes"})
"""Folders whose tests start what the machine should not see twice, or measure: all of them run in one process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module together, for the sake of what they share, and those of some folders, too."""
    for item in items:
        place = item.path.relative_to(_ROOT)
        group = "the machine" if place.parts[0] in _ONE_AT_A_TIME else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
