"""Where a stack lives, and who may look into it."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from processes import home as module
from processes.errors import ProcessError
from processes.home import Home, of_stack


def modes(directory: Path) -> dict[str, int]:
    """Permissions of a directory and of all below it."""
    return {
        str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in (directory, *directory.rglob("*"))
    }


def test_a_short_home_holds_its_socket() -> None:
    """Proves that the control socket stands with the rest of supervisor where the path allows it."""
    home = Home(Path("/srv/h"))
    assert home.socket == Path("/srv/h/supervisor/supervisor.sock")


def test_a_home_too_long_for_a_socket_has_it_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that the path stays within what a socket may have, differs from stack to stack, and not by TMPDIR."""
    one, two = (Home(tmp_path / ("long-" * 20) / name) for name in ("one", "two"))
    before = one.socket
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    digest = hashlib.sha256(os.fsencode(one.path)).hexdigest()[:16]
    assert one.socket == before == Path(f"/tmp/observability-{os.getuid()}/{digest}.sock")  # noqa: S108 - as documented
    assert one.socket != two.socket


def test_the_limit_counts_bytes() -> None:
    """Proves that 100 bytes are the last that stand in the home, and that letters of two bytes count as two."""
    tail = len("/supervisor/supervisor.sock")
    fits = Home(Path("/" + "a" * (100 - tail - 1)))
    assert (len(os.fsencode(fits.socket)), fits.socket.is_relative_to(fits.path)) == (100, True)
    assert not Home(Path("/" + "a" * (100 - tail))).socket.is_relative_to("/a")
    assert not Home(Path("/" + "é" * 50)).socket.is_relative_to("/é")
    assert Home(Path("/" + "é" * 50)).socket.parent == Path(f"/tmp/observability-{os.getuid()}")  # noqa: S108


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_what_is_made_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    """Proves that every directory has mode 0700, whatever the umask, and that making twice changes nothing."""
    home = Home(tmp_path / "state" / "local")
    before = os.umask(umask)
    try:
        home.make()
        home.make()
    finally:
        os.umask(before)
    assert modes(home.path) == dict.fromkeys(
        [".", "registry", "registry/logs", "registry/scrape", "supervisor", "supervisor/programs"], 0o700
    )


def test_a_lock_alone_makes_the_home_for_its_owner_alone(tmp_path: Path) -> None:
    """Proves that the first command that only takes a lock does not leave a home that all can read."""
    home = Home(tmp_path / "home")
    with home.lock("start"):
        assert home.path.stat().st_mode & 0o777 == 0o700


def test_the_socket_directory_of_a_long_home_is_made(tmp_path: Path) -> None:
    """Proves that it is there after `make`, for its owner alone."""
    home = Home(tmp_path / ("long-" * 20) / "home")
    home.make()
    assert home.socket.parent.stat().st_mode & 0o777 == 0o700


def test_a_socket_directory_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that nobody who can write to the common directory can say where our control socket stands."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.setattr(module.Home, "socket", link / "x.sock")
    with pytest.raises(ProcessError) as problem:
        Home(tmp_path / "home").make()
    assert str(problem.value) == f"{link} is not a directory of yours (remove it)"


def test_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    """Proves that a lock holds back threads of the same process, too, and only those that want the same one."""
    home, order = Home(tmp_path / "home"), list[str]()

    def other() -> None:
        with home.lock("a"):
            order.append("second")

    with home.lock("a"):
        thread = threading.Thread(target=other)
        thread.start()
        with home.lock("b"):
            thread.join(0.2)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_a_stack_lives_in_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves where stacks are: beside the project, or where OBSERVABILITY_STATE says."""
    monkeypatch.delenv("OBSERVABILITY_STATE", raising=False)
    assert of_stack("local") == Home(Path(module.__file__).resolve().parents[1] / ".state" / "local")
    monkeypatch.setenv("OBSERVABILITY_STATE", str(tmp_path))
    assert of_stack("local") == Home(tmp_path / "local")
