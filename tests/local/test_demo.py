"""The sample app finds the stack by its outputs; its load and its troubles are seen."""

import httpx
import pytest

from processes.home import Home
from tests.local.stacks import Local, eventually
from tools.demonstration import SCENARIOS


def test_demo_shows_an_application_in_trouble(local: Local) -> None:
    """Proves that `make demo SCENARIO=errors` is scraped, logged and traced under its own name, with its errors."""
    done = local.cli("demo", "--scenario", "errors", "--run-time", "15s")
    try:
        assert "what the stack saw" in done.stdout
        requests = local.query('sum by (app, environment, job) (http_requests_total{app="sample-app"})')
        assert requests[0]["metric"] == {"app": "sample-app", "environment": "test", "job": "applications"}
        assert (local.value('sum(http_requests_total{app="sample-app", status="500"})') or 0) > 0
        stream = eventually(lambda: local.logs('{app="sample-app", severity_text="ERROR"}'))[0]["stream"]
        eventually(lambda: local.trace(stream["trace_id"]), 20, "the trace of an error's log line")
        eventually(lambda: local.query('traces_span_metrics_calls_total{app="sample-app"}'), 40, "span metrics")
        exemplars = httpx.get(
            f"{local.url(9090)}/api/v1/query_exemplars",
            params={
                "query": 'http_request_duration_seconds_bucket{app="sample-app"}',
                "start": "0",
                "end": "9999999999",
            },
            timeout=5,
        ).json()["data"]
        assert exemplars
    finally:
        local.cli("demo-stop")
    assert eventually(lambda: not local.query('up{app="sample-app"} == 1'), 90, "the app is no longer scraped")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "fire"], f"SCENARIO=fire: no such scenario (accepted: {', '.join(SCENARIOS)})\n"),
        (["--run-time", "forever"], "RUN_TIME=forever: not a run time (accepted: like 90s or 2m, at most 30m)\n"),
        (["--run-time", "31m"], "RUN_TIME=31m: not a run time (accepted: like 90s or 2m, at most 30m)\n"),
    ],
)  # fmt: skip
def test_demo_refuses_what_it_does_not_know(local: Local, arguments: list[str], message: str) -> None:
    """Proves that a wrong option is one line with what is accepted, and that no app is started."""
    done = local.cli("demo", *arguments, check=False)
    assert (done.returncode, done.stderr) == (1, message)
    assert not Home(local.project / ".state" / "sample-app").path.joinpath("supervisor", "supervisord.pid").exists()
