"""`make render` writes the files of a stack: all of them, nothing else, the same bytes everywhere, needing nothing."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.model import SettingsError
from specs.settings import load
from specs.stack import Stack, build
from tools import paths, render

STACKS = ("local", "dev", "prod")

# What the command does, where no connection can be made and none be waited for.
ALONE = """
import runpy, socket, sys

def refuse(*_):
    raise AssertionError("rendering wants the network")

socket.socket.connect = socket.socket.connect_ex = socket.socket.bind = socket.getaddrinfo = refuse
runpy.run_module("tools.cli", run_name="__main__")
"""


def stack(name: str) -> Stack:
    """A shipped stack."""
    file = paths.stack_file(name)
    return build(load(file), file=file.name)


def run(name: str, out: Path | str, *, cwd: Path = paths.ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Render by the real command, with nothing in the environment but what is given; return what it says."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "render", "--stack", name, "--out", str(out)],
        cwd=cwd,
        env={"PATH": "", "PYTHONPATH": str(paths.ROOT), "COLUMNS": "300", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return where each shipped stack was rendered to."""
    base = tmp_path_factory.mktemp("rendered")
    for name in STACKS:
        run(name, base / name, environment={"PYTHONHASHSEED": "1"})
    return {name: base / name for name in STACKS}


@pytest.mark.parametrize("name", ["local", "dev"])
def test_every_file_of_the_stack_is_written_and_no_other(rendered: Mapping[str, Path], name: str) -> None:
    """Proves the layout, <workload>/<path>, dashboards/<folder>/<uid>.json, inventory.json, with the stack's texts."""
    declared = stack(name)
    found = tree(rendered[name])
    files = {f"{w.name}/{path}": text.encode() for w in declared.workloads for path, text in w.files.items()}
    boards = {f"dashboards/{path}": board for path, board in declared.dashboards.items()}
    assert set(found) == {*files, *boards, "inventory.json"}
    assert {path: found[path] for path in files} == files
    assert {path: json.loads(found[path]) for path in boards} == boards
    assert {"prometheus/prometheus.yml", "alertmanager/alertmanager.yml", "loki/loki.yml"} <= set(found)
    for path in boards:
        _, folder, file = path.split("/")
        assert (folder != "", f"{json.loads(found[path])['uid']}.json") == (True, file)


def test_manifests_are_written_for_kubernetes(rendered: Mapping[str, Path]) -> None:
    """Proves that a cluster's stack has its manifests, one object a file named by kind and name, beside the rest."""
    found = tree(rendered["prod"])
    manifests = {path: yaml.safe_load(text) for path, text in found.items() if path.startswith("kubernetes/")}
    assert {path.partition("/")[0] for path in found} == {
        *("agent", "alertmanager", "blackbox-exporter", "collector", "dashboards", "grafana", "inventory.json"),
        *("jaeger", "json-exporter", "kubernetes", "loki", "prometheus", "sampler"),
        *("thanos-compactor", "thanos-query", "thanos-query-frontend", "thanos-store"),
    }
    assert "kubernetes/namespace-observability.yaml" in manifests
    for path, manifest in manifests.items():
        name, kind = manifest["metadata"]["name"], manifest["kind"].lower()
        node = "observability-node-" if manifest["metadata"].get("namespace") == "observability-node" else ""
        assert path == f"kubernetes/{kind}-{node}{name}.yaml"
    assert not [path for name in ("local", "dev") for path in tree(rendered[name]) if path.startswith("kubernetes/")]


