"""The page of the dashboards: what there is, and how more is made."""

from collections.abc import Mapping
from typing import Any

_INTRODUCTION = """# Dashboards

Grafana has a folder for each system, one for the exporters, and `observability` for what is about all of
them; it opens with Home. This page is made by `python -m tools.documents`.

```mermaid
flowchart LR
  home[Home: every system] --> system[a system's dashboards]
  home --> slo[SLO] & hosts[System Overview] & history[Alert History]
  system -- "a click on a latency or an error" --> logs[Logs, at that time]
  system -- exemplar --> trace[trace in Jaeger]
  logs -- trace id --> trace
  logs -- request id --> lines[all lines of the request]
  trace -- app and trace id --> logs
  alert([alert]) -- dashboard_url --> system
```

## What all have in common

- Panels are drawn from the same signals as alerts, so that both mean the same; the limits of the alerts are
  dashed lines and colours, and move with an override in the stack file. Orange is a warning, red is critical,
  blue is for information.
- `environment` and `instance` choose what is shown. What recording rules compute once (request rate, error
  rate, response times) is of all instances together, and says so.
- Rates look back as far as the alerts do, five minutes; over long time ranges as far as from one point to the
  next.
- The first dashboard of a system begins with a light for every scraped service and every health check.
- A purple line is a deployment: an annotation with the tags `deployment` and the system's name, posted to
  `/api/annotations` of Grafana. A red mark is an alert that fires.
- Tables of firing alerts ask Prometheus, so they show its alerts; those of log lines are on Alert History.
- Nothing is edited in Grafana: what is changed here comes with the next deployment.

## Adding a panel

In the profile of the system, under `dashboards`, name signals of the profile or [named ones](systems.md):

```yaml
dashboards:
  - title: Checkout
    panels:
      - {title: Response Time (p95), signals: [http_p95], by: [endpoint]}
      - {title: Cache Hit Rate, signals: [cache_hit_ratio], kind: gauge}
      - {title: Refused Cards, description: What the bank said., kind: logs, logs: '|= "card refused"'}
```

| `kind` | draws | needs |
| --- | --- | --- |
| `graph` | lines over time; with `logs`, how many lines there are | `signals` or `logs` |
| `number` | a figure with its past behind it | `signals` |
| `gauge` | a dial, with the limits around it | `signals` |
| `bars` | a bar for each series | `signals` |
| `heatmap` | how many observations fell into each bucket | a signal of a histogram |
| `table` | a row for each combination of labels, a column for each signal | `signals` |
| `top` | the ten largest, as a table | a signal |
| `state` | since when something is up or down | signals of the unit `state` |
| `logs` | log lines | `logs`: LogQL after the system's selector, or `""` |
| `events` | log lines as a table | `logs` |
| `alerts` | alerts of the system that fire | nothing |

`by` tells series apart by labels. A panel without `description` says what its signal says. Titles of a
dashboard's panels differ; its address is `/d/<system>-<title>`, unless it has a `uid`. A profile without
`dashboards` gets an overview.

A dashboard about many systems is a module of `dashboards/` with a `FOLDER` and `dashboard(limits)`, built
with `dashboards/boards.py` and `dashboards/panels.py`; its address is `/d/<name of the module>`, with dashes.

"""
_KINDS = {
    "timeseries": "graph",
    "stat": "number",
    "gauge": "gauge",
    "bargauge": "bars",
    "heatmap": "heatmap",
    "table": "table",
    "state-timeline": "state",
    "logs": "logs",
}


def _board(board: Mapping[str, Any]) -> list[str]:
    lines = [f"### {board['title']}", "", f"`/d/{board['uid']}`: {board['description']}", ""]
    lines += ["| Panel | Drawn as | Shows |", "| --- | --- | --- |"]
    for panel in board["panels"]:
        if panel["type"] != "row":
            shows = panel["description"].replace("|", "\\|")
            lines.append(f"| {panel['title']} | {_KINDS[panel['type']]} | {shows} |")
    return [*lines, ""]


def page(dashboards: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, with every panel of every dashboard."""
    folders: dict[str, list[Mapping[str, Any]]] = {}
    for path, board in dashboards.items():
        folders.setdefault(path.partition("/")[0], []).append(board)
    lines: list[str] = []
    for folder, boards in folders.items():
        lines += [f"## Folder {folder}", ""]
        for board in boards:
            lines += _board(board)
    return _INTRODUCTION + "\n".join(lines).rstrip() + "\n"
