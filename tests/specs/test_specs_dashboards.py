"""Dashboards as data: complete panels, current types, queries that parse, and the limits of the alerts."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as models

import dashboards
from dashboards.boards import plain
from dashboards.limits import Limit, Limits, steps
from dashboards.systems import HOSTS
from processes.place import executable
from specs.model import SettingsError, parse
from specs.monitoring import to_yaml
from specs.profile import Board, Panel, Profile, known
from specs.stack import Stack
from specs.system import System, SystemSettings
from tests.specs.support import EVERY_EXPORTER, ROOT, complaint, stack, yaml_file
from tools import gallery
from tools.documents import whole_stack

SYSTEMS: Mapping[str, Any] = {name: {} for name in known()}
WHOLE: Stack = stack(exporters=EVERY_EXPORTER, systems=SYSTEMS)
EVERYTHING: Stack = whole_stack()
"""With what only containers run."""
BOARDS = dict(sorted(EVERYTHING.dashboards.items()))
OF_SYSTEMS = {path: board for path, board in BOARDS.items() if path.split("/")[0] in known()}
CONTRACT: Mapping[str, Any] = yaml.load(
    (ROOT / "tests/contract/requirements.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)
CURRENT = {
    *("timeseries", "stat", "gauge", "bargauge", "heatmap", "table"),
    *("state-timeline", "logs", "row"),
}
"""Types of panels that Grafana 13 has, of those that the house uses."""
UNITS = {
    *("short", "none", "percentunit", "percent", "s", "ms", "bytes", "binBps"),
    *("suffix:/s", "suffix:/min", "reqps", "currencyUSD", "string"),
}
"""Units by Grafana's names."""
LABELS_OF_LOKI = {"app", "environment", "service_name", "severity_text"}


def _panels(board: Any) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        assert panel.get("panels", []) == []
        if panel["type"] != "row":
            yield panel


def _substituted(query: str) -> str:
    """A query with something in the place of Grafana's variables."""
    durations = {"__rate_interval": "5m", "__range": "1h", "__auto": "5m"}
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda match: durations.get(match[1], "x"), query)


def _panel(path: str, title: str) -> dict[str, Any]:
    (found,) = (panel for panel in _panels(BOARDS[path]) if panel["title"] == title)
    return found


