"""One API server for all tests of this folder: each uses namespaces of its own."""

from collections.abc import Iterator

import pytest

from tests.kubernetes.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server that nothing was applied to by others than tests."""
    with ControlPlane.running(tmp_path_factory.mktemp("kubernetes") / "control-plane") as made:
        yield made
