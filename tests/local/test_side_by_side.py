"""A second stack beside the first, busy ports, and the inbox that a stack without receivers uses."""

import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.local.servers import free_offset
from tests.local.stacks import Local, eventually


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, local: Local) -> Iterator[Local]:
    """A small stack with default alerting, in a project directory whose path is too long for a socket."""
    assert local.offset, "the first stack is up, so that the second finds other ports"
    deep = tmp_path_factory.mktemp("second") / ("long-" * 20) / "project"
    made = Local.make(deep, "second", free_offset())
    made.write(
        {
            "environment": "second",
            "cluster": "ci",
            "runtime": "process",
            "port_offset": made.offset,
            "scrape_interval": "1s",
            "evaluation_interval": "1s",
            "alerting": {"overrides": {"ServiceDown": {"for": "0s"}}, "grouping": {"wait": "0s", "interval": "1s"}},
        }
    )
    try:
        yield made
    finally:
        made.cli("down", "--purge", check=False)


def test_a_busy_port_is_named_with_its_holder_before_anything_starts(second: Local) -> None:
    """Proves that the message names port, part, holder and the way out, and that nothing was started."""
    with socket.socket() as holder:
        # Connections of an earlier stack may still wait for their end.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 9090 + second.offset))
        holder.listen()
        done = second.cli("up", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"port {9090 + second.offset}/tcp of prometheus is held by " in said
    assert "(pid " in said
    assert f"Pulumi.second.yaml: observability:settings.port_offset, now {second.offset}" in said
    assert "Traceback" not in said
    assert second.processes() == []


def test_two_stacks_live_side_by_side(local: Local, second: Local) -> None:
    """Proves that one setting moves every port, so that both stacks are healthy at once and see only themselves."""
    second.cli("up")
    local.cli("status")
    second.cli("status")
    for stack, environment in ((second, "second"), (local, "test")):
        eventually(partial(stack.query, "up"))
        seen = stack.query("up")
        assert {entry["metric"]["environment"] for entry in seen} == {environment}


def test_the_checkout_stays_clean(second: Local) -> None:
    """Proves that bringing a stack up writes nothing beside the state directory."""
    assert "encryptionsalt" not in second.file.read_text()


def test_the_inbox_takes_what_no_receiver_does(second: Local) -> None:
    """Proves that alerts arrive in the stack's own inbox, are counted, logged to Loki, and linked to a runbook."""
    outputs = second.outputs()
    inbox = outputs["urls"]["inbox"]
    eventually(lambda: httpx.get(f"{inbox}/healthy", timeout=3).status_code == 200)
    registered = Path(outputs["scrape"]["directory"]) / "ghost.json"
    registered.write_text(json.dumps([{"targets": ["127.0.0.1:9"], "labels": {"app": "ghost"}}]))
    arrived = eventually(lambda: httpx.get(f"{inbox}/notifications", timeout=3).json(), 90, "a notification")
    registered.unlink()
    assert arrived[-1]["labels"]["alertname"] == "ServiceDown"
    assert "ServiceDown" in httpx.get(inbox, timeout=3).text
    runbook = httpx.get(arrived[-1]["annotations"]["runbook_url"], timeout=3)
    assert runbook.status_code == 200
    assert "ServiceDown" in runbook.text
    eventually(lambda: second.logs('{service_name="inbox"} |= "ServiceDown"'), 30, "the notification in Loki")
    beat = 'inbox_last_beat_timestamp_seconds{app="observability"} > process_start_time_seconds{job="inbox"} + 1'
    eventually(lambda: second.query(f"{beat}"), 60, "a beat after the inbox started")


def test_purge_deletes_data_and_state(second: Local) -> None:
    """Proves that `down` with PURGE leaves nothing of the stack."""
    second.cli("down", "--purge")
    assert not second.home.path.exists()
    assert second.processes() == []
