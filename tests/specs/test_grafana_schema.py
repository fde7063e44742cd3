"""Dashboards and provisioning files against Grafana's own types, at today's version: what it ignores is a mistake."""

import copy
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from specs import exporters, programs
from specs.profile import known
from specs.stack import Stack
from tests.specs.support import EVERY_EXPORTER, stack
from tools import native
from tools.native.npm import MODULES
from tools.native.table import MODULES as RECIPES

TYPES = Path(__file__).parent / "grafana_schema"
Kind = Literal["Board", "Datasources", "Providers"]
"""Names of the types, each of which a value is compiled as."""
SYSTEMS: Mapping[str, Any] = {name: {} for name in known()}
OTHERS: Mapping[str, Any] = {name: {} for name in exporters.discover() if name not in EVERY_EXPORTER}
"""Exporters that some runtimes have and a process stack has not."""


def _whole(runtime: str) -> Stack:
    more: dict[str, Any] = {} if runtime == "process" else {"elk": True, "apm": True, "errors": "glitchtip"}
    found = {
        name: value
        for name, value in {**EVERY_EXPORTER, **OTHERS}.items()
        if runtime in {kind.value for kind in exporters.discover()[name].runtimes}
    }
    receivers = {
        "default": "team",
        "stand_in": "team",
        "receivers": {"team": {"webhook": {"url": "https://team.example.com/hook"}}},
    }
    return stack(
        runtime=runtime, exporters=found, systems=SYSTEMS, alerting=receivers, grafana={"delivery": "files"}, **more
    )


STACKS = {runtime: _whole(runtime) for runtime in ("process", "docker", "kubernetes")}
BOARDS = {f"{runtime}/{path}": board for runtime, each in STACKS.items() for path, board in each.dashboards.items()}


def _provisioning(kind: str) -> dict[str, Any]:
    return {
        f"{runtime}/{kind}": yaml.safe_load(each.workload("grafana").files[f"provisioning/{kind}/stack.yml"])
        for runtime, each in STACKS.items()
    }


DATASOURCES = _provisioning("datasources")
PROVIDERS = _provisioning("dashboards")


class _Compiler:
    """TypeScript's own compiler, with Grafana's types."""

    def __init__(self, directory: Path) -> None:
        found = native.ensure(["observability-typescript"])["observability-typescript"].path
        self._compiler = found
        self._directory = directory
        (directory / MODULES).symlink_to(found.with_name(MODULES))
        for file in TYPES.iterdir():
            (directory / file.name).write_bytes(file.read_bytes())

    def complaints(self, kind: Kind, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """What the compiler says of each value: one line a mistake, with the line of JSON it is about."""
        module = "board" if kind == "Board" else "provisioning"
        names = {f"{kind}-{index}.ts": name for index, name in enumerate(values)}
        written: dict[str, list[str]] = {}
        for file, name in names.items():
            text = f"import type {{{kind}}} from './{module}';\nexport const value: {kind} = "
            text += json.dumps(values[name], indent=1) + ";\n"
            (self._directory / file).write_text(text, encoding="utf-8")
            written[file] = text.splitlines()
        project = json.loads((TYPES / "tsconfig.json").read_text(encoding="utf-8"))
        (self._directory / "tsconfig.json").write_text(json.dumps(project | {"include": list(names)}), encoding="utf-8")
        done = subprocess.run(
            [self._compiler, "--project", self._directory, "--pretty", "false"],
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
        )
        found: dict[str, list[str]] = {name: [] for name in values}
        # A mistake is one line, and its reasons are indented below it: the last is the deepest.
        for said in re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE)[1:]:
            what, *why = said.splitlines()
            at = re.fullmatch(r"(\S+\.ts)\((\d+),\d+\): error \w+: (.*)", what)
            assert at, said
            assert at[1] in names, said
            line = written[at[1]][int(at[2]) - 1]
            found[names[at[1]]].append(": ".join(part.strip() for part in (line, at[3], *why[-1:])))
        # Without a word it must have been content.
        assert (done.returncode == 0) == (not any(found.values())), done.stdout + done.stderr
        return found


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> _Compiler:
    """The compiler, in a directory of its own."""
    return _Compiler(tmp_path_factory.mktemp("schema"))


