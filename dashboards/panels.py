"""House defaults of panels and dashboards, so that a dashboard's own module holds names and queries only."""

from grafana_foundation_sdk.builders import dashboard, logs, loki, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as queries

PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = models.DataSourceRef(type_val="loki", uid="loki")


def board(title: str, *, description: str, tags: list[str]) -> dashboard.Dashboard:
    """An empty dashboard: an hour, refreshed every half minute, not editable."""
    return (
        dashboard.Dashboard(title)
        .description(description)
        .tags(["observability-as-code", *tags])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )


def query(expr: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A range query in PromQL, with exemplars."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).exemplar(True)


def graph(
    title: str, *, description: str, unit: str, queries: list[tuple[str, str]], width: int = 12
) -> timeseries.Panel:
    """Lines over time; `queries` are pairs of PromQL and legend."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(8)
        .span(width)
        .fill_opacity(10)
        .line_width(1)
        .show_points(common.VisibilityMode.NEVER)
        .min(0)
    )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(query(expr, legend, chr(ord("A") + index)))
    return panel


def number(
    title: str,
    *,
    description: str,
    unit: str,
    expr: str,
    bad_above: float | None = None,
) -> stat.Panel:
    """One figure, red from `bad_above` on."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(4)
        .span(4)
        .with_target(prometheus.Dataquery().expr(expr).ref_id("A").instant())
    )
    if bad_above is not None:
        panel = panel.thresholds(
            dashboard.ThresholdsConfig()
            .mode(models.ThresholdsMode.ABSOLUTE)
            .steps([models.Threshold(color="green"), models.Threshold(color="red", value=bad_above)])
        )
    return panel


def rows(title: str, *, description: str, expr: str, width: int = 12) -> table.Panel:
    """A table of the series that `expr` has now."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .height(8)
        .span(width)
        .with_target(prometheus.Dataquery().expr(expr).ref_id("A").instant().format(queries.PromQueryFormat.TABLE))
    )


def lines(title: str, *, description: str, expr: str, width: int = 24) -> logs.Panel:
    """Log lines, newest first."""
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .datasource(LOKI)
        .height(9)
        .span(width)
        .show_time(True)
        .wrap_log_message(True)
        .with_target(loki.Dataquery().expr(expr).ref_id("A"))
    )
