"""The stand-in as a process: its pages, its files, its spans, its end."""

import json
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from sample_app.impersonation import command, levels
from sample_app.impersonation.pages import nested
from sample_app_support import ReceivedSpan, Receiver, clean_environment, eventually, receiving

from specs import profile
from tests.examples.stand_in import Running, running

SIXTH = """\
owner: somebody
services:
  web: {}
  worker: {}
exporters: [redis]
metrics:
  jobs_total: {kind: counter, service: worker, healthy: 3}
probes:
  web: {service: web, path: /ready}
json_pages:
  depth: {service: web, path: /depth, metrics: {queue_depth: "{ .queue.depth }", queue_healthy: "{ .queue.healthy }"}}
signals:
  healthy: {title: Queue Healthy, unit: state, value: queue_healthy, combine: min}
alerts:
  - {name: QueueUnhealthy, signal: healthy, below: 1, severity: warning}
"""


@pytest.fixture(scope="module")
def receiver() -> Generator[Receiver]:
    """Receive traces."""
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def assistant(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """The largest system, well."""
    directory = tmp_path_factory.mktemp("assistant")
    with running(directory, "--system", "personal-assistant", endpoint=receiver.url) as one:
        yield one


def test_counters_move_between_two_scrapes(assistant: Running) -> None:
    """Proves that a counter grows at its healthy rate by the time that really passed."""
    before, at = assistant.total("http_requests"), time.monotonic()
    time.sleep(1)
    grown, passed = assistant.total("http_requests") - before, time.monotonic() - at
    assert grown == pytest.approx(110 * passed, rel=0.15)


@pytest.mark.usefixtures("assistant")
def test_spans_arrive_as_trees(receiver: Receiver) -> None:
    """Proves that each request is a root span by its route, of the system, with what it waited for below."""

    def whole() -> list[ReceivedSpan]:
        roots = [span for span in list(receiver.spans) if not span.parent_id and "http.route" in span.attributes]
        return [root for root in roots if len(receiver.trace(root.trace_id)) > 1]

    root = eventually(whole, "a trace with children", 10)[0]
    assert root.resource["app"] == "personal-assistant"
    assert root.resource["service.name"] == "personal-assistant-api"
    assert root.attributes["http.route"] in {"/chat", "/todos", "/sms"}
    assert root.name == f"{root.attributes['http.request.method']} {root.attributes['http.route']}"
    for child in receiver.trace(root.trace_id):
        assert child is root or child.parent_id == root.span_id


def test_exemplars_lead_to_spans(assistant: Running, receiver: Receiver) -> None:
    """Proves that a latency bucket's exemplar is the trace of a real span."""

    def exemplars() -> list[str]:
        samples = assistant.families()["http_request_duration_seconds"].samples
        return [sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar is not None]

    trace_id = eventually(exemplars, "an exemplar", 10)[0]
    assert eventually(lambda: receiver.trace(trace_id), "the trace of an exemplar", 10)


def test_each_source_has_its_file(assistant: Running, receiver: Receiver) -> None:
    """Proves that lines of every source arrive, and that a request's line names its trace."""
    names = {
        *("api.json", "worker.json", "scheduler.json", "nginx.nginx-access.log", "nginx-error.nginx-error.log"),
        *("database.postgres.log", "redis.redis.log"),
    }
    assert {path.name for path in assistant.logs.iterdir()} == names

    def traced() -> list[dict[str, object]]:
        lines = (assistant.logs / "api.json").read_text().splitlines(keepends=True)
        return [found for line in lines if line.endswith("\n") and "trace_id" in (found := json.loads(line))]

    line = eventually(traced, "a request's line", 10)[0]
    assert eventually(lambda: receiver.trace(str(line["trace_id"])), "the trace of a line", 10)
    assert eventually((assistant.logs / "nginx.nginx-access.log").read_text, "a line of nginx")


def test_exporters_and_pages_answer(assistant: Running) -> None:
    """Proves that exporters, probes' paths, JSON pages and routes answer, JSON by the paths that the profile reads."""
    found = profile.find("personal-assistant", None, file="", key="")
    for name in (*found.exporters, "json", "blackbox"):
        assert assistant.families(f"/exporters?name={name}")
    for path in ("/chat", "/alive", "/health", *(probe.path for probe in found.probes.values())):
        assert assistant.client.get(path).status_code == 200, path
    page = assistant.client.get("/health/database").json()
    assert page["connection_pool"] == {"size": 10, "active": 3, "idle": 7}
    assert set(assistant.client.get("/health/database/performance").json()["metrics"]) == {
        *("response_time_p95_ms", "slow_query_count", "connection_efficiency"),
    }
    missing = assistant.client.get("/exporters?name=oracle")
    assert missing.status_code == 404
    assert missing.text.startswith("exporter 'oracle': no such page (accepted: node, postgres, redis, nginx, celery, ")
    assert assistant.client.get("/nothing").status_code == 404


def test_a_profile_of_ones_own_stands_and_fails(tmp_path: Path) -> None:
    """Proves that services have pages of their own, that a failing part shows in the page of JSON and in its metric,
    that a failing probe answers 503, and that SIGTERM ends it all quickly and well."""
    (tmp_path / "sixth.yaml").write_text(SIXTH)
    options = ["--system", "sixth", "--profile", "sixth.yaml", "--fail", "QueueUnhealthy", "--fail", "ProbeFailed"]
    with running(tmp_path, *options) as one:
        assert "jobs" in one.families("/metrics?service=worker")
        assert "jobs" not in one.families("/metrics")
        assert one.client.get("/depth").json() == {"queue": {"depth": 5, "healthy": False}}
        assert one.families("/exporters?name=json")["queue_healthy"].samples[0].value == 0
        assert one.client.get("/ready").status_code == 503
        assert one.families("/exporters?name=blackbox")["probe_success"].samples[0].value == 0
        start = time.monotonic()
        one.process.terminate()
        assert one.process.wait(10) == 0
        assert time.monotonic() - start < 3
        assert len(one.stdout.read_text().splitlines()) == 1
        assert one.stderr.read_text() == ""


def test_what_is_down_listens_and_says_so(tmp_path: Path) -> None:
    """Proves that everything answers 503 in words, but for the page that tells that the stand-in itself runs."""
    with running(tmp_path, "--system", "wwmaa", "--down") as one:
        for path in ("/metrics", "/health", "/exporters?name=redis", "/members"):
            answer = one.client.get(path)
            assert (answer.status_code, answer.text) == (503, "wwmaa is down: this is what was asked for\n")
        assert one.client.get("/alive").status_code == 200
        time.sleep(0.6)
        assert (one.logs / "app.json").exists() is False
        assert all(path.read_text() == "" for path in one.logs.iterdir())


NOTES = profile.find("mysmartnotes", None, file="", key="")
KNOWN = ", ".join(profile.known())
WRONG = {
    "--system nothing": f"--system: nothing: no profile systems/nothing.yaml (accepted: {KNOWN}, or profile: a path of"
    " your own)",
    "--system wwmaa --profile none.yaml": "--profile none.yaml: no such file",
    "--system mysmartnotes --fail HighErrorRte": "--fail HighErrorRte: no such alert of mysmartnotes (accepted: "
    f"{', '.join(command.troubles('mysmartnotes', NOTES))})",
    "--system mysmartnotes --fail HighErrorRate@info": "HighErrorRate@info: no such alert (accepted: "
    f"{', '.join(levels.drivable(NOTES))})",
}


@pytest.mark.parametrize("options", WRONG)
def test_a_wrong_option_is_one_line(tmp_path: Path, options: str) -> None:
    """Proves that what does not exist ends the start with status 2 and what is accepted."""
    done = subprocess.run(
        [sys.executable, "-m", "sample_app", *options.split(), "--port", "0"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sample-app cannot start: {WRONG[options]}\n"


def test_troubles_are_the_alerts_of_the_profile_and_those_on_lines() -> None:
    """Proves that each alert of the profile is accepted, and log alerts where the system has lines to bear them."""
    accepted = command.troubles("mysmartnotes", NOTES)
    assert {alert.name for alert in NOTES.alerts} | {"ProbeFailed", "SlowQueries", "LogErrorBurst"} <= set(accepted)
    assert "LogSlowRequests" not in accepted
    assert command.troubles("silent", NOTES.model_copy(update={"logs": (), "probes": {}, "alerts": ()})) == ()


def test_json_grows_out_of_paths() -> None:
    """Proves that paths share what stands above them, and that health is told by true and false."""
    values = {"{ .a.b }": 1.5, "{ .a.c_healthy }": 1.0, "{ .d }": 3.0}
    assert nested(values) == {"a": {"b": 1.5, "c_healthy": True}, "d": 3}
