"""nginx servers, as nginx-prometheus-exporter sees them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import graph, lights, lines

FOLDER = "exporters"
_RATE = "[$__rate_interval]"
_NAME = "{{app}} {{instance}}"
_BY = "by (app, instance)"


def _rate(metric: str) -> str:
    return f"sum {_BY} (rate({metric}{{{EACH}}}{_RATE}))"


def dashboard(limits: Limits) -> Dashboard:
    """Is it up, what comes, what is turned away."""
    onto = board("nginx", description="nginx servers: requests and connections.", tags=["exporter", "web"])
    return fill(
        generic(onto, "nginx_up"),
        [
            lights(
                "Status",
                description="Whether the exporter can read the status page.",
                queries=[(f"nginx_up{{{EACH}}}", _NAME)],
            ),
            graph(
                "Requests",
                description="Requests that nginx took.",
                unit="reqps",
                queries=[(_rate("nginx_http_requests_total"), _NAME)],
            ),
            graph(
                "Connections by State",
                description="What the open connections do: a request comes in, an answer goes out, or nothing.",
                unit="short",
                queries=[
                    (f"sum {_BY} (nginx_connections_{what}{{{EACH}}})", f"{_NAME} {what}")
                    for what in ("reading", "writing", "waiting")
                ],
                stacked=True,
            ),
            graph(
                "Answers under Way",
                description="Connections to which an answer is being written, or whose answer is being made.",
                unit="short",
                queries=[(f"sum {_BY} (nginx_connections_writing{{{EACH}}})", _NAME)],
                limits=limits.of("NginxAnswersPilingUp"),
            ),
            graph(
                "Idle Connections",
                description="Connections that are kept open for a next request.",
                unit="short",
                queries=[(f"sum {_BY} (nginx_connections_waiting{{{EACH}}})", _NAME)],
                limits=limits.of("NginxIdleConnectionsHigh"),
            ),
            graph(
                "Connections Accepted",
                description="New connections.",
                unit="suffix:/s",
                queries=[(_rate("nginx_connections_accepted"), _NAME)],
            ),
            graph(
                "Connections Dropped",
                description="Connections that were accepted and not served, since all workers were busy.",
                unit="suffix:/s",
                queries=[(f"{_rate('nginx_connections_accepted')} - {_rate('nginx_connections_handled')}", _NAME)],
            ),
            lines(
                "Errors in the Log",
                description="What nginx itself calls an error.",
                expr='{app=~"$app", environment=~"$environment", service_name=~"nginx.*", severity_text=~"ERROR|FATAL"}',
            ),
        ],
    )
