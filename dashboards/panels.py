"""House defaults of panels, so that a dashboard's own module holds names and queries only."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    gauge,
    heatmap,
    logs,
    loki,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models import loki as loki_queries
from grafana_foundation_sdk.models import prometheus as prometheus_queries

from dashboards.boards import EACH, HEIGHT, LOKI, PROMETHEUS, WIDTH, Panel, value_link
from dashboards.limits import ILL, WELL, Limit, steps
from specs.signal import Signal, Unit

STEP = "75s"
"""Least time between two points: four of it, Grafana's least `$__rate_interval`, are the five minutes of the alerts."""
UNITS = {
    Unit.COUNT: "short",
    Unit.RATIO: "percentunit",
    Unit.PERCENT: "percent",
    Unit.SECONDS: "s",
    Unit.MILLISECONDS: "ms",
    Unit.BYTES: "bytes",
    Unit.BYTES_PER_SECOND: "binBps",
    Unit.PER_SECOND: "suffix:/s",
    Unit.PER_MINUTE: "suffix:/min",
    Unit.USD: "currencyUSD",
    Unit.STATE: "short",
}
"""What Grafana calls the units of signals."""

_COLOURS = (
    ("2[0-9]{2}|success|succeeded|delivered|passed|well", WELL),
    ("3[0-9]{2}|info|debug|trace", "blue"),
    ("4[0-9]{2}|warn|warning|pending|retried|silenced|inhibited", "orange"),
    ("5[0-9]{2}|error|critical|fatal|failed|failure|firing", ILL),
)
"""Colours of series whose name says how things went."""
_TELLING = re.compile(r"\{\{(status|status_code|code|level|severity|severity_text|outcome|result|alertstate|type)\}\}")
"""Legends of such series."""


def _thresholds(limits: Iterable[Limit]) -> dashboard.ThresholdsConfig:
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps(limits))


# Queries

Query = tuple[str, str]
"""PromQL (or LogQL) and legend."""


def ref(index: int) -> str:
    """Name of the query at `index`: A, B and so on."""
    return chr(ord("A") + index)


def query(expr: str, legend: str, ref_id: str = "A") -> prometheus.Dataquery:
    """A range query in PromQL."""
    found = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref_id).range()
    return found.interval(STEP) if "$__rate_interval" in expr else found


