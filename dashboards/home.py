"""Where people begin: every system at a glance."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import SCOPE, WIDTH, app, board, deployments, environment, fill, link_to, value_link
from dashboards.limits import Limit, Limits
from dashboards.panels import Column, firing, graph, state, table_of
from specs import objectives
from specs.system import recorded

FOLDER = "observability"
_SPENT = Limit(value=0, severity="critical", below=True)
_ANY = Limit(value=0, severity="critical")


def _of(name: str, how: str) -> str:
    return f"{how} by (app) ({recorded(name)}{{{SCOPE}}})"


def dashboard(_limits: Limits) -> Dashboard:
    """One row a system, then the same over time."""
    onto = (
        board(
            "Home", description="Every system at a glance; a click on its name leads to its dashboards.", tags=["home"]
        )
        .with_variable(environment("up"))
        .with_variable(app('up{environment=~"$environment"}'))
        .annotation(deployments())
        .link(link_to("Objectives", "/d/slo"))
        .link(link_to("Logs", "/d/logs"))
        .link(link_to("Hosts", "/d/system-overview"))
        .link(link_to("Alert history", "/d/alert-history"))
    )
    return fill(
        onto,
        [
            table_of(
                "Systems",
                description="What is wrong, what people get, and how much of the error budget of 30 days is left.",
                columns=[
                    Column(title="Targets down", expr=f"sum by (app) (up{{{SCOPE}}} == bool 0)", limits=(_ANY,)),
                    Column(
                        title="Firing alerts",
                        expr=f'count by (app) (ALERTS{{alertstate="firing", alertname!="Watchdog", {SCOPE}}})'
                        f" or 0 * count by (app) (up{{{SCOPE}}})",
                        limits=(_ANY,),
                    ),
                    Column(title="Requests a second", expr=_of("http_rate", "sum"), unit="reqps"),
                    Column(title="Error rate", expr=_of("http_error_share", "max"), unit="percentunit"),
                    Column(title="Response time (p95)", expr=_of("http_p95", "max"), unit="s"),
                    Column(
                        title="Error budget left",
                        expr=f"min by (app) ({objectives.REMAINING}{{{SCOPE}}})",
                        unit="percentunit",
                        limits=(_SPENT,),
                    ),
                ],
                labels=("app",),
                links=[
                    value_link("Dashboards", "/dashboards?tag=${__value.text}"),
                    value_link("Objectives", "/d/slo?var-app=${__value.text}"),
                    value_link("Logs", "/d/logs?var-app=${__value.text}"),
                ],
                sort_by="Firing alerts",
                width=WIDTH,
            ),
            state(
                "What Is Up",
                description="Whether every target of a system answers Prometheus.",
                queries=[(f"min by (app) (up{{{SCOPE}}})", "{{app}}")],
            ),
            firing("Firing Alerts", SCOPE),
            graph(
                "Request Rate",
                description="Requests that each system answers.",
                unit="reqps",
                queries=[(_of("http_rate", "sum"), "{{app}}")],
                width=8,
            ),
            graph(
                "Error Rate",
                description="Share of the requests that end in a status of 500 to 599.",
                unit="percentunit",
                queries=[(_of("http_error_share", "max"), "{{app}}")],
                width=8,
            ),
            graph(
                "Response Time (p95)",
                description="95% of the answers take no longer.",
                unit="s",
                queries=[(_of("http_p95", "max"), "{{app}}")],
                width=8,
            ),
        ],
    )
