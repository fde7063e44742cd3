"""Homes with a real supervisor, and the small program."""

from collections.abc import Generator
from pathlib import Path

import pytest

from processes import supervision
from processes.home import Home
from tests.processes.support import App


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[Home]:
    """Run a supervisor for the tests of a file; each uses a program with a name of its own."""
    home = Home(tmp_path_factory.mktemp("shared") / "home")
    supervision.start(home)
    try:
        yield home
    finally:
        supervision.stop(home)


@pytest.fixture
def home(tmp_path: Path) -> Generator[Home]:
    """Return a home in which nothing runs yet; nothing runs in it afterwards either."""
    home = Home(tmp_path / "home")
    try:
        yield home
    finally:
        supervision.stop(home)


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Return the small program, written and not started."""
    return App.make(tmp_path, f"app-{tmp_path.name.replace('_', '-')}"[:60])