def test_dashboards_are_grafanas(compiler: _Compiler) -> None:
    """Proves that every dashboard of every runtime is a dashboard of today's Grafana, and has nothing that it lacks."""
    assert {name: found for name, found in compiler.complaints("Board", BOARDS).items() if found} == {}
    assert len(BOARDS) > 90


def test_datasources_are_grafanas(compiler: _Compiler) -> None:
    """Proves that provisioned datasources have no key that Grafana or their plugin ignores."""
    assert compiler.complaints("Datasources", DATASOURCES) == {name: [] for name in DATASOURCES}
    uids = {source["uid"] for source in DATASOURCES["docker/datasources"]["datasources"]}
    assert {"prometheus", "loki", "jaeger", "alertmanager", "elasticsearch"} <= uids


def test_dashboard_providers_are_grafanas(compiler: _Compiler) -> None:
    """Proves the same for the file that says where dashboards are."""
    assert compiler.complaints("Providers", PROVIDERS) == {name: [] for name in PROVIDERS}


def test_the_types_are_of_the_grafana_that_runs() -> None:
    """Proves that dashboards are checked against the major version that containers pull."""
    asked = json.loads((RECIPES / "typescript" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert asked["@grafana/schema"].split(".")[0] == programs.GRAFANA.version.split(".")[0]


def _missed(found: Mapping[str, list[str]], wanted: Mapping[str, str]) -> dict[str, list[str]]:
    """What is said of the values of which nothing says what is wanted."""
    return {name: found[name] for name, words in wanted.items() if not any(words in line for line in found[name])}


def _panel(board: Any, kind: str) -> Any:
    return next(panel for panel in board["panels"] if panel["type"] == kind)


def _board_with(kind: str) -> dict[str, Any]:
    return copy.deepcopy(
        next(
            dict(board)
            for name, board in sorted(BOARDS.items())
            if name.startswith("process/") and any(panel["type"] == kind for panel in board["panels"])
        )
    )


Mistake = Callable[[Any, Any], object]
MISTAKES: Mapping[str, tuple[str, Mistake, str]] = {
    "key of a dashboard": ("stat", lambda board, _: board.update(theme="dark"), '"theme": "dark"'),
    "tooltip of all panels": ("stat", lambda board, _: board.update(graphTooltip=7), '"graphTooltip": 7'),
    "time": ("stat", lambda board, _: board.update(time={"from": 5, "to": "now"}), '"from": 5'),
    "type of a variable": (
        "stat",
        lambda board, _: board["templating"]["list"][0].update(type="queries"),
        '"type": "queries"',
    ),
    "refresh of a variable": (
        "stat",
        lambda board, _: board["templating"]["list"][0].update(refresh=9),
        '"refresh": 9',
    ),
    "annotation without colour": (
        "stat",
        lambda board, _: board["annotations"]["list"][0].pop("iconColor"),
        "iconColor",
    ),
    "type of a panel": ("stat", lambda _, panel: panel.update(type="singlestat"), '"type": "singlestat"'),
    "size of a panel": ("stat", lambda _, panel: panel["gridPos"].update(w="12"), '"w": "12"'),
    "panel without a title": ("stat", lambda _, panel: panel.pop("title"), "title"),
    "datasource of a panel": (
        "stat",
        lambda _, panel: panel["datasource"].update(type="promtheus"),
        "promtheus",
    ),
    "query of another datasource": ("table", lambda _, panel: panel["targets"][0].update(maxLines=5), "maxLines"),
    "format of a query": ("table", lambda _, panel: panel["targets"][0].update(format="rows"), '"format": "rows"'),
    "mode of a threshold": (
        "gauge",
        lambda _, panel: panel["fieldConfig"]["defaults"]["thresholds"].update(mode="relative"),
        '"mode": "relative"',
    ),
    "value of a threshold": (
        "gauge",
        lambda _, panel: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(value="high"),
        '"value": "high"',
    ),
    "legend of a graph": (
        "timeseries",
        lambda _, panel: panel["options"]["legend"].update(placement="left"),
        '"placement": "left"',
    ),
    "look of a graph": (
        "timeseries",
        lambda _, panel: panel["fieldConfig"]["defaults"]["custom"].update(drawStyle="lines"),
        '"drawStyle": "lines"',
    ),
    "look that another panel has": (
        "timeseries",
        lambda _, panel: panel["fieldConfig"]["defaults"]["custom"].update(cellOptions={"type": "auto"}),
        "cellOptions",
    ),
    "option that another panel has": ("stat", lambda _, panel: panel["options"].update(wrapLogMessage=True), "wrap"),
    "colour of a number": ("stat", lambda _, panel: panel["options"].update(colorMode="bg"), '"colorMode": "bg"'),
    "form of a gauge": ("gauge", lambda _, panel: panel["options"].update(shape="square"), '"shape": "square"'),
    "form of bars": ("bargauge", lambda _, panel: panel["options"].update(displayMode="3d"), '"displayMode": "3d"'),
    "scheme of a heatmap": ("heatmap", lambda _, panel: panel["options"]["color"].update(mode="hot"), '"mode": "hot"'),
    "footer of a table, gone since 12": (
        "table",
        lambda _, panel: panel["options"].update(footer={"show": True}),
        '"footer"',
    ),
    "transformation": (
        "table",
        lambda _, panel: panel["transformations"][0].update(id="organise"),
        '"id": "organise"',
    ),
    "override of a field": (
        "table",
        lambda _, panel: panel["fieldConfig"]["overrides"].append(
            {"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "custom.cellOption", "value": {}}]}
        ),
        "custom.cellOption",
    ),
    "value of an override": (
        "table",
        lambda _, panel: panel["fieldConfig"]["overrides"].append(
            {"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "unit", "value": 7}]}
        ),
        "unit",
    ),
    "states over time": (
        "state-timeline",
        lambda _, panel: panel["options"].update(showValue="yes"),
        '"showValue": "yes"',
    ),
    "order of log lines": (
        "logs",
        lambda _, panel: panel["options"].update(sortOrder="newest"),
        '"sortOrder": "newest"',
    ),
}


def test_mistakes_in_dashboards_are_found(compiler: _Compiler) -> None:
    """Proves that the check is one: each of these mistakes is named, in a dashboard that was good before it."""
    mistaken: dict[str, Any] = {}
    for name, (kind, mistake, _) in MISTAKES.items():
        mistaken[name] = board = _board_with(kind)
        mistake(board, _panel(board, kind))
    found = compiler.complaints("Board", mistaken)

    assert _missed(found, {name: words for name, (_, _, words) in MISTAKES.items()}) == {}


WRONG_SOURCES: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "key": ("loki", {"isdefault": False}, "isdefault"),
    "kind": ("jaeger", {"type": "zipkin"}, "zipkin"),
    "editable": ("prometheus", {"editable": True}, '"editable": true'),
    "access": ("loki", {"access": "direct"}, "direct"),
    "option of another": ("alertmanager", {"jsonData": {"implementation": "prometheus", "httpMethod": "GET"}}, "httpM"),
    "method": ("prometheus", {"jsonData": {"httpMethod": "PUT"}}, "PUT"),
    "link": ("loki", {"jsonData": {"derivedFields": [{"name": "trace"}]}}, "matcherRegex"),
    "custom query without one": (
        "jaeger",
        {"jsonData": {"tracesToLogsV2": {"datasourceUid": "loki", "customQuery": True}}},
        "query",
    ),
    "password without a user": ("loki", {"basicAuth": True}, "basicAuth"),
}


def test_mistakes_in_datasources_are_found(compiler: _Compiler) -> None:
    """Proves that a wrong key or value of a provisioned datasource is named."""
    mistaken: dict[str, Any] = {}
    for name, (uid, change, _) in WRONG_SOURCES.items():
        mistaken[name] = copy.deepcopy(DATASOURCES["process/datasources"])
        (source,) = (source for source in mistaken[name]["datasources"] if source["uid"] == uid)
        source.update(change)
    found = compiler.complaints("Datasources", mistaken)

    assert _missed(found, {name: words for name, (_, _, words) in WRONG_SOURCES.items()}) == {}


def test_mistakes_in_providers_are_found(compiler: _Compiler) -> None:
    """Proves that a wrong key of the file about dashboards is named."""
    mistaken = copy.deepcopy(PROVIDERS["process/dashboards"])
    mistaken["providers"][0]["options"]["paths"] = "/nowhere"

    (found,) = compiler.complaints("Providers", {"options": mistaken})["options"]
    assert '"paths"' in found
