"""Backup, restore and the disaster drill, on a real stack of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.local.servers import free_offset
from tests.local.stacks import Local, eventually

TRACE = "5b8aa5a2d2c872e8321cf37308d69df2"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A small stack, with a secret."""
    made = Local.make(tmp_path_factory.mktemp("kept") / "project", "kept", free_offset())
    made.write(
        {
            "environment": "test",
            "cluster": "ci",
            "runtime": "process",
            "port_offset": made.offset,
            "scrape_interval": "1s",
            "alerting": {
                "default": "team",
                "receivers": {"team": {"webhook": {"url": {"secret": "hook-url"}}}},
            },
        },
        hook_url="http://127.0.0.1:9/canary-4714",
    )
    try:
        made.cli("up")
        yield made
    finally:
        made.cli("down", check=False)


def _write_something(stack: Local) -> float:
    """A log line, a trace and a silence; return a time at which Prometheus had samples."""
    now = time.time_ns()
    pushed = {"streams": [{"stream": {"app": "shop"}, "values": [[str(now), "needle-kept"]]}]}
    httpx.post(f"{stack.url(3100)}/loki/api/v1/push", json=pushed, timeout=5).raise_for_status()
    span = {
        "traceId": TRACE,
        "spanId": "051581bf3cb55c13",
        "name": "kept",
        "kind": 2,
        "startTimeUnixNano": str(now - 10**9),
        "endTimeUnixNano": str(now),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    spans = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    httpx.post(f"{stack.url(4318)}/v1/traces", json=spans, timeout=5).raise_for_status()
    silence = {
        "matchers": [{"name": "alertname", "value": "Kept", "isRegex": False, "isEqual": True}],
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
        "createdBy": "drill",
        "comment": "needle-silence",
    }
    httpx.post(f"{stack.url(9093)}/api/v2/silences", json=silence, timeout=5).raise_for_status()
    eventually(lambda: stack.trace(TRACE), 30, "the trace")
    eventually(lambda: stack.value('up{job="prometheus"}') == 1, 30, "a sample")
    return time.time()


def _is_there(stack: Local, at: float) -> None:
    """Samples, the log line and the trace that `_write_something` wrote can be read."""
    eventually(lambda: stack.logs('{app="shop"} |= "needle-kept"'), 30, "the log line")
    eventually(lambda: stack.trace(TRACE), 30, "the trace")
    params = {"query": 'up{job="prometheus"}', "time": str(at)}
    answer = httpx.get(f"{stack.url(9090)}/api/v1/query", params=params, timeout=5).json()
    assert [found["value"][1] for found in answer["data"]["result"]] == ["1"]


def _is_silenced(stack: Local) -> None:
    """The silence is in effect. Alertmanager writes it when it ends, and every minute: a crash loses newer ones."""
    silences = httpx.get(f"{stack.url(9093)}/api/v2/silences", timeout=5).json()
    assert [(each["comment"], each["status"]["state"]) for each in silences] == [("needle-silence", "active")]


@pytest.fixture(scope="module")
def written(kept: Local) -> float:
    """When something was written to the stack."""
    return _write_something(kept)


@pytest.fixture(scope="module")
def backup(kept: Local, written: float) -> Path:
    """A backup of it, made while it runs."""
    del written
    file = kept.project / "kept.tar"
    before = kept.pids()
    done = kept.cli("backup", "--out", str(file))
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == [
        "prometheus", "alertmanager", "loki", "jaeger", "collector",
    ]  # fmt: skip
    assert before.keys() == kept.pids().keys()
    assert file.stat().st_mode & 0o777 == 0o600
    return file


def _refused(stack: Local, *arguments: str) -> str:
    """The one line by which a command is refused."""
    done = stack.cli(*arguments, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_backup_is_not_put_into_a_stack_that_is_up(kept: Local, backup: Path) -> None:
    """Proves that a restore touches nothing while programs run, and that a backup writes over no file."""
    assert _refused(kept, "restore", "--from", str(backup)) == (
        "make restore: stack kept is up (accepted: one that is down: make down STACK=kept)"
    )
    assert _refused(kept, "backup", "--out", str(backup)) == f"--out {backup}: there already (accepted: a new file)"
    assert _refused(kept, "backup", "--part", "lokki").startswith(
        "--part lokki: no part that keeps data (accepted: pro"
    )


def test_what_was_written_is_back_after_everything_was_deleted(kept: Local, written: float, backup: Path) -> None:
    """Proves that samples, log lines, traces and silences are read back from a stack whose whole directory was
    deleted, and that a stack which holds data is not written over."""
    kept.cli("down")
    data = kept.home.data("prometheus")
    assert _refused(kept, "restore", "--from", str(backup)) == (
        f"{data}: holds data (accepted: an empty place: make down STACK=kept PURGE=1)"
    )
    kept.cli("down", "--purge")
    assert not kept.home.path.exists()
    done = kept.cli("restore", "--from", str(backup))
    assert done.stdout.splitlines()[0] == "prometheus: restored"
    kept.cli("up")
    _is_there(kept, written)
    _is_silenced(kept)


def test_a_damaged_backup_is_refused_before_anything_is_touched(kept: Local, backup: Path, tmp_path: Path) -> None:
    """Proves that one changed byte, a missing end, and a file that is no backup are each told as that."""
    damaged = tmp_path / "damaged.tar"
    content = bytearray(backup.read_bytes())
    at = content.index(b"needle-kept")
    content[at] ^= 1
    damaged.write_bytes(content)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(backup.read_bytes()[: len(content) // 2])
    other = tmp_path / "other.tar"
    other.write_text("no tar", encoding="utf-8")
    kept.file.with_name("Pulumi.empty.yaml").write_bytes(kept.file.read_bytes())
    for file, said in (
        (damaged, "damaged: loki/data/"),
        (cut, "no whole backup: "),
        (other, "no whole backup: "),
        (tmp_path / "absent.tar", "cannot be read: No such file"),
    ):
        command = [sys.executable, "-m", "tools.cli", "restore", "--stack", "empty", "--from", str(file)]
        done = subprocess.run(
            command, cwd=kept.project, env=kept.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"{file}: {said}"), done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (kept.project / ".state" / "empty").exists()


@contextmanager
def _up_in_the_background(stack: Local) -> "Generator[subprocess.Popen[str]]":
    """`make up` in a session of its own, which is over when this ends."""
    command = [sys.executable, "-m", "tools.cli", "up", "--stack", stack.name]
    with subprocess.Popen(
        command,
        cwd=stack.project,
        env=stack.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            _signal_session(process.pid, signal.SIGKILL)


def _signal_session(leader: int, number: int) -> None:
    """Send a signal to everything that the command started: engine and plugins are of its session."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.send_signal(number)
        except (ProcessLookupError, psutil.Error):
            continue


def test_two_operators_and_a_machine_that_goes_down_in_an_update(kept: Local, written: float) -> None:
    """Proves that a second `up` is refused by the first one's lock, that after everything was killed in the middle of
    an update (engine, supervisor and programs, as when the power goes) the lock is still there, and that
    `pulumi cancel` and `up` bring the stack back with its data."""
    locks = kept.project / ".state" / "pulumi" / ".pulumi" / "locks"
    kept.settings(lambda settings: settings.update(scrape_interval="2s"))
    with _up_in_the_background(kept) as first:
        eventually(lambda: list(locks.rglob("*.json")), 60, "the lock")
        _signal_session(first.pid, signal.SIGSTOP)
        second = kept.cli("up", check=False)
        assert second.returncode != 0
        assert "the stack is currently locked by 1 lock(s)" in second.stdout + second.stderr
        victims = kept.processes()
        _signal_session(first.pid, signal.SIGKILL)
        for process in victims:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
    assert list(locks.rglob("*.json"))
    assert "is currently locked" in (done := kept.cli("up", check=False)).stdout + done.stderr
    kept.pulumi("cancel", "--yes", "--stack", kept.name)
    kept.cli("up")
    _is_there(kept, written)
    config = httpx.get(f"{kept.url(9090)}/api/v1/status/config", timeout=5).json()["data"]["yaml"]
    assert "scrape_interval: 2s" in config


def test_a_lost_state_is_made_anew_over_the_data(kept: Local, written: float) -> None:
    """Proves that a stack whose engine's state is gone comes up again by `up` over what runs and what is kept."""
    shutil.rmtree(kept.project / ".state" / "pulumi")
    kept.cli("up")
    _is_there(kept, written)
    state = json.loads(kept.pulumi("stack", "export", "--stack", kept.name).stdout)
    names = {resource["urn"].rpartition("::")[2] for resource in state["deployment"]["resources"]}
    assert {"prometheus", "loki", "jaeger", "alertmanager", "collector"} <= names


def test_a_lost_key_costs_the_secrets_and_no_data(kept: Local, written: float) -> None:
    """Proves that a stack whose passphrase and state are gone comes up again once its secrets are set anew, as
    docs/operations/disaster-drill.md says, with its data."""
    state = kept.project / ".state"
    for lost in ("pulumi", "config"):
        shutil.rmtree(state / lost)
    (state / "passphrase").unlink()
    content = yaml.safe_load(kept.file.read_text(encoding="utf-8"))
    settings = content["config"]["observability:settings"]
    kept.write(settings, hook_url="http://127.0.0.1:9/another-canary")
    kept.cli("up")
    _is_there(kept, written)
