"""A real Alertmanager on loopback, for tests."""

import json
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from processes.place import executable
from specs.monitoring import to_yaml


def lay_out(root: Path, config: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Write an Alertmanager's configuration and the files beside it, as a stack would place them."""
    (root / "data").mkdir(parents=True)
    for path, text in {**files, "alertmanager.yml": to_yaml(config)}.items():
        file = root / "config" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@contextmanager
def running(root: Path) -> Generator[str]:
    """A real Alertmanager with what was laid out in `root`; its API's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    argv = [
        str(executable("alertmanager")),
        "--config.file=../config/alertmanager.yml",
        "--storage.path=.",
        f"--web.listen-address={address}",
        "--web.external-url=http://alerts.example.com",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    ]
    said = root / "log"
    with said.open("wb") as log:
        process = subprocess.Popen(argv, cwd=root / "data", stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, said.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, said.read_text(encoding="utf-8")
            try:
                if httpx.get(f"http://{address}/-/ready", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"http://{address}/api/v2"
    finally:
        process.terminate()
        process.wait(timeout=30)


def fire(api: str, alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Alertmanager's view of `alerts`, each with its labels and what else it has, once all of them are taken."""
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = json.dumps([{"endsAt": ends, **alert} for alert in alerts])
    headers = {"content-type": "application/json"}
    assert httpx.post(f"{api}/alerts", content=body, headers=headers, timeout=30).status_code == 200
    deadline = time.monotonic() + 20
    while True:
        found: list[dict[str, Any]] = httpx.get(f"{api}/alerts", timeout=30).json()
        if len(found) == len(alerts) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
