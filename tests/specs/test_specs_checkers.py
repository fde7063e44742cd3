"""Every rendered file before the program that will read it: its own checker, or the program itself."""

import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from processes.place import executable
from specs.discovery import AUTHORITY, TOKEN
from specs.stack import Stack
from specs.workload import Workload
from tests.specs.support import EVERY_RECEIVER, committed, whole

STACKS = {
    **{name: committed(name) for name in ("local", "dev", "prod")},
    "everything": whole(alerting=EVERY_RECEIVER),
    "everything-in-containers": whole(alerting=EVERY_RECEIVER, runtime="docker", elk=True, apm=True),
    "everything-in-a-cluster": whole(alerting=EVERY_RECEIVER, runtime="kubernetes", elk=True, apm=True),
}
OK = 200
# Below the ports that the kernel hands out itself.
OFFSET = 15500


def _lay_out(workload: Workload, root: Path) -> Path:
    """Write a workload's files where it finds them, texts in the place of its secrets, and a pod's account."""
    config, account = root / workload.name / "config", root / workload.name / "account"
    for made in (root / workload.name / "data", account):
        made.mkdir(parents=True)
    for path in (TOKEN, AUTHORITY):
        (account / Path(path).name).write_text("a token", encoding="utf-8")
    for path, text in {**workload.files, **dict.fromkeys(workload.secrets, "https://example.com/secret")}.items():
        file = config / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(str(Path(TOKEN).parent), str(account)), encoding="utf-8")
    return config


CHECKED = ("prometheus", "alertmanager", "loki", "collector")
COLLECTORS = {"prod": ["agent", "sampler"], "everything-in-a-cluster": ["agent"]}
"""Collectors of a cluster besides the gateway."""


@pytest.mark.parametrize("name", STACKS)
def test_checkers_accept_every_file(name: str, tmp_path: Path) -> None:
    """Proves that each program's own checker accepts what the stack renders for it."""
    refused: list[str] = []
    checked: list[str] = []
    for workload in STACKS[name].workloads:
        for check in workload.checks:
            config = _lay_out(workload, tmp_path)
            argv = [str(executable(check.argv[0])), *check.argv[1:]]
            done = subprocess.run(argv, cwd=config, capture_output=True, text=True, timeout=60, check=False)
            checked.append(workload.name)
            if done.returncode:
                refused.append(f"{' '.join(check.argv)}: {done.stdout}{done.stderr}")

    assert refused == []
    collectors = [program.name for program in STACKS[name].workloads if program.name in {"agent", "sampler"}]
    assert collectors == COLLECTORS.get(name, [])
    assert checked == [*CHECKED, *collectors, "blackbox-exporter"]


@pytest.mark.parametrize("name", STACKS)
def test_rules_are_among_what_is_checked(name: str, tmp_path: Path) -> None:
    """Proves that promtool reads each rule file of the stack, and finds no fault that it only warns of."""
    workload = STACKS[name].workload("prometheus")
    config = _lay_out(workload, tmp_path)
    rules = sorted(path for path in workload.files if path.startswith("rules/"))
    argv = [str(executable("promtool")), "check", "rules", "--lint=all", "--lint-fatal", *rules]
    done = subprocess.run(argv, cwd=config, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert [path for path in rules if f"Checking {path}\n" not in done.stdout] == []


def test_checkers_refuse_a_bad_file(tmp_path: Path) -> None:
    """Proves that each checker does look at each file that it is told of: with a key too many, all are refused."""
    refused: dict[str, bool] = {}
    for workload in STACKS["local"].workloads:
        for check in workload.checks:
            argv = [str(executable(check.argv[0])), *check.argv[1:]]
            for file in (path for path in workload.files if any(arg.endswith(path) for arg in check.argv)):
                config = _lay_out(workload, tmp_path / file)
                (config / file).write_text(f"{workload.files[file]}no_such_key: 1\n", encoding="utf-8")
                done = subprocess.run(argv, cwd=config, capture_output=True, timeout=60, check=False)
                refused[f"{workload.name}/{file}"] = done.returncode != 0

    assert refused == dict.fromkeys(
        (
            "prometheus/prometheus.yml",
            "alertmanager/alertmanager.yml",
            "loki/loki.yml",
            "collector/collector.yml",
            "collector/alert-history.yml",
            "blackbox-exporter/blackbox.yml",
        ),
        True,
    )


@contextmanager
def _running(workload: Workload, root: Path) -> Generator[subprocess.Popen[bytes]]:
    _lay_out(workload, root)
    home = root / workload.name
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(executable(workload.program.binary)), *workload.args], cwd=home / "data", stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_jaeger_takes_its_file(tmp_path: Path) -> None:
    """Proves that Jaeger, which has no checker, becomes healthy with its rendered file, answers its page, and shows
    its metrics."""
    made: Stack = whole(port_offset=OFFSET)
    workload = made.workload("jaeger")
    health = f"http://127.0.0.1:{workload.port(workload.probe.port).number + OFFSET}{workload.probe.path}"
    with _running(workload, tmp_path) as process:
        deadline = time.monotonic() + 30
        status = 0
        while status != OK and time.monotonic() < deadline and process.poll() is None:
            try:
                status = httpx.get(health, timeout=2).status_code
            except httpx.HTTPError:
                time.sleep(0.1)
        said = (tmp_path / "jaeger" / "log").read_text(encoding="utf-8")
        page = httpx.get(f"http://127.0.0.1:{16686 + OFFSET}/api/services", timeout=5) if status else None
        metrics = httpx.get(f"http://127.0.0.1:{8889 + OFFSET}/metrics", timeout=5) if status else None

    assert status == OK, said
    assert page is not None
    assert page.status_code == OK
    assert metrics is not None
    assert metrics.status_code == OK
