"""What the systems promise: objectives, error budgets, how fast they burn, and figures beside their targets."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import SCOPE, WIDTH, alert_marks, app, board, deployments, environment, fill, link_to, value_link
from dashboards.limits import Limit, Limits
from dashboards.panels import Column, graph, table_of
from specs import objectives

FOLDER = "observability"
_EACH = "app, environment, service, slo"
_SPENT = Limit(value=0, severity="critical", below=True)
_BUDGET = f"max by ({_EACH}) ({objectives.BUDGET}{{{SCOPE}}})"
_LEGEND = "{{app}} {{slo}}"
_WEEK = "7d"


def _burn(window: str) -> str:
    return f"{objectives.ratio(window)}{{{SCOPE}}} / on ({_EACH}) group_left () {_BUDGET}"


def _during(window: str) -> str:
    """Share of bad events in a window that no rule computes."""
    bad, events = (f"sum_over_time({name}{{{SCOPE}}}[{window}])" for name in (objectives.BAD, objectives.EVENTS))
    return f"{bad} / ({events} > 0)"


def _burning(window: str, limits: Limits, means: str) -> Column:
    return Column(
        title=f"Burn rate {window}",
        expr=_burn(window),
        unit="none",
        limits=limits.of("ErrorBudgetBurn", level=means),
    )


def dashboard(limits: Limits) -> Dashboard:
    """Promises and what is left of them; then over time; then the week, for the review."""
    onto = (
        board(
            "SLO",
            description="Objectives of the systems, and the error budgets of 30 days that are left.",
            tags=["slo"],
            hours=24,
            refresh="1m",
        )
        .with_variable(environment(objectives.EVENTS))
        .with_variable(app(f'{objectives.EVENTS}{{environment=~"$environment"}}'))
        .annotation(deployments())
        .annotation(alert_marks(SCOPE))
        .link(link_to("Home", "/d/home"))
    )
    return fill(
        onto,
        [
            table_of(
                "Objectives",
                description=(
                    "What is promised, what was kept in 30 days, how much of the budget is left, and how fast it burns:"
                    " at 1 it lasts exactly 30 days."
                ),
                columns=[
                    Column(
                        title="Target",
                        expr=f"1 - max by ({_EACH}, objective) ({objectives.BUDGET}{{{SCOPE}}})",
                        unit="percentunit",
                    ),
                    Column(
                        title="Kept in 30 days", expr=f"1 - {objectives.ratio('30d')}{{{SCOPE}}}", unit="percentunit"
                    ),
                    Column(
                        title="Budget left",
                        expr=f"{objectives.REMAINING}{{{SCOPE}}}",
                        unit="percentunit",
                        limits=(_SPENT,),
                    ),
                    *(_burning(window, limits, window) for window in ("1h", "6h", "1d", "3d")),
                ],
                labels=("app", "service", "slo", "objective"),
                hidden=("environment",),
                links=[value_link("Dashboards", "/dashboards?tag=${__value.text}")],
                sort_by="Burn rate 1h",
                width=WIDTH,
                height=12,
            ),
            graph(
                "Error Budget Left",
                description="Share of the budget of 30 days that is left; below nought more went wrong than was allowed.",
                unit="percentunit",
                queries=[(f"{objectives.REMAINING}{{{SCOPE}}}", _LEGEND)],
                limits=[_SPENT],
                crowded=True,
                # Twice the budget is spent: how much further does not matter, and would flatten the others.
                least=-1,
            ),
            graph(
                "Good Events",
                description="Share of the events of an hour that were as good as promised.",
                unit="percentunit",
                queries=[(f"1 - {objectives.ratio('1h')}{{{SCOPE}}}", _LEGEND)],
                crowded=True,
            ),
            *(
                graph(
                    f"Burn Rate ({window})",
                    description=f"How many times faster than allowed the budget went in the last {window}.",
                    unit="none",
                    queries=[(_burn(window), _LEGEND)],
                    limits=limits.of("ErrorBudgetBurn", level=window),
                    crowded=True,
                )
                for window in ("1h", "6h", "1d", "3d")
            ),
            table_of(
                "Figures and Targets",
                description="Figures that people look at beside their targets; they alert nobody.",
                columns=[
                    # Of the same labels, or each column would have rows of its own.
                    Column(title="Now", expr=f"max by (app, environment, kpi) (kpi:value{{{SCOPE}}})"),
                    Column(title="Target", expr=f"max by (app, environment, kpi) (kpi:target{{{SCOPE}}})"),
                    Column(
                        title="Of target",
                        expr=f"kpi:value{{{SCOPE}}} / on (app, environment, kpi) kpi:target{{{SCOPE}}}",
                        unit="percentunit",
                    ),
                ],
                labels=("app", "kpi"),
                hidden=("environment",),
            ),
            graph(
                "Figures over Time",
                description="Each figure as a share of its target.",
                unit="percentunit",
                queries=[
                    (f"kpi:value{{{SCOPE}}} / on (app, environment, kpi) kpi:target{{{SCOPE}}}", "{{app}} {{kpi}}")
                ],
            ),
            "Reviewed Weekly",
            table_of(
                "The Week",
                description="What was kept in the last seven days, and the share of the budget of 30 days that the week took.",
                columns=[
                    Column(title="Kept in 7 days", expr=f"1 - {_during(_WEEK)}", unit="percentunit"),
                    Column(
                        title="Budget taken",
                        expr=f"7 / 30 * ({_during(_WEEK)}) / on ({_EACH}) group_left () {_BUDGET}",
                        unit="percentunit",
                    ),
                ],
                labels=("app", "service", "slo"),
                hidden=("environment",),
                sort_by="Budget taken",
            ),
            table_of(
                "Alerts of the Week",
                description="For how long each alert fired in the last seven days, all its series together.",
                columns=[
                    Column(
                        title="Fired for",
                        expr=(
                            "60 * sum by (app, alertname, severity) (count_over_time("
                            f'ALERTS{{alertstate="firing", alertname!="Watchdog", {SCOPE}}}[{_WEEK}:1m]))'
                            ' or on () label_replace(vector(0), "alertname", "none fired", "", "")'
                        ),
                        unit="s",
                    )
                ],
                labels=("alertname", "severity", "app"),
                sort_by="Fired for",
            ),
            graph(
                "Error Budget Left This Week",
                description="Share of the budget of 30 days that is left, over the last seven days.",
                unit="percentunit",
                queries=[(f"{objectives.REMAINING}{{{SCOPE}}}", _LEGEND)],
                limits=[_SPENT],
                crowded=True,
                # Twice the budget is spent: how much further does not matter, and would flatten the others.
                least=-1,
            ).time_from(_WEEK),
            graph(
                "Response Time This Week (p95)",
                description="95% of the answers took no longer, over the last seven days.",
                unit="s",
                queries=[(f"app:http_p95:5m{{{SCOPE}}}", "{{app}} {{service}}")],
            ).time_from(_WEEK),
        ],
    )
