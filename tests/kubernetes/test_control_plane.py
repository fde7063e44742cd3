"""The API server that the tests of this folder believe."""

import stat
from pathlib import Path

import pytest

from tests.kubernetes.control_plane import NOBODY, ControlPlane, NotStartedError, Options


def test_it_asks_who_somebody_is_and_what_they_may(control_plane: ControlPlane) -> None:
    """An administrator sees namespaces, somebody without rights is refused, and somebody unknown is not known."""
    refused = control_plane.kubectl("get", "namespaces", user=NOBODY, check=False)
    with control_plane.client() as client:
        unknown = client.get("/api/v1/namespaces", headers={"authorization": "Bearer made-up"})

    assert "default" in control_plane.kubectl("get", "namespaces").stdout
    assert (refused.returncode, "Forbidden" in refused.stderr) == (1, True)
    assert unknown.status_code == 401


def test_nobody_else_reads_its_credentials(control_plane: ControlPlane) -> None:
    """Tokens, keys and kubeconfigs are for the user who runs the tests only."""
    private = [
        control_plane.kubeconfig(),
        control_plane.directory / "tokens.csv",
        control_plane.account_key,
        control_plane.authority.own.key,
    ]

    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    """Its own words are in the error, and no etcd is left running."""
    with (
        pytest.raises(NotStartedError, match="unknown flag: --no-such-flag"),
        ControlPlane.running(tmp_path / "broken", Options(flags=("--no-such-flag",))),
    ):
        pass

    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if not _is_gone(file)]
    assert not [command for command in commands if str(tmp_path).encode() in command]


def _is_gone(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return True
    return False