@pytest.mark.parametrize("name", STACKS)
def test_the_bytes_are_always_the_same(rendered: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    """Proves that neither hash seed, working directory, OUT, home nor language of the machine shows in any file."""
    (tmp_path / "elsewhere").mkdir()
    environment = {"PYTHONHASHSEED": "2", "HOME": "/nowhere", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    run(name, "../out", cwd=tmp_path / "elsewhere", environment=environment)
    assert tree(tmp_path / "out") == tree(rendered[name])


@pytest.mark.parametrize("name", STACKS)
def test_the_command_says_how_many(rendered: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    """Proves that the count is of the files that are there. As everywhere here PATH, HOME and network are missing."""
    said, *_ = run(name, tmp_path / "out").splitlines()
    assert said == f"{len(tree(rendered[name]))} files of stack {name} in {tmp_path / 'out'}"


@pytest.mark.parametrize("name", STACKS)
def test_the_command_says_what_the_stack_takes(tmp_path: Path, name: str) -> None:
    """Proves that what is declared for nothing, and what a cluster has to give, is told below the count of files."""
    _, *said = run(name, tmp_path / "out").splitlines()
    if name != "prod":
        assert said == []
        return
    sized, left_out = said[-2:]
    assert "What each replica takes" in said[0]
    assert sized.startswith("sized for 500 000 series, ")
    assert left_out.startswith("retention.traces: not applied in opensearch")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_directory_is_refused(tmp_path: Path, kind: str) -> None:
    """Proves that an existing file or link is told in one line, and stays."""
    out, target = tmp_path / "out", tmp_path / "target"
    target.mkdir()
    if kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to(target)
    with pytest.raises(SettingsError) as refused:
        render.write(stack("local"), out)
    assert str(refused.value) == f"{out}: not a directory (accepted: a new or empty directory)"
    assert list(target.iterdir()) == []
    assert kind == "link" or out.read_text() == "mine"


def test_a_directory_of_others_is_refused(tmp_path: Path) -> None:
    """Proves that nothing is deleted or written where something lies that no render wrote."""
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SettingsError) as problem:
        render.write(stack("local"), tmp_path)
    assert str(problem.value) == (
        f"{tmp_path}: not empty, and not from an earlier render (accepted: a new or empty directory)"
    )
    assert tree(tmp_path) == {"mine.txt": b"precious"}


def test_an_empty_directory_will_do(tmp_path: Path) -> None:
    """Proves that a directory made beforehand is written to, and that the count is returned."""
    assert render.write(stack("local"), tmp_path) == len(tree(tmp_path)) > 10


def test_a_second_render_leaves_no_stale_files(tmp_path: Path, rendered: Mapping[str, Path]) -> None:
    """Proves that what an earlier render of another stack left is gone."""
    out = tmp_path / "out"
    render.write(stack("prod"), out)
    (out / "prometheus" / "left.yml").write_text("stale")
    render.write(stack("local"), out)
    assert tree(out) == tree(rendered["local"])


@pytest.mark.parametrize("name", STACKS)
def test_the_inventory_is_of_the_stack(rendered: Mapping[str, Path], name: str) -> None:
    """Proves that workloads, versions, ports, jobs, alerts, receivers, dashboards and secrets are those declared."""
    declared = stack(name)
    found: dict[str, Any] = json.loads((rendered[name] / "inventory.json").read_text())
    settings = declared.context.settings
    assert (found["environment"], found["runtime"]) == (settings.environment, settings.runtime.value)
    assert set(found["workloads"]) == declared.names
    for workload in declared.workloads:
        entry = found["workloads"][workload.name]
        assert (entry["program"], entry["version"]) == (workload.program.name, workload.program.version)
        assert [port["name"] for port in entry["ports"]] == [port.name for port in workload.ports]
    assert set(found["jobs"]) == {job.name for job in declared.jobs}
    rules = [alert for group in declared.groups for alert in group.alerts]
    assert [(alert["name"], alert["severity"], alert["for"]) for alert in found["alerts"]] == [
        (alert.name, alert.severity.value, alert.for_) for alert in rules
    ]
    routing = yaml.safe_load(declared.workload("alertmanager").files["alertmanager.yml"])
    assert found["route"] == routing["route"]
    assert found["receivers"] == [receiver["name"] for receiver in routing["receivers"]]
    assert found["dashboards"] == sorted(declared.dashboards)
    assert found["secrets"] == sorted(ref.key for ref in declared.secrets())


def test_the_inventory_names_what_people_look_for(rendered: Mapping[str, Path]) -> None:
    """Proves by the shipped stacks that the inventory has real values: a port, an image, a secret, an output."""
    local, prod = (json.loads((rendered[name] / "inventory.json").read_text()) for name in ("local", "prod"))
    (http,) = [port for port in local["workloads"]["prometheus"]["ports"] if port["name"] == "http"]
    assert (http["number"], http["protocol"]) == (9090, "tcp")
    assert local["outputs"]["urls"]["prometheus"] == "http://127.0.0.1:9090"
    assert local["outputs"]["scrape"]["directory"] == "<home>/registry/scrape"
    assert prod["workloads"]["loki"]["image"].startswith("docker.io/grafana/loki:")
    assert {"pagerduty-routing-key", "slack-url", "dead-mans-switch-url"} <= set(prod["secrets"])
    assert "ServiceDown" in [alert["name"] for alert in prod["alerts"]]
    assert "prometheus → alertmanager: 9093/tcp" in prod["flows"]
    assert "flows" not in local
