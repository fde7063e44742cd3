"""Dashboards as data: complete panels, current types, and queries that parse."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dashboards
from processes.place import executable
from specs.monitoring import to_yaml
from specs.stack import Stack
from tests.specs.support import ROOT, stack, yaml_file

BOARDS = dashboards.render()
DEPRECATED = {
    "graph",
    "singlestat",
    "table-old",
    "heatmap-old",
    "worldmap",
    "grafana-piechart-panel",
    "flant-statusmap-panel",
}
WITHOUT_NUMBERS = {"logs", "text", "table", "row", "alertlist", "dashlist", "news", "nodeGraph", "traces"}


def _panels(board: Any) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _substituted(query: str) -> str:
    """A query with something in the place of Grafana's variables."""
    known = {"__rate_interval": "5m", "__interval": "1m", "__range": "1h", "interval": "1m"}
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda match: known.get(match[1], "x"), query)


PANELS = [
    pytest.param(panel, id=f"{path}: {panel['title']}")
    for path, board in BOARDS.items()
    for panel in _panels(board)
    if panel["type"] != "row"
]
QUERIES = [
    (
        path,
        panel["title"],
        target["datasource"]["type"] if "datasource" in target else panel["datasource"]["type"],
        target["expr"],
    )
    for path, board in BOARDS.items()
    for panel in _panels(board)
    for target in panel.get("targets", [])
    if "expr" in target
]


def test_every_module_is_a_dashboard_of_its_own_uid() -> None:
    """Proves that each module gives one dashboard, whose uid is the module's name with dashes."""
    modules = {file.stem for file in (ROOT / "dashboards").glob("*.py")} - {"__init__", "panels"}

    assert {path.rpartition("/")[2].removesuffix(".json") for path in BOARDS} == {
        name.replace("_", "-") for name in modules
    }
    assert {path: board["uid"] for path, board in BOARDS.items()} == {
        path: path.rpartition("/")[2].removesuffix(".json") for path in BOARDS
    }
    assert list(BOARDS) == sorted(BOARDS)


@pytest.mark.parametrize("path", BOARDS)
def test_board(path: str) -> None:
    """Proves that a dashboard has a description, tags, a time range, a calm refresh, and panels of different titles."""
    board = BOARDS[path]
    titles = [panel["title"] for panel in _panels(board)]

    assert board["description"] != ""
    assert "observability-as-code" in board["tags"]
    assert board["editable"] is False
    assert board["time"] == {"from": "now-1h", "to": "now"}
    assert board["refresh"] == "30s"
    assert len(set(titles)) == len(titles) > 0


@pytest.mark.parametrize("panel", PANELS)
def test_panel(panel: dict[str, Any]) -> None:
    """Proves that a panel has title, description, datasource, a unit where it shows numbers, queries, and a current
    type."""
    datasources = {
        source["uid"] for source in yaml_file(stack(), "grafana", "provisioning/datasources/stack.yml")["datasources"]
    }

    assert panel["title"] != ""
    assert panel["description"] != ""
    assert panel["type"] not in DEPRECATED
    assert panel["datasource"]["uid"] in datasources
    assert panel["targets"] != []
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    if panel["type"] not in WITHOUT_NUMBERS:
        assert panel["fieldConfig"]["defaults"]["unit"] != ""


def test_promql_parses(tmp_path: Path) -> None:
    """Proves that Prometheus' own parser takes every query of every dashboard."""
    queries = [_substituted(query) for _, _, kind, query in QUERIES if kind == "prometheus"]
    rules = [{"record": f"query:number_{index}", "expr": query} for index, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(to_yaml({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    argv = [str(executable("promtool")), "check", "rules", "--lint=none", "queries.yml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"SUCCESS: {len(queries)} rules found" in done.stdout


@pytest.mark.parametrize("query", [query for *_, kind, query in QUERIES if kind == "loki"])
def test_logql_is_sane(query: str) -> None:
    """Proves that a query of logs begins with a selector, by labels that Loki's streams have, and that its brackets
    match."""
    selector = re.search(r"\{([^}]*)\}", query)
    labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector[1]) if selector else []

    assert selector is not None
    assert labels != []
    assert [
        label
        for label in labels
        if label not in {"app", "environment", "service_name", "severity_text", "detected_level"}
    ] == []
    assert [query.count(one) - query.count(other) for one, other in ("{}", "()", "[]")] == [0, 0, 0]
    assert query.count('"') % 2 == query.count("`") % 2 == 0


def test_no_query_selects_an_instance() -> None:
    """Proves that no query holds an address: dashboards are the same in every environment."""
    assert [f"{path}: {title}" for path, title, _, query in QUERIES if re.search(r'instance=~?"[^$]', query)] == []


def test_grafana_gets_them_as_stable_json() -> None:
    """Proves that each dashboard is a file of Grafana's, with sorted keys, in a folder that a provider reads."""
    made: Stack = stack()
    files = made.workload("grafana").files
    providers = yaml_file(made, "grafana", "provisioning/dashboards/stack.yml")["providers"]

    assert {path.removeprefix("dashboards/") for path in files if path.startswith("dashboards/")} == set(BOARDS)
    for path, board in BOARDS.items():
        assert files[f"dashboards/{path}"] == json.dumps(board, indent=2, sort_keys=True) + "\n"
    assert [(provider["name"], provider["options"]["path"]) for provider in providers] == [
        (folder, f"../config/dashboards/{folder}") for folder in sorted({path.split("/")[0] for path in BOARDS})
    ]
