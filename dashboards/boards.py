"""House defaults of dashboards: time, variables, annotations, links, and how panels are laid out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol, Self, TypeVar, cast
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap, table

from dashboards.limits import ILL

PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = models.DataSourceRef(type_val="loki", uid="loki")
GRAFANA = models.DataSourceRef(type_val="grafana", uid="-- Grafana --")
"""Grafana's own store of annotations."""

TAG = "observability-as-code"
WIDTH = 24
HEIGHT = 8


def board(
    title: str, *, description: str, tags: Sequence[str], hours: int = 1, refresh: str = "30s"
) -> dashboard.Dashboard:
    """An empty dashboard: the last `hours`, refreshed, not editable, one crosshair for all panels."""
    return (
        dashboard.Dashboard(title)
        .description(description)
        .tags([TAG, *tags])
        .readonly()
        .time(f"now-{hours}h", "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )


class Panel(Protocol):
    """What the builders of all types of panels have in common."""

    def build(self) -> models.Panel:
        """The panel as it is so far."""
        ...

    def title(self, title: str, /) -> Self:
        """Set the title."""
        ...

    def description(self, description: str, /) -> Self:
        """Set the description."""
        ...

    def datasource(self, datasource: models.DataSourceRef, /) -> Self:
        """Set the datasource."""
        ...

    def grid_pos(self, grid_pos: models.GridPos, /) -> Self:
        """Set place and size."""
        ...

    def unit(self, unit: str, /) -> Self:
        """Set the unit."""
        ...

    def thresholds(self, thresholds: Builder[models.ThresholdsConfig], /) -> Self:
        """Set the colours of values."""
        ...

    def mappings(self, mappings: list[models.ValueMapping], /) -> Self:
        """Set words in the place of values."""
        ...

    def data_links(self, links: list[Builder[models.DashboardLink]], /) -> Self:
        """Set where a click on a value leads."""
        ...

    def override_by_regexp(self, regexp: str, properties: list[models.DynamicConfigValue], /) -> Self:
        """Set what differs for series of some names."""
        ...

    def override_by_query(self, query_ref_id: str, properties: list[models.DynamicConfigValue], /) -> Self:
        """Set what differs for the series of one query."""
        ...


Row = str
"""A line across the dashboard, with a title for what is below it."""


def fill(onto: dashboard.Dashboard, items: Iterable[Panel | Row]) -> dashboard.Dashboard:
    """`onto` with `items` line by line; panels of a line are of one height and share its whole width."""
    line: list[models.Panel] = []
    top = number_of = 0

    def end_line() -> None:
        nonlocal top
        spare = WIDTH - sum(_place(panel).w for panel in line)
        left, height = 0, max((_place(panel).h for panel in line), default=0)
        for index, panel in enumerate(line):
            place = _place(panel)
            place.w += spare // len(line) + (index < spare % len(line))
            place.x, place.y, place.h = left, top, height
            left += place.w
        top += height
        line.clear()

    for item in items:
        number_of += 1
        if isinstance(item, Row):
            end_line()
            place = models.GridPos(x=0, y=top, w=WIDTH, h=1)
            onto.with_row(dashboard.Row(item).id(number_of).grid_pos(place))
            top += 1
            continue
        panel = item.build()
        panel.id_val = number_of
        if sum(_place(other).w for other in line) + _place(panel).w > WIDTH:
            end_line()
        line.append(panel)
        onto.with_panel(_Built(panel))
    end_line()
    return onto


T = TypeVar("T")


class _Built(Builder[T]):
    """What is built already."""

    def __init__(self, value: T) -> None:
        self._value = value

    def build(self) -> T:
        return self._value


_MARK = "1m"
"""How exact marks are."""


class _Marks(models.AnnotationQuery):
    """An annotation by PromQL, with what the SDK has no name for."""

    def to_json(self) -> dict[str, object]:
        """As Grafana reads it."""
        return {**super().to_json(), "titleFormat": "{{alertname}}", "tagKeys": "severity,service", "step": _MARK}


def _place(panel: models.Panel) -> models.GridPos:
    if panel.grid_pos is None:
        panel.grid_pos = models.GridPos(w=WIDTH // 2, h=HEIGHT)
    return panel.grid_pos


def variable(name: str, query: str, *, label: str, description: str, multi: bool = True) -> dashboard.QueryVariable:
    """A variable with the values that Prometheus knows of a label; several, or all, may be chosen."""
    found = (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi)
        .include_all(multi)
    )
    return found.all_value(".*").current(models.VariableOption(text=["All"], value=["$__all"])) if multi else found


def environment(series: str) -> dashboard.QueryVariable:
    """The variable `environment`, of the environments that `series` come from."""
    return variable(
        "environment",
        f"label_values({series}, environment)",
        label="Environment",
        description="Whose series are shown.",
    )


def app(series: str) -> dashboard.QueryVariable:
    """The variable `app`, of the systems that `series` come from."""
    return variable("app", f"label_values({series}, app)", label="System", description="Which systems are shown.")


def instance(series: str) -> dashboard.QueryVariable:
    """The variable `instance`, of the targets that `series` come from."""
    return variable(
        "instance",
        f"label_values({series}, instance)",
        label="Instance",
        description="Which hosts, replicas or servers are shown.",
    )


def generic(onto: dashboard.Dashboard, series: str, matcher: str = "") -> dashboard.Dashboard:
    """`onto` with the variables of a dashboard about many systems, of those that have `series`."""
    more = f"{matcher}, " if matcher else ""
    return (
        onto.with_variable(environment(f"{series}{{{matcher}}}" if matcher else series))
        .with_variable(app(f'{series}{{{more}environment=~"$environment"}}'))
        .with_variable(instance(f'{series}{{{more}environment=~"$environment", app=~"$app"}}'))
        .annotation(deployments())
    )


SCOPE = 'app=~"$app", environment=~"$environment"'
"""Matchers of the systems that are chosen on a dashboard about many."""
EACH = f'{SCOPE}, instance=~"$instance"'
"""Matchers of the instances that are chosen there."""


def deployments(*tags: str) -> dashboard.AnnotationQuery:
    """A mark at each deployment: an annotation with the tag `deployment`, and with `tags`."""
    return (
        dashboard.AnnotationQuery()
        .name("Deployments")
        .datasource(GRAFANA)
        .enable(True)
        .icon_color("purple")
        .target(dashboard.AnnotationTarget().type("tags").limit(100).match_any(False).tags(["deployment", *tags]))
    )


def alert_marks(scope: str) -> Builder[models.AnnotationQuery]:
    """A mark where an alert of `scope` begins to fire. Not for as long as it fires: Grafana would colour all of that
    time, and with a few alerts nobody would see the lines behind it."""
    firing = f'ALERTS{{alertstate="firing", {scope}}}'
    return _Built(
        _Marks(
            name="Alerts",
            datasource=PROMETHEUS,
            icon_color=ILL,
            expr=f"{firing} unless {firing} offset {_MARK}",
        )
    )


def link_to(title: str, url: str) -> dashboard.DashboardLink:
    """A link on top of a dashboard."""
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .icon("external link")
        .url(url)
        .keep_time(True)
        .include_vars(True)
    )


def siblings(title: str, tag: str) -> dashboard.DashboardLink:
    """A menu of the dashboards with `tag`."""
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.DASHBOARDS)
        .icon("dashboard")
        .tags([tag])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )


