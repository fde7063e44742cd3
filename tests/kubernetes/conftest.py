"""One API server for all tests of this folder: each form of the stack has namespaces of its own in it."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.kubernetes import stacks
from tests.kubernetes.applying import Applied, apply, teach_routes
from tests.kubernetes.control_plane import ControlPlane

Place = Callable[[str], Applied]
"""Applies a form of the stack, and says what the server made of it; each is applied once."""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server that knows HTTPRoutes."""
    with ControlPlane.running(tmp_path_factory.mktemp("kubernetes") / "control-plane") as made:
        teach_routes(made)
        yield made


@pytest.fixture(scope="session")
def place(control_plane: ControlPlane) -> Place:
    """What applies a form of the stack."""

    @cache
    def placed(variant: str) -> Applied:
        return apply(control_plane, stacks.rendered(variant)[1])

    return placed