def at_once(expr: str, legend: str, ref_id: str = "A") -> prometheus.Dataquery:
    """A query for the value now, in PromQL."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref_id).instant()


def log_query(expr: str, legend: str = "", ref_id: str = "A", *, now: bool = False) -> loki.Dataquery:
    """A query in LogQL, over time or for the value `now`."""
    kind = loki_queries.LokiQueryType.INSTANT if now else loki_queries.LokiQueryType.RANGE
    found = loki.Dataquery().expr(expr).ref_id(ref_id).query_type(kind)
    return found.legend_format(legend) if legend else found


# Panels

P = TypeVar("P", bound=Panel)


def _framed(  # noqa: PLR0913 - what all panels differ in
    panel: P,
    title: str,
    description: str,
    *,
    width: int,
    height: int = HEIGHT,
    datasource: models.DataSourceRef = PROMETHEUS,
) -> P:
    return (
        panel.title(title).description(description).datasource(datasource).grid_pos(models.GridPos(w=width, h=height))
    )


def _coloured(panel: P, legends: Iterable[str]) -> P:
    if any(_TELLING.search(legend) for legend in legends):
        for names, colour in _COLOURS:
            fixed = models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
            panel.override_by_regexp(f"/(^|[ -])({names})( |$)/i", [fixed])
    return panel


def _linked(panel: P, links: Sequence[dashboard.DashboardLink]) -> P:
    return panel.data_links(list(links)) if links else panel


def _now(*, sparkline: bool = False) -> common.ReduceDataOptions:
    """The last value of each series."""
    return common.ReduceDataOptions().values(False).calcs(["lastNotNull" if sparkline else "last"])


STATES: list[models.ValueMapping] = [
    models.ValueMap(
        options={
            "1": models.ValueMappingResult(text="up", color=WELL, index=0),
            "0": models.ValueMappingResult(text="DOWN", color=ILL, index=1),
        }
    )
]
"""How 1 and 0 are said."""
_UP = Limit(value=1, severity="critical", below=True)


def graph(  # noqa: PLR0913 - what graphs differ in
    title: str,
    *,
    description: str,
    unit: str,
    queries: Sequence[Query],
    width: int = 12,
    limits: Iterable[Limit] = (),
    links: Sequence[dashboard.DashboardLink] = (),
    exemplars: bool = False,
    stacked: bool = False,
    crowded: bool = False,
    least: float | None = None,
    datasource: models.DataSourceRef = PROMETHEUS,
) -> timeseries.Panel:
    """Lines over time, with the limits of alerts as dashed lines; `exemplars` lead to traces.

    `crowded`: a dozen lines and more, whose names stand beside them; `least`: nothing is drawn below it.
    """
    limits = tuple(limits)
    names = common.VizLegendOptions().show_legend(True)
    if crowded:
        names = names.display_mode(looks.LegendDisplayMode.LIST).placement(looks.LegendPlacement.RIGHT).width(240)
    else:
        names = names.display_mode(looks.LegendDisplayMode.LIST).placement(looks.LegendPlacement.BOTTOM)
    panel = (
        _framed(timeseries.Panel(), title, description, width=width, datasource=datasource)
        .unit(unit)
        .fill_opacity(30 if stacked else 0 if crowded else 10)
        .line_width(1)
        .show_points(looks.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .thresholds(_thresholds(limits))
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .legend(names)
    )
    if least is not None:
        panel = panel.min(least)
    if limits:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphTresholdsStyleMode.DASHED))
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    for index, (expr, legend) in enumerate(queries):
        if datasource is LOKI:
            panel = panel.with_target(log_query(expr, legend, ref(index)))
        else:
            target = query(expr, legend, ref(index))
            panel = panel.with_target(target.exemplar(True) if exemplars else target)
    return _linked(_coloured(panel, [legend for _, legend in queries]), links)


def shown(signal: Signal, *, limits: Iterable[Limit] = (), width: int = 12) -> timeseries.Panel:
    """A named signal over time, of the instances that are chosen on a dashboard about many systems."""
    window = "$__rate_interval" if signal.window == "5m" else ""
    labels = " ".join(f"{{{{{label}}}}}" for label in ("app", *signal.by))
    return graph(
        signal.title,
        description=signal.description,
        unit=UNITS[signal.unit],
        queries=[(signal.expr(EACH, keep=("app", "environment"), window=window), labels)],
        limits=limits,
        width=width,
    )


def number(  # noqa: PLR0913 - what figures differ in
    title: str,
    *,
    description: str,
    unit: str,
    expr: str,
    legend: str = "__auto",
    bad_above: float | None = None,
    limits: Iterable[Limit] = (),
    width: int = 4,
    height: int = 4,
) -> stat.Panel:
    """One figure with its past behind it; red from `bad_above` on, or coloured by the limits of alerts."""
    limits = tuple(limits)
    if bad_above is not None:
        limits = (Limit(value=bad_above, severity="critical"),)
    return (
        _framed(stat.Panel(), title, description, width=width, height=height)
        .unit(unit)
        .graph_mode(looks.BigValueGraphMode.AREA)
        .color_mode(looks.BigValueColorMode.VALUE if limits else looks.BigValueColorMode.NONE)
        .reduce_options(_now(sparkline=True))
        .thresholds(_thresholds(limits))
        .with_target(query(expr, legend))
    )


def dial(  # noqa: PLR0913 - what dials differ in
    title: str,
    *,
    description: str,
    unit: str,
    queries: Sequence[Query],
    limits: Iterable[Limit] = (),
    highest: float | None = None,
    width: int = 6,
) -> gauge.Panel:
    """Dials of the values now, with the limits of alerts around them."""
    panel = (
        _framed(gauge.Panel(), title, description, width=width)
        .unit(unit)
        .min(0)
        .reduce_options(_now())
        .show_threshold_markers(True)
        .thresholds(_thresholds(limits))
    )
    if highest is not None:
        panel = panel.max(highest)
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(at_once(expr, legend, ref(index)))
    return panel


def bars(  # noqa: PLR0913 - what bars differ in
    title: str,
    *,
    description: str,
    unit: str,
    queries: Sequence[Query],
    limits: Iterable[Limit] = (),
    highest: float | None = None,
    width: int = 8,
    datasource: models.DataSourceRef = PROMETHEUS,
) -> bargauge.Panel:
    """Bars of the values now, one below the other."""
    panel = (
        _framed(bargauge.Panel(), title, description, width=width, datasource=datasource)
        .unit(unit)
        .min(0)
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .text(common.VizTextDisplayOptions().title_size(14).value_size(22))
        .reduce_options(_now())
        .thresholds(_thresholds(limits))
    )
    if highest is not None:
        panel = panel.max(highest)
    for index, (expr, legend) in enumerate(queries):
        now = log_query(expr, legend, ref(index), now=True) if datasource is LOKI else at_once(expr, legend, ref(index))
        panel = panel.with_target(now)
    return _coloured(panel, [legend for _, legend in queries])


def heat(  # noqa: PLR0913 - what heatmaps differ in
    title: str,
    *,
    description: str,
    unit: str,
    expr: str,
    links: Sequence[dashboard.DashboardLink] = (),
    width: int = 12,
) -> heatmap.Panel:
    """How many observations fell into each bucket of a histogram; `expr` gives its buckets by `le`."""
    panel = (
        _framed(heatmap.Panel(), title, description, width=width)
        .unit("suffix:/s")
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmaps.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .exponent(0.5)
            .steps(64)
        )
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .cell_gap(1)
        .show_value(looks.VisibilityMode.NEVER)
        .scale_distribution(common.ScaleDistributionConfig().type(looks.ScaleDistribution.LINEAR))
        .show_tooltip()
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(looks.AxisPlacement.LEFT))
        .with_target(query(expr, "{{le}}").format(prometheus_queries.PromQueryFormat.HEATMAP).exemplar(True))
    )
    return _linked(panel, links)


def state(title: str, *, description: str, queries: Sequence[Query], width: int = 12) -> statetimeline.Panel:
    """Since when something is up or down."""
    panel = (
        _framed(statetimeline.Panel(), title, description, width=width)
        .unit("short")
        .mappings(STATES)
        .thresholds(_thresholds([_UP]))
        .merge_values(True)
        .line_width(0)
        .fill_opacity(70)
        .show_value(looks.VisibilityMode.AUTO)
        .row_height(0.9)
        .legend(
            common.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(False)
        )
    )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(query(expr, legend, ref(index)))
    return panel


def lights(title: str, *, description: str, queries: Sequence[Query], width: int = WIDTH) -> stat.Panel:
    """A light for each thing that is up or down now."""
    panel = (
        _framed(stat.Panel(), title, description, width=width, height=4)
        .unit("short")
        .mappings(STATES)
        .thresholds(_thresholds([_UP]))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.BACKGROUND)
        .text_mode(looks.BigValueTextMode.VALUE_AND_NAME)
        # Grafana would fill each light with its value, and leave a dot's height for what it is of.
        .text(common.VizTextDisplayOptions().title_size(13).value_size(24))
        .reduce_options(_now())
    )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(at_once(expr, legend, ref(index)))
    return panel


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """Values of a table."""

    title: str
    expr: str
    unit: str = "short"
    limits: tuple[Limit, ...] = ()
    bar: bool = False
    """Whether a bar stands behind the value."""


def table_of(  # noqa: PLR0913 - what tables differ in
    title: str,
    *,
    description: str,
    columns: Sequence[Column],
    labels: Sequence[str] = (),
    hidden: Sequence[str] = (),
    links: Sequence[dashboard.DashboardLink] = (),
    sort_by: str = "",
    width: int = 12,
    height: int = HEIGHT,
) -> table.Panel:
    """A row for each combination of labels, with the values of each column now; the rows of `sort_by` largest first.

    `labels` come first, in this order; those that are `hidden` are left out. A click on the first label follows `links`.
    """
    # Columns of values have units of their own. Labels are texts: ids would be written as numbers, like 10 K.
    panel = _framed(table.Panel(), title, description, width=width, height=height).unit("string").show_header(True)
    several = len(columns) > 1
    names = {f"Value #{ref(index)}" if several else "Value": column for index, column in enumerate(columns)}
    if several:
        panel = panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    order = [*labels, *names]
    panel = panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": dict.fromkeys(("Time", "__name__", *hidden), True),
                "indexByName": {name: index for index, name in enumerate(order)},
                "renameByName": {name: column.title for name, column in names.items()},
            },
        )
    )
    for index, column in enumerate(columns):
        target = at_once(column.expr, "", ref(index)).format(prometheus_queries.PromQueryFormat.TABLE)
        panel = panel.with_target(target)
        panel = panel.override_by_name(column.title, _column_style(column))
    if links and labels:
        # Built links are values that the SDK does not look into.
        targets: Any = [{"title": link.build().title, "url": link.build().url} for link in links]
        panel = panel.override_by_name(labels[0], [models.DynamicConfigValue(id_val="links", value=targets)])
    if sort_by:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(True)])
    return panel


def _column_style(column: Column) -> list[models.DynamicConfigValue]:
    style = [models.DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.limits:
        wanted = [step.to_json() for step in steps(column.limits)]
        style.append(models.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": wanted}))
        style.append(models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
    elif column.bar:
        gauge_cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        style.append(models.DynamicConfigValue(id_val="custom.cellOptions", value=gauge_cell))
    return style


def rows(title: str, *, description: str, expr: str, width: int = 12) -> table.Panel:
    """A table of the series that `expr` has now."""
    return table_of(title, description=description, columns=[Column(title="Value", expr=expr)], width=width)


def top(title: str, *, description: str, column: Column, labels: Sequence[str], width: int = 12) -> table.Panel:
    """The largest values now, the largest first."""
    return table_of(
        title,
        description=description,
        columns=[column],
        labels=labels,
        hidden=("app", "environment", "service"),
        sort_by=column.title,
        width=width,
    )


def firing(title: str, scope: str, *, description: str = "", width: int = 12) -> table.Panel:
    """Alerts of `scope` that fire now, the longest first; one row that says so when there are none."""
    held = f'(time() - ALERTS_FOR_STATE{{{scope}}}) and ignoring (alertstate) ALERTS{{alertstate="firing", {scope}}}'
    # An empty table would look as if nobody watched.
    none = 'label_replace(vector(0), "alertname", "none fires", "", "")'
    return table_of(
        title,
        description=description
        or "Alerts that fire now, and since when their condition holds. Alerts of log lines are on Alert History.",
        columns=[Column(title="Holds for", expr=f"{held} or on () {none}", unit="s")],
        labels=("alertname", "severity", "app", "service", "instance"),
        hidden=("environment", "job"),
        links=[value_link("What happened to it", "/d/alert-history")],
        sort_by="Holds for",
        width=width,
    )


def lines(title: str, *, description: str, expr: str, width: int = WIDTH) -> logs.Panel:
    """Log lines, newest first; a click on one leads to its trace and to all lines of its request."""
    return (
        _framed(logs.Panel(), title, description, width=width, height=9, datasource=LOKI)
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(looks.LogsSortOrder.DESCENDING)
        .with_target(log_query(expr))
    )


def events(title: str, *, description: str, expr: str, width: int = WIDTH) -> table.Panel:
    """Log lines as a table: a column for each thing that a line says."""
    organized = {"excludeByName": {"labels": True, "tsNs": True, "id": True, "labelTypes": True}}
    return (
        _framed(table.Panel(), title, description, width=width, datasource=LOKI)
        .unit("short")
        .with_transformation(
            models.DataTransformerConfig(id_val="extractFields", options={"source": "labels", "format": "json"})
        )
        .with_transformation(models.DataTransformerConfig(id_val="organize", options=organized))
        .with_target(log_query(expr))
    )
