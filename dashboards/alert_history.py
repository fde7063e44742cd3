"""Every notification that was sent: to whom, by what, and what became of it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import LOKI, board, deployments, fill, link_to
from dashboards.limits import Limits
from dashboards.panels import bars, firing, graph, lines
from specs import history

FOLDER = "observability"


def _counted(*labels: str, only: str = 'outcome != ""') -> str:
    return f"sum by ({', '.join(labels)}) (count_over_time({history.SELECTOR} | {only} [$__auto]))"


def dashboard(_limits: Limits) -> Dashboard:
    """What fires now, what was sent, and what did not arrive."""
    onto = (
        board(
            "Alert History",
            description="Notifications of the last 90 days: to whom, by what, and their outcome. Set the time range.",
            tags=["alerts"],
            hours=24,
            refresh="1m",
        )
        .annotation(deployments())
        .link(link_to("Home", "/d/home"))
    )
    return fill(
        onto,
        [
            graph(
                "Notifications by Outcome",
                description="Delivered, tried again, failed, silenced or inhibited.",
                unit="short",
                queries=[(_counted("outcome"), "{{outcome}}")],
                datasource=LOKI,
                stacked=True,
            ),
            graph(
                "Notifications by Alert",
                description="Which alerts people were told of.",
                unit="short",
                queries=[(_counted("alertname", "alert_app"), "{{alert_app}} {{alertname}}")],
                datasource=LOKI,
                stacked=True,
            ),
            bars(
                "Notifications by Receiver",
                description="How many notifications each receiver got in the time range, and what became of them.",
                unit="short",
                queries=[(history.COUNTS, "{{receiver}} {{integration}} {{outcome}}")],
                datasource=LOKI,
                width=12,
            ),
            firing(
                "Firing Alerts",
                'app=~".*"',
                description="Alerts of Prometheus that fire now; the Watchdog always does.",
            ),
            lines("Notifications", description="Every notification, the newest first.", expr=history.PANEL),
        ],
    )