def value_link(title: str, url: str) -> dashboard.DashboardLink:
    """Where a click on a value leads."""
    return dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).icon("info").url(url)


def explore(datasource: models.DataSourceRef, expr: str) -> str:
    """Address of `expr` in Explore, in the time range of the dashboard."""
    pane = {
        "datasource": datasource.uid,
        "queries": [{"refId": "A", "expr": expr, "datasource": {"type": datasource.type_val, "uid": datasource.uid}}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    panes = quote(json.dumps({"a": pane}, separators=(",", ":")), safe="${}:,_")
    return f"/explore?schemaVersion=1&orgId=1&panes={panes}"


_GONE: Mapping[type, frozenset[str]] = {
    models.Dashboard: frozenset({"style"}),
    models.VariableModel: frozenset({"id", "auto", "auto_count", "auto_min"}),
    table.Options: frozenset({"footer"}),
    heatmap.HeatmapTooltip: frozenset({"show"}),
}
"""What the SDK always writes, and Grafana has not had since."""


def plain(value: Any) -> Any:
    """What the SDK built as JSON's own types, in today's form."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("Sequence[object]", value)]
    if not hasattr(value, "to_json"):
        return value
    gone = _GONE.get(value.__class__, frozenset())
    return plain({key: item for key, item in value.to_json().items() if key not in gone})
