"""How a Grafana on PATH is started: its installation is found, and relative paths become absolute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.grafana import environment, installation

ROOT = Path(__file__).resolve().parents[2]


def _install(prefix: Path, executable: str, share: str) -> Path:
    (prefix / share / "conf").mkdir(parents=True)
    (prefix / share / "conf" / "defaults.ini").touch()
    program = prefix / executable
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(
        '#!/bin/sh\n[ "$1" = "--version" ] && echo "grafana version 13.2.0" && exit\n'
        'echo "$@"; echo "$GF_PATHS_DATA $GF_PATHS_PROVISIONING $GF_SERVER_HTTP_PORT"\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("executable", "share"),
    [("grafana/bin/grafana", "grafana"), ("bin/grafana", "share/grafana")],
    ids=["archive", "package"],
)
def test_the_installation_is_found_around_the_executable(tmp_path: Path, executable: str, share: str) -> None:
    """Proves that both usual layouts are known, also behind a symbolic link."""
    program = _install(tmp_path, executable, share)
    link = tmp_path / "link"
    link.symlink_to(program)
    assert installation(program) == installation(link) == tmp_path / share


def test_paths_become_absolute_and_the_rest_stays() -> None:
    """Proves that only Grafana's paths are touched."""
    base = {"GF_PATHS_DATA": ".", "GF_PATHS_PROVISIONING": "../config/provisioning", "GF_LOG_LEVEL": "warn"}
    assert environment(base, Path("/home/grafana/data")) == {
        "GF_PATHS_DATA": "/home/grafana/data",
        "GF_PATHS_PROVISIONING": "/home/grafana/config/provisioning",
        "GF_LOG_LEVEL": "warn",
    }


def test_grafana_is_executed_with_its_home(tmp_path: Path) -> None:
    """Proves that the process becomes the grafana it is given, told where that is installed; PATH has no part in it."""
    program = _install(tmp_path, "bin/grafana", "share/grafana")
    (tmp_path / "data").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tools.grafana", str(program)],
        cwd=tmp_path / "data",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GF_PATHS_DATA": ".",
            "GF_PATHS_PROVISIONING": "../config/provisioning",
            "GF_SERVER_HTTP_PORT": "3000",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"server --homepath={tmp_path}/share/grafana",
        f"{tmp_path}/data {tmp_path}/config/provisioning 3000",
    ]
