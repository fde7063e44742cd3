"""What a stack survives: killed programs, a killed supervisor, being taken down and brought up again."""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from processes import keeper, supervision
from tests.local.old_clients import zipkin_http
from tests.local.stacks import Local, eventually
from tests.local.test_up import PARTS

HEALTH = {
    "prometheus": (9090, "/-/ready"),
    "alertmanager": (9093, "/-/ready"),
    "loki": (3100, "/ready"),
    "jaeger": (13134, "/status"),
    "collector": (13133, "/"),
    "node-exporter": (9100, "/"),
    "blackbox-exporter": (9115, "/-/healthy"),
    "postgres-exporter-main": (9187, "/"),
    "redis-exporter-main": (9121, "/health"),
    "nginx-exporter-main": (9113, "/"),
    "flower-main": (5555, "/healthcheck"),
}


def healthy(local: Local, name: str) -> bool:
    """Whether a part answers its health check."""
    port, path = HEALTH[name]
    return httpx.get(f"{local.url(port)}{path}", timeout=3).status_code == 200


def await_healthy(local: Local, unlike: Mapping[str, int] | None = None) -> None:
    """Until every part answers, from other processes than those in `unlike`."""

    def all_are() -> bool:
        pids = local.pids()
        anew = all(pids.get(name) not in (0, None, pid) for name, pid in (unlike or {}).items())
        return anew and all(healthy(local, name) for name in HEALTH)

    eventually(all_are, 90, "every part healthy")


def leave_traces(local: Local) -> tuple[float, str, str]:
    """A sample, a log line and a trace that must survive: time of the sample, text of the line, id of the trace."""
    at = float(eventually(lambda: local.value('timestamp(up{job="prometheus"})'), 20, "a sample"))
    word = f"survivor-{time.time_ns()}"
    directory = Path(local.outputs()["logs"]["directory"]) / "shop"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "survivor.json").open("a") as log:
        log.write(json.dumps({"level": "info", "message": word}) + "\n")
    trace_id = zipkin_http(local.url(9411), "survivor", word)
    eventually(lambda: local.logs(f'{{service_name="survivor"}} |= "{word}"'), 20, "the log line")
    eventually(lambda: local.trace(trace_id), 20, "the trace")
    return at, word, trace_id


def assert_kept(local: Local, left: tuple[float, str, str]) -> None:
    """What `leave_traces` left is still there."""
    at, word, trace_id = left
    assert eventually(lambda: local.query(f'up{{job="prometheus"}} @ {at}'), 20, "the sample")[0]["value"][1] == "1"
    eventually(lambda: local.logs(f'{{service_name="survivor"}} |= "{word}"'), 30, "the log line")
    eventually(lambda: local.trace(trace_id), 20, "the trace")


def test_the_list_of_parts_is_complete(local: Local) -> None:
    """Proves that the tests below kill every program there is."""
    assert set(HEALTH) == PARTS == set(local.pids())


def test_killed_programs_come_back_with_what_they_stored(local: Local) -> None:
    """Proves that each program survives kill -9, by supervisor, with its samples, logs and traces."""
    left = leave_traces(local)
    before = local.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    await_healthy(local, unlike=before)
    assert_kept(local, left)


def test_a_killed_supervisor_comes_back_and_leaves_no_orphans(local: Local) -> None:
    """Proves that the keeper ends what a killed supervisor left, starts it anew, and that all data is there."""
    left = leave_traces(local)
    before = local.pids()
    found = keeper.supervisor(local.home)
    assert found is not None
    found.kill()
    await_healthy(local, unlike=before)
    assert not [pid for pid in before.values() if psutil.pid_exists(pid)]
    assert_kept(local, left)


def test_a_killed_keeper_is_replaced_by_up_without_a_restart(local: Local) -> None:
    """Proves that programs do not depend on the keeper, and that the next up brings it back."""
    before = local.pids()
    pid = int((local.home.supervision / "keeper.pid").read_text())
    psutil.Process(pid).kill()
    eventually(lambda: not keeper.is_kept(local.home))
    supervision.start(local.home)
    assert keeper.is_kept(local.home)
    assert local.pids() == before


def test_down_leaves_nothing_and_up_still_has_the_data(local: Local) -> None:
    """Proves that `down` ends every process and frees every port, keeps data, and that `up` shows it again."""
    left = leave_traces(local)
    local.cli("down")
    assert local.processes() == []
    listening = {
        c.laddr.port for c in psutil.net_connections(kind="inet") if c.laddr and c.status in ("LISTEN", "NONE")
    }
    assert not {port + local.offset for port, _ in HEALTH.values()} & listening
    local.cli("up")
    await_healthy(local)
    assert_kept(local, left)


def test_after_a_reboot_a_plain_up_starts_everything(local: Local) -> None:
    """Proves that a state which says `running` is not believed: what is gone is started, though nothing changed."""
    supervision.stop(local.home)
    assert local.processes() == []
    local.pulumi("up", "--yes", "--skip-preview", "--stack", local.name)
    await_healthy(local)


@pytest.mark.parametrize("again", [1, 2])
def test_down_twice_is_no_error(local: Local, again: int) -> None:
    """Proves that `down` of what is down says so and does nothing."""
    assert "is down" in local.cli("down").stdout, again
    if again == 2:
        local.cli("up")