def _colours(panel: Mapping[str, Any]) -> list[tuple[float | None, str]]:
    return [(step["value"], step["color"]) for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


PANELS = [
    pytest.param(path, panel, id=f"{path}: {panel['title']}")
    for path, board in BOARDS.items()
    for panel in _panels(board)
]
QUERIES = [
    (path, panel["title"], panel["datasource"]["type"], target["expr"])
    for path, board in BOARDS.items()
    for panel in _panels(board)
    for target in panel["targets"]
]
LOGQL = sorted({query for *_, kind, query in QUERIES if kind == "loki"})


def test_every_module_is_a_dashboard_of_its_own_uid() -> None:
    """Proves that each module with a folder gives one dashboard, whose uid is the module's name with dashes."""
    modules = {
        file.stem.replace("_", "-")
        for file in (ROOT / "dashboards").glob("*.py")
        if "\nFOLDER = " in file.read_text(encoding="utf-8")
    }

    assert {path.rpartition("/")[2].removesuffix(".json") for path in BOARDS if path not in OF_SYSTEMS} == modules
    assert {f"exporter-{name}" for name in EVERY_EXPORTER} <= modules
    assert {"slo", "logs", "home", "alert-history", "system-overview", "observability-stack"} <= modules


def test_uids_are_unique_and_stable() -> None:
    """Proves that a dashboard's uid is its file's name and fits Grafana, and that those which guides link to stay."""
    uids = [board["uid"] for board in BOARDS.values()]

    assert [path.rpartition("/")[2] for path in BOARDS] == [f"{uid}.json" for uid in uids]
    assert list(BOARDS) == sorted(BOARDS)
    assert len(set(uids)) == len(uids)
    assert [uid for uid in uids if not re.fullmatch(r"[a-z0-9-]{1,40}", uid)] == []
    assert {"roadtrip/roadtrip-prod-overview.json", "roadtrip/roadtrip-security.json"} <= set(BOARDS)
    assert sorted(uid for uid in uids if uid.startswith("narra")) == [
        "narra-forge-overview",
        "narra-forge-system-metrics",
    ]


def test_uid_of_a_long_title_fits_grafana() -> None:
    """Proves that a uid never has more than 40 characters, and that two long titles still have two."""
    profile = parse(Profile, {"owner": "x", "services": {"api": {}}}, file="x.yaml", key="")
    system = System(name="shop", profile=profile, settings=SystemSettings())
    titles = ["A Very Long Title of a Dashboard about Orders", "A Very Long Title of a Dashboard about Parcels"]
    uids = [system.uid(Board(title=title, panels=(Panel(title="x", kind="alerts"),))) for title in titles]

    assert [uid[:32] for uid in uids] == ["shop-a-very-long-title-of-a-dash"[:31] + "-"] * 2
    assert [len(uid) for uid in uids] == [40, 40]
    assert len(set(uids)) == 2


@pytest.mark.parametrize("path", BOARDS)
def test_board(path: str) -> None:
    """Proves that a dashboard has a description, tags, a time range, a calm refresh, deployments, and panels of
    different titles and ids."""
    board = BOARDS[path]
    titles = [panel["title"] for panel in _panels(board)]
    ids = [panel.get("id") for panel in board["panels"]]

    assert board["description"] != ""
    assert board["tags"][0] == "observability-as-code"
    assert board["editable"] is False
    assert re.fullmatch(r"now-\d+h", board["time"]["from"])
    assert board["time"]["to"] == "now"
    assert board["refresh"] in {"30s", "1m"}
    assert len(set(titles)) == len(titles) > 0
    assert ids == list(range(1, len(ids) + 1))


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_panel(path: str, panel: dict[str, Any]) -> None:
    """Proves that a panel has a title, a description that is a sentence, a datasource of the stack, a unit, queries
    A, B and so on, and a current type."""
    datasources = {
        source["uid"] for source in yaml_file(WHOLE, "grafana", "provisioning/datasources/stack.yml")["datasources"]
    }

    assert panel["title"] != "", path
    assert re.fullmatch(r"(?s)[A-Z0-9].*\.", panel["description"])
    assert panel["type"] in CURRENT
    assert panel["datasource"]["uid"] in datasources
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGHIJ"[: len(panel["targets"])]) != []
    if panel["type"] != "logs":
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS


@pytest.mark.parametrize("path", BOARDS)
def test_panels_fill_their_lines(path: str) -> None:
    """Proves that no two panels overlap and none sticks out, and that every line is full."""
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[path]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert taken & cells == set(), panel["title"]
        taken |= cells
    bottom = max(y for _, y in taken) + 1

    assert {x for x, _ in taken} <= set(range(24))
    assert len(taken) == 24 * bottom


def test_promql_parses(tmp_path: Path) -> None:
    """Proves that Prometheus' own parser takes every query of every dashboard, and those of annotations."""
    queries = [_substituted(query) for _, _, kind, query in QUERIES if kind == "prometheus"]
    queries += [
        _substituted(mark["expr"]) for board in BOARDS.values() for mark in _marks(board) if mark["name"] == "Alerts"
    ]
    rules = [{"record": f"query:number_{index}", "expr": query} for index, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(to_yaml({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    argv = [str(executable("promtool")), "check", "rules", "--lint=none", "queries.yml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"SUCCESS: {len(queries)} rules found" in done.stdout
    assert len(queries) > 400


@pytest.mark.parametrize("query", LOGQL)
def test_logql_parses(query: str) -> None:
    """Proves that Loki's own parser takes a query of logs, and that its selector has labels of Loki's streams."""
    selector = re.search(r"\{([^}]*)\}", query)
    done = subprocess.run(
        [str(executable("logcli")), "fmt"],
        input=_substituted(query),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert selector is not None
    assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector[1])) <= LABELS_OF_LOKI
    assert (done.returncode, done.stdout != "") == (0, True), done.stderr


def test_no_query_selects_an_instance() -> None:
    """Proves that no query holds an address: dashboards are the same in every environment."""
    assert [f"{path}: {title}" for path, title, _, query in QUERIES if re.search(r'instance=~?"[^$]', query)] == []


def _variables(board: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in board["templating"].get("list", [])}


@pytest.mark.parametrize("path", BOARDS)
def test_variables_that_queries_use_are_there(path: str) -> None:
    """Proves that a dashboard has every variable that its queries name."""
    texts = [target["expr"] for panel in _panels(BOARDS[path]) for target in panel["targets"]]
    texts += [json.dumps(variable["query"]) for variable in _variables(BOARDS[path]).values()]
    # `$1` is part of a regular expression, and no variable of Grafana's.
    used = {name for text in texts for name in re.findall(r"\$\{?([A-Za-z]\w*)", text)}

    assert used <= set(_variables(BOARDS[path]))


@pytest.mark.parametrize("path", OF_SYSTEMS)
def test_variables_of_a_system(path: str) -> None:
    """Proves that a system's dashboard is about that system alone, in the environments and of the instances chosen."""
    app = path.split("/", maxsplit=1)[0]
    variables = _variables(BOARDS[path])

    assert list(variables) == ["app", "environment", "instance"]
    assert (variables["app"]["type"], variables["app"]["query"]) == ("constant", app)
    assert variables["environment"]["query"]["query"] == f'label_values(up{{app="{app}"}}, environment)'
    assert (
        variables["instance"]["query"]["query"]
        == f'label_values(up{{app="{app}", environment=~"$environment"}}, instance)'
    )
    for name in ("environment", "instance"):
        assert (variables[name]["multi"], variables[name]["includeAll"], variables[name]["allValue"]) == (
            True,
            True,
            ".*",
        )
    for panel in _panels(BOARDS[path]):
        for target in panel["targets"]:
            for selector in re.findall(r"\{([^{}]*=[^{}]*)\}", target["expr"]):
                assert f'app="{app}", environment=~"$environment"' in selector, target["expr"]


def _marks(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = board["annotations"].get("list", [])
    return found


@pytest.mark.parametrize("path", OF_SYSTEMS)
def test_a_system_shows_deployments_alerts_and_ways_on(path: str) -> None:
    """Proves that a system's dashboard marks its deployments and its alerts, and leads to its other dashboards, to its
    objectives and to its log lines."""
    app = path.split("/", maxsplit=1)[0]
    deployments, alerts = _marks(BOARDS[path])

    assert (deployments["name"], deployments["enable"]) == ("Deployments", True)
    assert deployments["datasource"] == {"type": "grafana", "uid": "-- Grafana --"}
    assert deployments["target"] == {"limit": 100, "matchAny": False, "tags": ["deployment", app], "type": "tags"}
    firing = f'ALERTS{{alertstate="firing", app="{app}", environment=~"$environment"}}'
    assert alerts["expr"] == f"{firing} unless {firing} offset 1m"
    assert alerts["titleFormat"] == "{{alertname}}"
    assert BOARDS[path]["tags"] == ["observability-as-code", app]
    assert [(link["title"], link["type"], link["tags"], link.get("url", "")) for link in BOARDS[path]["links"]] == [
        (app, "dashboards", [app], ""),
        ("Objectives", "link", [], "/d/slo"),
        ("Logs", "link", [], "/d/logs"),
    ]
    assert {(link["includeVars"], link["keepTime"]) for link in BOARDS[path]["links"]} == {(True, True)}


def test_the_first_dashboard_of_a_system_begins_with_its_status() -> None:
    """Proves that a light for each service and each health check stands on top of the dashboard that people open
    first, and on no other."""
    first = {system.name: f"{system.name}/{system.dashboard}.json" for system in WHOLE.systems}
    titles = {path: BOARDS[path]["panels"][0]["title"] for path in OF_SYSTEMS}
    status = _panel("personal-assistant/personal-assistant-system.json", "Status")

    assert {path for path, title in titles.items() if title == "Status"} == set(first.values())
    assert [target["legendFormat"] for target in status["targets"]] == [
        "{{service}}",
        "Health Checks {{probe}}",
        "Redis PING",
        "Worker Health {{worker}}",
        "Database Healthy",
        "Integration Health {{provider}}",
    ]
    assert status["fieldConfig"]["defaults"]["mappings"][0]["options"]["0"] == {
        "text": "DOWN",
        "color": "red",
        "index": 1,
    }


def test_latencies_lead_to_traces_and_log_lines() -> None:
    """Proves that a panel of latencies shows exemplars, and that a click leads to the log lines of that time and to
    their errors in Explore; one of money does neither."""
    latency = _panel("roadtrip/roadtrip-prod-overview.json", "AI Service Response Time")
    links = latency["fieldConfig"]["defaults"]["links"]

    assert [target["exemplar"] for target in latency["targets"]] == [True]
    assert [link["title"] for link in links] == ["Log lines of this time", "Errors in Explore"]
    assert links[0]["url"] == "/d/logs?var-app=roadtrip&${environment:queryparam}&${__url_time_range}"
    assert links[1]["url"].startswith("/explore?schemaVersion=1&orgId=1&panes={")
    assert "${__from}" in links[1]["url"]
    money = _panel("roadtrip/roadtrip-revenue-tracking.json", "Revenue")
    assert "links" not in money["fieldConfig"]["defaults"]
    assert "exemplar" not in money["targets"][0]


def test_what_is_computed_once_is_not_computed_again() -> None:
    """Proves that the signals with a recording rule are read from it where nothing is told apart, and only there."""
    path = "roadtrip/roadtrip-prod-overview.json"
    scope = 'app="roadtrip", environment=~"$environment"'
    by = "environment, service, status"
    whole = _panel(path, "API Response Time (p95)")
    by_status = _panel(path, "Request Rate by Status")

    assert [target["expr"] for target in whole["targets"]] == [f"app:http_p95:5m{{{scope}}}"]
    assert "Of all instances together." in whole["description"]
    assert [target["expr"] for target in by_status["targets"]] == [
        f'sum by ({by}) (rate(http_requests_total{{{scope}, instance=~"$instance"}}[$__rate_interval]))'
    ]
    recorded = {record.record for group in WHOLE.groups for record in group.records}
    named = {name for *_, query in QUERIES for name in re.findall(r"\b(?:app|slo|kpi):[\w:]+", query)}
    assert named <= recorded


def test_heatmap_shows_buckets() -> None:
    """Proves that a heatmap asks for a histogram's buckets, not for a quantile of it."""
    panel = _panel("roadtrip/roadtrip-prod-overview.json", "Request Latency Heatmap")

    assert panel["type"] == "heatmap"
    assert [(target["expr"], target["format"]) for target in panel["targets"]] == [
        (
            (
                'sum by (le) (rate(http_request_duration_seconds_bucket{app="roadtrip", environment=~"$environment",'
                ' instance=~"$instance"}[$__rate_interval]))'
            ),
            "heatmap",
        )
    ]


def test_limits_are_the_alerts() -> None:
    """Proves that every panel of a system about a signal with alerts has their limits as its colours, and no other."""
    severities = {"info": "blue", "warning": "orange", "critical": "red"}
    compared = 0
    for system in WHOLE.systems:
        for board in system.boards:
            for wanted in board.panels:
                if wanted.kind in {"heatmap", "state", "table", "top", "alerts", "logs"} or not wanted.signals:
                    continue
                unit = system.signals[wanted.signals[0]].unit
                about = [name for name in wanted.signals if system.signals[name].unit is unit]
                if about != list(wanted.signals):
                    continue
                if any(name.startswith("host_") for name in about):
                    continue
                alerts = [
                    alert
                    for group in WHOLE.groups
                    for alert in group.alerts
                    if alert.of == system.name and alert.signal in about
                ]
                expected = sorted((alert.threshold or 0, severities[alert.severity]) for alert in alerts)
                shown = _colours(_panel(f"{system.name}/{system.uid(board)}.json", wanted.title))
                if any(alert.below for alert in alerts):
                    (alert,) = alerts
                    assert shown == [(None, severities[alert.severity]), (alert.threshold, "green")]
                else:
                    assert shown == [(None, "green"), *expected], wanted.title
                compared += len(alerts)
    assert compared > 25


def test_limits_follow_the_stack_file() -> None:
    """Proves that a limit which a stack changes is drawn where it is, that one which it switches off is not drawn, and
    that hosts' panels have the limits of hosts' alerts, whatever is left of a disk turned into what is taken."""
    changed = stack(
        systems={"roadtrip": {}},
        alerting={
            "overrides": {
                "roadtrip/HighResponseTime": {"threshold": 0.7},
                "SlowAIService": {"disabled": True},
                "HighCPUUsage@critical": {"threshold": 0.95},
            }
        },
        exporters={"node": {}},
    ).dashboards

    def colours(path: str, title: str) -> list[tuple[float | None, str]]:
        (panel,) = (panel for panel in _panels(changed[path]) if panel["title"] == title)
        return _colours(panel)

    overview = "roadtrip/roadtrip-prod-overview.json"
    below = "roadtrip/roadtrip-infrastructure-deep-dive.json"
    assert colours(overview, "API Response Time (p95)") == [(None, "green"), (0.7, "orange")]
    assert colours(overview, "AI Service Response Time") == [(None, "green")]
    assert colours(overview, "Booking Conversion Rate") == [(None, "orange"), (0.05, "green")]
    assert colours(below, "CPU Usage") == [(None, "green"), (0.8, "orange"), (0.95, "red")]
    assert colours("observability/system-overview.json", "CPU Usage") == colours(below, "CPU Usage")
    assert colours(below, "Disk Usage") == [(None, "green"), (0.85, "orange")]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([], [(None, "green")]),
        (
            [Limit(value=2, severity="critical"), Limit(value=1, severity="warning")],
            [(None, "green"), (1, "orange"), (2, "red")],
        ),
        ([Limit(value=0, severity="critical")], [(None, "green"), (1e-9, "red")]),
        ([Limit(value=0, severity="critical", below=True)], [(None, "red"), (0, "green")]),
        (
            [Limit(value=1, severity="warning", below=True), Limit(value=3, severity="critical")],
            [(None, "orange"), (1, "green"), (3, "red")],
        ),
        (
            [Limit(value=3, severity="warning", below=True), Limit(value=1, severity="critical", below=True)],
            [(None, "red"), (1, "orange"), (3, "green")],
        ),
    ],
)
def test_colours_between_limits(limits: list[Limit], expected: list[tuple[float | None, str]]) -> None:
    """Proves that each stretch between limits has the colour of the worst alert that fires there."""
    assert [(step.value, step.color) for step in steps(limits)] == expected


def test_units_are_the_signals() -> None:
    """Proves that a panel has the unit of its signals."""
    board = "personal-assistant/personal-assistant-application.json"

    assert [
        _panel(board, title)["fieldConfig"]["defaults"]["unit"]
        for title in ("Response Time Percentiles", "Error Rate", "Request Rate", "Database Response Time (p95)")
    ] == ["s", "percentunit", "suffix:/s", "ms"]
    assert _panel(board, "Cache Hit Rate")["fieldConfig"]["defaults"]["max"] == 1


def test_signals_of_several_units_share_a_panel() -> None:
    """Proves that what is told in percent stands beside what is told as a share, its limit too, and that what cannot be
    turned into the panel's unit keeps its own."""
    panel = _panel("personal-assistant/personal-assistant-system.json", "CPU Usage")
    limits = _colours(panel)

    assert panel["fieldConfig"]["defaults"]["unit"] == "percentunit"
    assert [target["expr"].endswith(" * 0.01") for target in panel["targets"]] == [False, True]
    assert limits == [(None, "green"), (0.8, "orange"), (0.9, "red")]
    mixed = {"title": "Mixed", "signals": ["http_rate", "process_memory"]}
    value: dict[str, Any] = {
        "owner": "x",
        "services": {"api": {}},
        "dashboards": [{"title": "All", "panels": [mixed]}],
    }
    profile = parse(Profile, value, file="shop.yaml", key="")
    made = dashboards.render([System(name="shop", profile=profile, settings=SystemSettings())])["shop/shop-all.json"]
    _, drawn = _panels(made)
    assert drawn["fieldConfig"]["overrides"] == [
        {"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": [{"id": "unit", "value": "bytes"}]}
    ]


def test_colours_of_outcomes_are_the_same_everywhere() -> None:
    """Proves that what a status code, a level or an outcome is called decides its colour."""
    panel = _panel("narra-forge/narra-forge-overview.json", "HTTP Request Rate")
    rules = [
        (
            re.compile(override["matcher"]["options"][1:-2], re.IGNORECASE),
            override["properties"][0]["value"]["fixedColor"],
        )
        for override in panel["fieldConfig"]["overrides"]
    ]

    def colour(name: str) -> list[str]:
        return [found for pattern, found in rules if pattern.search(name)]

    assert {
        name: colour(name) for name in ("200", "302", "404", "503", "ERROR", "warning", "success", "task-failed")
    } == {
        "200": ["green"],
        "302": ["blue"],
        "404": ["orange"],
        "503": ["red"],
        "ERROR": ["red"],
        "warning": ["orange"],
        "success": ["green"],
        "task-failed": ["red"],
    }
    assert colour("15000") == []


def _wanted() -> Iterator[tuple[str, str, str]]:
    host = CONTRACT["environment_wide"]["hosts"]["dashboard"]
    yield from (("observability", host["title"], panel) for panel in host["panels"])
    for name, system in CONTRACT["systems"].items():
        for board in system["dashboards"]:
            yield from ((name, board["title"], panel) for panel in board.get("panels", [""]))


@pytest.mark.parametrize(("folder", "title", "wanted"), list(_wanted()))
def test_contract(folder: str, title: str, wanted: str) -> None:
    """Proves that every dashboard and panel which the guides name is there, in the folder of its system."""
    (board,) = (board for path, board in BOARDS.items() if path.split("/")[0] == folder and board["title"] == title)

    assert wanted.lower() in {"", *(panel["title"].lower() for panel in _panels(board))}


def test_contract_uids() -> None:
    """Proves that dashboards which guides give a uid have it."""
    wanted = {
        board["uid"]: board["title"]
        for system in CONTRACT["systems"].values()
        for board in system["dashboards"]
        if "uid" in board
    }

    assert {board["uid"]: board["title"] for board in BOARDS.values() if board["uid"] in wanted} == wanted
    assert len(wanted) == 2


@pytest.mark.parametrize("path", BOARDS)
def test_grafanas_own_model_takes_it(path: str) -> None:
    """Proves that Grafana's own schema, as the Foundation SDK has it, reads a dashboard and loses nothing of it."""
    register_default_plugins()
    board: dict[str, Any] = json.loads(json.dumps(BOARDS[path]))
    again = plain(models.Dashboard.from_json(board))
    for mark in _marks(board):
        for beyond in ("titleFormat", "tagKeys", "step"):
            mark.pop(beyond, None)

    assert again == board


def test_a_system_without_dashboards_gets_an_overview() -> None:
    """Proves that a profile that names no dashboard gets one of what it has, with its alerts' limits."""
    profile = parse(
        Profile,
        {
            "owner": "shop",
            "description": "Sells.",
            "services": {"api": {}},
            "exporters": ["redis"],
            "alerts": [{"name": "Slow", "signal": "http_p95", "above": 1, "severity": "warning"}],
            "logs": [{"service": "api"}],
        },
        file="shop.yaml",
        key="",
    )
    system = System(name="shop", profile=profile, settings=SystemSettings())
    made = dashboards.render([system])["shop/shop-overview.json"]
    titles = [panel["title"] for panel in _panels(made)]

    assert made["title"] == "shop Overview"
    assert titles[:4] == ["Status", "Request Rate", "Error Rate", "Response Time"]
    assert {"Cache Hit Rate", "Firing Alerts", "Errors in the Log"} <= set(titles)


def test_what_cannot_be_drawn_is_refused() -> None:
    """Proves that a heatmap of no histogram, a search that no panel shows, and a uid that is there twice are errors
    that name the key."""
    base: dict[str, Any] = {"owner": "x", "services": {"api": {}}}

    def refused(*boards: dict[str, Any]) -> str:
        try:
            made = parse(Profile, {**base, "dashboards": list(boards)}, file="shop.yaml", key="")
            dashboards.render([System(name="shop", profile=made, settings=SystemSettings())])
        except SettingsError as wrong:
            return str(wrong)
        raise AssertionError("nothing was refused")

    alerts = {"title": "Firing", "kind": "alerts"}
    assert refused({"title": "A", "panels": [{"title": "x", "kind": "number", "logs": ""}]}) == (
        "shop.yaml: dashboards[0].panels[0]: logs go with kind logs, events or graph"
        " (accepted: logs, which may be empty, or another kind)"
    )
    assert refused({"title": "A", "panels": [alerts]}, {"title": "a", "panels": [alerts]}) == (
        "shop.yaml: dashboards[1].uid: shop-a is there twice (accepted: each once)"
    )
    assert refused({"title": "A", "uid": "slo", "panels": [alerts]}) == (
        "shop.yaml: dashboards: slo is the uid of observability/slo.json as well (accepted: another uid)"
    )


def test_heatmap_of_no_histogram_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a heatmap needs a histogram, and that the error names profile and key."""
    profile: dict[str, Any] = {
        "owner": "x",
        "services": {"api": {}},
        "dashboards": [{"title": "A", "panels": [{"title": "x", "kind": "heatmap", "signals": ["http_rate"]}]}],
    }
    (tmp_path / "shop.yaml").write_text(to_yaml(profile), encoding="utf-8")
    monkeypatch.setattr("specs.profile.SYSTEMS", tmp_path)

    assert complaint(systems={"shop": {}}) == (
        "shop.yaml: dashboards[0].panels[0].signals: http_rate is of no histogram"
        " (accepted: for a heatmap, a quantile or a mean)"
    )


def test_kinds_of_panels() -> None:
    """Proves that every kind a profile may name is drawn, as the type that Grafana has for it."""
    panels = [
        {"title": "graph", "signals": ["http_p95"]},
        {"title": "number", "kind": "number", "signals": ["http_p95", "http_p99"]},
        {"title": "gauge", "kind": "gauge", "signals": ["http_error_share"]},
        {"title": "bars", "kind": "bars", "signals": ["http_rate"], "by": ["status"]},
        {"title": "heatmap", "kind": "heatmap", "signals": ["http_p95"]},
        {"title": "table", "kind": "table", "signals": ["http_rate", "http_p95"], "by": ["endpoint"]},
        {"title": "top", "kind": "top", "signals": ["http_rate"], "by": ["endpoint"]},
        {"title": "state", "kind": "state", "signals": ["targets_up"]},
        {"title": "logs", "kind": "logs", "logs": ""},
        {"title": "events", "kind": "events", "logs": '|= "deploy"'},
        {"title": "log graph", "logs": '|= "deploy"'},
        {"title": "alerts", "kind": "alerts"},
    ]
    value: dict[str, Any] = {"owner": "x", "services": {"api": {}}, "dashboards": [{"title": "All", "panels": panels}]}
    profile = parse(Profile, value, file="shop.yaml", key="")
    made = dashboards.render([System(name="shop", profile=profile, settings=SystemSettings())])["shop/shop-all.json"]
    drawn = {panel["title"]: panel for panel in _panels(made)}

    assert {title: panel["type"] for title, panel in drawn.items()} == {
        "Status": "stat",
        "graph": "timeseries",
        "number": "stat",
        "gauge": "gauge",
        "bars": "bargauge",
        "heatmap": "heatmap",
        "table": "table",
        "top": "table",
        "state": "state-timeline",
        "logs": "logs",
        "events": "table",
        "log graph": "timeseries",
        "alerts": "table",
    }
    scope = '{app="shop", environment=~"$environment"}'
    assert [target["expr"] for target in drawn["logs"]["targets"]] == [scope]
    assert [target["expr"] for target in drawn["events"]["targets"]] == [f'{scope} |= "deploy"']
    assert [target["expr"] for target in drawn["log graph"]["targets"]] == [
        f'sum by (service_name) (count_over_time({scope} |= "deploy" [$__auto]))'
    ]
    assert drawn["top"]["targets"][0]["expr"].startswith("topk(10, sum by (environment, service, endpoint) (rate(")
    assert drawn["top"]["options"]["sortBy"] == [{"displayName": "Request Rate", "desc": True}]
    assert drawn["table"]["transformations"][1]["options"]["renameByName"] == {
        "Value #A": "Request Rate",
        "Value #B": "Response Time (p95)",
    }
    assert [target["refId"] for target in drawn["number"]["targets"]] == ["A", "B"]


def test_alerts_mark_where_they_begin() -> None:
    """Proves that a graph has a line where an alert begins, and is not coloured for as long as it fires, and that names
    of many lines stand beside them."""
    board = BOARDS["observability/slo.json"]
    (marks,) = [found for found in board["annotations"]["list"] if found["name"] == "Alerts"]
    firing = 'ALERTS{alertstate="firing", app=~"$app", environment=~"$environment"}'

    assert (marks["expr"], marks["step"]) == (f"{firing} unless {firing} offset 1m", "1m")
    left = _panel("observability/slo.json", "Error Budget Left")
    assert left["fieldConfig"]["defaults"]["min"] == -1
    assert (left["options"]["legend"]["displayMode"], left["options"]["legend"]["placement"]) == ("list", "right")


def test_firing_alerts_say_so_when_there_are_none() -> None:
    """Proves that a table of alerts has a row also when nothing fires: an empty one looks as if nobody watched."""
    panel = _panel("wwmaa/wwmaa-backend.json", "Firing Alerts")

    assert [target["expr"] for target in panel["targets"]] == [
        (
            '(time() - ALERTS_FOR_STATE{app="wwmaa", environment=~"$environment"}) and ignoring (alertstate)'
            ' ALERTS{alertstate="firing", app="wwmaa", environment=~"$environment"}'
            ' or on () label_replace(vector(0), "alertname", "none fires", "", "")'
        )
    ]


def test_limits_of_alerts_by_name() -> None:
    """Proves that limits are found by name and level, and that what an alert says of the rest is turned round."""
    alerts = tuple(alert for group in WHOLE.groups for alert in group.alerts if not alert.of)
    limits = Limits(alerts=alerts)

    assert limits.of("HighCPUUsage") == (Limit(value=0.8, severity="warning"), Limit(value=0.9, severity="critical"))
    assert limits.of("DiskSpaceLow", rest=True) == (Limit(value=0.85, severity="warning"),)
    assert limits.of("ErrorBudgetBurn", level="1h") == (Limit(value=14.4, severity="critical"),)
    assert limits.of("NoSuchAlert") == ()


def test_limits_that_dashboards_name_are_of_alerts_that_exist() -> None:
    """Proves that no dashboard draws the limit of an alert that was renamed or removed."""
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "dashboards").glob("*.py")]
    named = {name for source in sources for name in re.findall(r'limits\.of\(\s*"(\w+)"', source)}
    named |= {name for alerts in HOSTS.values() for name in alerts}
    known_alerts = {
        alert.name
        for group in EVERYTHING.groups
        for alert in group.alerts
        if not alert.of and alert.threshold is not None
    }

    assert named - known_alerts == set()
    assert len(named) > 25


def test_grafana_gets_them_as_stable_json() -> None:
    """Proves that each dashboard is a file of Grafana's, with sorted keys and its variables as they are, in a folder
    that a provider reads; and that the first page is one of them."""
    grafana = WHOLE.workload("grafana")
    providers = yaml_file(WHOLE, "grafana", "provisioning/dashboards/stack.yml")["providers"]
    folders = sorted({path.split("/")[0] for path in WHOLE.dashboards})

    assert folders == sorted({"observability", "exporters", *known()})
    assert {path.removeprefix("dashboards/") for path in grafana.files if path.startswith("dashboards/")} == set(
        WHOLE.dashboards
    )
    for path, board in WHOLE.dashboards.items():
        text = grafana.files[f"dashboards/{path}"]
        found = json.loads(text)
        assert found == board
        assert list(found) == sorted(board)
        assert text.startswith('{\n  "')
        assert text.endswith("\n}\n")
    assert "[$__rate_interval]" in grafana.files["dashboards/exporters/exporter-node.json"]
    assert [(each["name"], each["folder"], each["options"]["path"]) for each in providers] == [
        (folder, folder, f"../config/dashboards/{folder}") for folder in folders
    ]
    home = grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == "../config/dashboards/observability/home.json"
    assert home.removeprefix("../config/") in grafana.files


def test_datasources_lead_from_one_signal_to_the_next() -> None:
    """Proves that there is one default datasource and none that people edit, and the links between metrics, traces and
    log lines; a dollar is written twice, since Grafana replaces ${…} in these files."""
    sources = {
        source["uid"]: source
        for source in yaml_file(WHOLE, "grafana", "provisioning/datasources/stack.yml")["datasources"]
    }
    jaeger = sources["jaeger"]["jsonData"]

    assert [uid for uid, source in sources.items() if source["isDefault"]] == ["prometheus"]
    assert {source["editable"] for source in sources.values()} == {False}
    assert sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"] == [
        {"name": "trace_id", "datasourceUid": "jaeger"}
    ]
    assert [
        (field["matcherType"], field["matcherRegex"], field["url"], field["datasourceUid"])
        for field in sources["loki"]["jsonData"]["derivedFields"]
    ] == [
        ("label", "trace_id", "$${__value.raw}", "jaeger"),
        ("label", "request_id", '{app=~".+"} | request_id=`$${__value.raw}`', "loki"),
    ]
    assert jaeger["tracesToLogsV2"]["tags"] == [{"key": "app", "value": "app"}]
    assert jaeger["tracesToLogsV2"]["query"] == "{$${__tags}} | trace_id=`$${__trace.traceId}`"
    assert [tag["value"] for tag in jaeger["tracesToMetrics"]["tags"]] == ["app", "service_name"]


def test_page_of_the_dashboards() -> None:
    """Proves that the page names every dashboard with its address, every panel, and every kind of panel that a profile
    may name."""
    written = gallery.page(BOARDS)
    lines = written.splitlines()
    kinds = get_args(Panel.model_fields["kind"].annotation)

    assert [board["uid"] for board in BOARDS.values() if f"`/d/{board['uid']}`: " not in written] == []
    drawn = re.compile(r"\| .* \| (graph|number|gauge|bars|heatmap|table|state|logs) \| ")
    assert len([line for line in lines if drawn.match(line)]) == len(PANELS)
    assert [kind for kind in kinds if not any(line.startswith(f"| `{kind}` | ") for line in lines)] == []


def test_same_bytes_everywhere() -> None:
    """Proves that neither the order of sets nor a cache decides what a dashboard looks like."""
    program = (
        "import hashlib, json\n"
        "from specs.profile import known\n"
        "from tests.specs.support import EVERY_EXPORTER, stack\n"
        "made = stack(exporters=EVERY_EXPORTER, systems={name: {} for name in known()})\n"
        "print(hashlib.sha256(json.dumps(made.dashboards).encode()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.strip() == hashlib.sha256(json.dumps(WHOLE.dashboards).encode()).hexdigest()
