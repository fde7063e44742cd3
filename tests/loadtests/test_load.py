"""`make load` against real servers: exit statuses, reports, refusals, and nothing left behind."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.loadtests.support import Target, ended, eventually, free_port, load, serving, start
from tools import paths

SMALL = ("--scale", "0.01")


class Ran:
    """A run, and what it left."""

    def __init__(self, target: Target, report: Path, *arguments: str) -> None:
        self.target = target
        self._report = report
        self._process = start("--target", target.url, "--report", str(report), *arguments)
        self._done: tuple[int, str, str] | None = None
        self.listening: set[int] = set()

    @property
    def done(self) -> tuple[int, str, str]:
        """Exit status, output and errors, as soon as it has ended."""
        self._done = self._done or ended(self._process)
        return self._done

    @property
    def report(self) -> dict[str, Any]:
        """The report that it wrote."""
        assert self.done[2] == ""
        found: dict[str, Any] = json.loads(self._report.read_text())
        return found

    def criteria(self) -> dict[str, bool]:
        """Whether each criterion was kept."""
        return {verdict["criterion"]: verdict["passed"] for verdict in self.report["criteria"]}

    def look(self) -> None:
        """Note which ports its processes listen on."""
        with contextlib.suppress(psutil.Error):
            command = psutil.Process(self._process.pid)
            for process in (command, *command.children(recursive=True)):
                self.listening |= {
                    connection.laddr.port
                    for connection in process.net_connections()
                    if connection.status == psutil.CONN_LISTEN
                }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, Ran]]:
    """Run them beside each other, since each mostly waits."""
    at = tmp_path_factory.mktemp("reports")
    with (
        serving() as fast,
        serving(lambda number: 500 if number % 10 == 0 else 200) as failing,
        serving(seconds=0.6) as slow,
        serving(lambda _: 302) as redirecting,
        serving() as spiked,
        serving(missing=5) as broken,
    ):
        made = {
            "fast": Ran(fast, at / "fast.json", *SMALL),
            "failing": Ran(failing, at / "failing.json", *SMALL, "--app", "wwmaa"),
            "slow": Ran(slow, at / "slow.json", *SMALL, "--users", "5", "--run-time", "4s", "--app", "nobody"),
            "redirecting": Ran(redirecting, at / "redirecting.json", *SMALL, "--app", "nobody"),
            "broken": Ran(broken, at / "broken.json", *SMALL, "--app", "nobody"),
            "spike": Ran(spiked, at / "spike.json", *SMALL, "--shape", "spike"),
        }
        eventually(lambda: fast.seen.total() > 5)
        made["fast"].look()
        assert {name: run.done[2] for name, run in made.items()} == dict.fromkeys(made, "")
        yield made


def test_a_fast_system_passes(runs: dict[str, Ran]) -> None:
    """Proves exit status 0, a report with every request that the server saw and none else, and a verdict on each
    criterion, in figures and in words."""
    status, out, err = runs["fast"].done
    report = runs["fast"].report
    assert (status, err) == (0, "")
    assert out.count("passed") == 3
    assert "missed" not in out
    assert "normal, up to 1 users and 12.5 req/s for 3 s" in out
    assert (report["passed"], report["target"], report["app"], report["shape"], report["users"]) == (
        True,
        runs["fast"].target.url,
        "sample-app",
        "normal",
        1,
    )
    assert report["scale"] == 0.01
    assert 3 <= report["seconds"] < 5
    assert sum(endpoint["count"] for endpoint in report["endpoints"]) == runs["fast"].target.seen.total()
    assert {endpoint["endpoint"] for endpoint in report["endpoints"]} <= {"/products", "/products/{1..10}", "/health"}
    assert all(endpoint["statuses"] == {"200": endpoint["count"]} for endpoint in report["endpoints"])
    p95, errors, throughput = report["criteria"]
    assert (p95["criterion"], p95["endpoint"], p95["limit"], p95["unit"]) == ("p95", "all", 500, "ms")
    assert (errors["figure"], errors["limit"], errors["unit"]) == (0.0, 0.001, "share")
    assert (throughput["limit"], throughput["unit"]) == (10.0, "req/s")
    assert 10 < throughput["figure"] < 13.5


def test_nothing_listens(runs: dict[str, Ran]) -> None:
    """Proves that a run without web page opens no port."""
    assert runs["fast"].listening == set()


def test_a_failing_system_does_not_pass(runs: dict[str, Ran]) -> None:
    """Proves that one answer in ten with status 500 misses the error rate, and that only, by exit status 1."""
    assert runs["failing"].done[0] == 1
    assert runs["failing"].criteria() == {"p95": True, "error rate": False, "throughput": True}
    report = runs["failing"].report
    assert report["passed"] is False
    count = sum(endpoint["count"] for endpoint in report["endpoints"])
    failures = sum(endpoint["failures"] for endpoint in report["endpoints"])
    assert failures == sum(endpoint["statuses"].get("500", 0) for endpoint in report["endpoints"]) == count // 10
    assert {endpoint["endpoint"] for endpoint in report["endpoints"]} <= {"/", "/health", "/metrics/summary"}


def test_a_slow_system_does_not_pass(runs: dict[str, Ran]) -> None:
    """Proves that answers of 0.6 s miss p95 and, with so few users, the throughput; given users and run time hold."""
    assert runs["slow"].done[0] == 1
    assert runs["slow"].criteria() == {"p95": False, "error rate": True, "throughput": False}
    (endpoint,) = runs["slow"].report["endpoints"]
    assert (endpoint["method"], endpoint["endpoint"], endpoint["failures"]) == ("GET", "/", 0)
    assert endpoint["min_ms"] >= 600
    assert (runs["slow"].report["users"], runs["slow"].report["seconds"] >= 4) == (5, True)


def test_redirects_are_not_followed(runs: dict[str, Ran]) -> None:
    """Proves that a redirect to another machine is an answer, and no way around the refusal."""
    assert runs["redirecting"].done[0] == 0
    (endpoint,) = runs["redirecting"].report["endpoints"]
    assert endpoint["statuses"] == {"302": runs["redirecting"].target.seen.total()}
    assert endpoint["max_ms"] < 500


def test_an_answer_that_breaks_off(runs: dict[str, Ran]) -> None:
    """Proves that half an answer with status 200 is a failure, in a shape as for an endpoint by itself."""
    assert runs["broken"].done[0] == 1
    (endpoint,) = runs["broken"].report["endpoints"]
    assert endpoint["statuses"] == {"none": endpoint["count"]}
    with serving(missing=5) as target:
        status, out, _ = load("--shape", "endpoints", "--target", target.url, "--endpoints", "/", "--requests", "4")
    assert status == 1
    assert "none: 4" in out


def test_a_spike(runs: dict[str, Ran]) -> None:
    """Proves that users come and leave again within the time of the shape."""
    assert runs["spike"].done[0] == 0
    report = runs["spike"].report
    assert (report["shape"], report["users"]) == ("spike", 10)
    assert 4.2 <= report["seconds"] < 7


def test_nobody_answers(tmp_path: Path) -> None:
    """Proves that a target that is not there is a run that was missed, with every request a failure."""
    report = tmp_path / "report.json"
    url = f"http://127.0.0.1:{free_port()}"
    status, _, _ = load("--target", url, *SMALL, "--run-time", "1s", "--report", str(report), "--app", "nobody")
    (endpoint,) = json.loads(report.read_text())["endpoints"]
    assert status == 1
    assert endpoint["failures"] == endpoint["count"] > 0
    assert endpoint["statuses"] == {"none": endpoint["count"]}


def test_endpoints(tmp_path: Path) -> None:
    """Proves that each endpoint gets exactly the requests asked for, and the exact shape of the report."""
    report = tmp_path / "report.json"
    with serving() as target:
        status, out, err = load(
            *("--shape", "endpoints", "--target", target.url, "--endpoints", "/health /products /health"),
            *("--requests", "25", "--report", str(report), "--app", "shop"),
        )
        assert target.seen == {"/health": 25, "/products": 25}
    assert (status, err) == (0, "")
    assert out.count("passed") == 4
    found = json.loads(report.read_text())
    for endpoint in found["endpoints"]:
        times = [endpoint.pop(f"{name}_ms") for name in ("min", "p50", "p95", "p99", "max")]
        assert times[0] > 0
        assert times == sorted(times)
        assert times[0] <= endpoint.pop("mean_ms") <= times[-1]
        assert endpoint.pop("requests_per_second") > 10
    for verdict in found["criteria"]:
        assert verdict.pop("figure") < verdict["limit"]
    assert 0 < found.pop("seconds") < 20
    assert found.pop("started").endswith("+00:00")
    assert found == {
        "target": target.url,
        "app": "shop",
        "shape": "endpoints",
        "scale": 1.0,
        "complete": True,
        "users": 1,
        "endpoints": [
            {"method": "GET", "endpoint": path, "count": 25, "failures": 0, "statuses": {"200": 25}}
            for path in ("/health", "/products")
        ],
        "criteria": [
            {"criterion": criterion, "endpoint": path, "limit": limit, "unit": unit, "passed": True}
            for path in ("/health", "/products")
            for criterion, limit, unit in (("p95", 500, "ms"), ("error rate", 0.001, "share"))
        ],
        "passed": True,
    }


def test_endpoints_of_the_description() -> None:
    """Proves that without endpoints named those are asked for that can be asked for without knowing anything, and that
    one that fails is exit status 1."""
    with serving(lambda _: 503) as target:
        status, out, _ = load("--shape", "endpoints", "--target", target.url, "--requests", "3")
        assert target.seen == {"/openapi.json": 1, "/health": 3, "/products": 3}
    assert status == 1
    assert out.count("missed") == 2


@pytest.mark.parametrize(
    ("sent", "to_both", "expected"), [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 1)], ids=["ctrl-c", "kill"]
)
def test_a_run_that_is_ended(tmp_path: Path, sent: signal.Signals, to_both: bool, expected: int) -> None:
    """Proves that Ctrl-C, which a terminal sends to both processes, and a signal to the command alone end the load,
    that what was measured is reported, and that such a run has not passed."""
    report = tmp_path / "report.json"
    with serving() as target:
        process = start("--target", target.url, *SMALL, "--run-time", "1m", "--report", str(report))
        eventually(lambda: target.seen.total() > 3)
        locust = psutil.Process(process.pid).children(recursive=True)[0]
        if to_both:
            locust.send_signal(sent)
        process.send_signal(sent)
        assert ended(process)[0] == expected
        found = json.loads(report.read_text())
        count = sum(endpoint["count"] for endpoint in found["endpoints"])
        assert (found["complete"], found["passed"]) == (False, False)
        assert 3 < count <= target.seen.total()
    assert not psutil.pid_exists(locust.pid)


def refused(*arguments: str) -> str:
    """What a command that is refused says; nothing was asked of the target."""
    with serving() as target:
        status, out, err = load("--target", target.url, *arguments)
        assert (status, out, target.seen.total()) == (2, "", 0)
    return err


def test_wrong_use() -> None:
    """Proves that each wrong wish is one line and exit status 2, before the target is asked."""
    wrong = {
        ("--shape", "flood"): "SHAPE=flood: no such shape (accepted: normal, stress, spike, endpoints)\n",
        ("--target", "http://192.0.2.1"): "TARGET=http://192.0.2.1: not this machine (accepted: a loopback address;"
        " or, where the load is agreed on, ALLOW_REMOTE=192.0.2.1)\n",
        ("--shape", "endpoints", "--target", "http://192.0.2.1"): "TARGET=http://192.0.2.1: not this machine (accepted:"
        " a loopback address; or, where the load is agreed on, ALLOW_REMOTE=192.0.2.1)\n",
        ("--report", "/nowhere/report.json"): "REPORT=/nowhere/report.json: cannot be written (accepted: a file in a"
        " directory that exists)\n",
        ("--shape", "endpoints", "--requests", "0"): "REQUESTS=0: out of bounds (accepted: 1 to 10000)\n",
        ("--shape", "endpoints", "--endpoints", "//example.com"): 'ENDPOINTS=//example.com: "//example.com" is not a'
        ' path (accepted: like "/health /products")\n',
    }
    assert {arguments: refused(*arguments) for arguments in wrong} == wrong


def test_no_description() -> None:
    """Proves that a target without description is told how to go on."""
    url = f"http://127.0.0.1:{free_port()}"
    status, out, err = load("--shape", "endpoints", "--target", url)
    assert (status, out) == (2, "")
    assert err.endswith('(accepted: ENDPOINTS="/health /products")\n')


def test_locust_itself_refuses_another_machine() -> None:
    """Proves that the locustfile is bounded too when somebody calls Locust without the command."""
    command = [sys.executable, "-m", "locust", "--locustfile", "loadtests/locustfile.py"]
    command += ["--headless", "--loglevel", "ERROR", "--host", "http://192.0.2.1"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "TARGET=http://192.0.2.1: not this machine" in done.stderr


def test_the_web_page(tmp_path: Path) -> None:
    """Proves that runs are started from Locust's page, on loopback only, that a form changes neither the report's
    place, nor the allowed host, nor the target of a run that goes on, and that Ctrl-C leaves no port open."""
    port, report, other = free_port(), tmp_path / "report.json", tmp_path / "other.json"
    page = f"http://127.0.0.1:{port}"
    with serving() as target, serving() as neighbour:
        process = start("--target", target.url, *SMALL, "--web", str(port), "--report", str(report))
        try:
            eventually(lambda: _answers(page))
            locust = psutil.Process(process.pid).children(recursive=True)[0]
            listening = [
                tuple(connection.laddr)
                for connection in locust.net_connections()
                if connection.status == psutil.CONN_LISTEN
            ]
            assert listening == [("127.0.0.1", port)]
            remote = {"host": "http://192.0.2.1", "allow_remote": "192.0.2.1", "report": str(other)}
            httpx.post(f"{page}/swarm", data=remote, timeout=10)
            assert target.seen.total() == 0
            form = {"host": target.url, "shape": "spike", "scale": "0.01", "length": "2s", "report": str(other)}
            eventually(lambda: httpx.post(f"{page}/swarm", data=form, timeout=10) and target.seen.total())
            httpx.post(f"{page}/swarm", data={**form, "host": neighbour.url}, timeout=10)
            eventually(report.exists)
            assert neighbour.seen.total() == 0
            locust.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            status, out, _ = ended(process)
        finally:
            process.kill()
    assert status == 130
    assert "TARGET=http://192.0.2.1: not this machine" in out
    assert json.loads(report.read_text())["shape"] == "spike"
    assert not other.exists()
    assert not _answers(page)
    assert not psutil.pid_exists(locust.pid)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3).is_success
    except httpx.HTTPError:
        return False
