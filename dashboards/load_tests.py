"""Load tests while they run: users, requests, and what the system under test made of them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import board, deployments, fill
from dashboards.limits import Limits
from dashboards.panels import graph, number, rows

FOLDER = "observability"
_REQUESTS = "load_test_requests_total"
_FAILED = f'{_REQUESTS}{{result="failed"}}'
_BUCKETS = "load_test_request_duration_seconds_bucket"
_NOW = "[1m]"


def _quantile(share: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({_BUCKETS}{_NOW})))"


def dashboard(_limits: Limits) -> Dashboard:
    """What happens now, then the same over time, then the verdicts."""
    return fill(
        board(
            "Load Tests",
            description="Runs of `make load`, as the load generator saw them. Set the time range to the run.",
            tags=["load-tests"],
        ).annotation(deployments()),
        [
            number(
                "Users Now",
                description="Simulated users at this moment.",
                unit="short",
                expr="sum(load_test_users)",
            ),
            number(
                "Requests per Second Now",
                description="Requests a second over the last minute. A whole run has to average more than 1000.",
                unit="reqps",
                expr=f"sum(rate({_REQUESTS}{_NOW}))",
            ),
            number(
                "p95 Now",
                description="95 of 100 requests of the last minute were faster. A run has to stay below 500 ms.",
                unit="s",
                expr=_quantile("0.95", "le"),
                bad_above=0.5,
            ),
            number(
                "Error Rate Now",
                description="Share of requests of the last minute without an answer, or with a status of 400 and more. "
                "A run has to stay below 0.1 %.",
                unit="percentunit",
                expr=f"sum(rate({_FAILED}{_NOW})) / sum(rate({_REQUESTS}{_NOW}))",
                bad_above=0.001,
            ),
            number(
                "Criteria Missed",
                description="Criteria that the runs of the last hour did not keep.",
                unit="short",
                expr="sum(1 - last_over_time(load_test_criterion_passed[1h]))",
                bad_above=1,
            ),
            graph(
                "Load Test Users",
                description="Simulated users of each system, by shape.",
                unit="short",
                queries=[("sum by (app, shape) (load_test_users)", "{{app}} {{shape}}")],
            ),
            graph(
                "Requests by Result",
                description="Requests a second that went well, and that failed.",
                unit="reqps",
                queries=[(f"sum by (app, result) (rate({_REQUESTS}{_NOW}))", "{{app}} {{result}}")],
            ),
            graph(
                "Response Time Percentiles",
                description="As the users met them; the limit is 500 ms at p95.",
                unit="s",
                queries=[(_quantile(f"0.{percent}", "app, le"), f"{{{{app}}}} p{percent}") for percent in (50, 95, 99)],
            ),
            graph(
                "p95 by Endpoint",
                description="95 of 100 requests to an endpoint were faster.",
                unit="s",
                queries=[(_quantile("0.95", "app, endpoint, le"), "{{app}} {{endpoint}}")],
            ),
            graph(
                "Error Rate by Endpoint",
                description="Share of an endpoint's requests that failed; the limit is 0.1 % of all.",
                unit="percentunit",
                queries=[
                    (
                        f"sum by (app, endpoint) (rate({_FAILED}{_NOW})) / sum by (app, endpoint) (rate({_REQUESTS}{_NOW}))",
                        "{{app}} {{endpoint}}",
                    )
                ],
            ),
            rows(
                "Criteria",
                description="Verdicts of the runs of the last hour: 1 is passed, 0 is missed. `instance` is when a run began.",
                expr="max by (app, shape, criterion, endpoint, instance) (last_over_time(load_test_criterion_passed[1h]))",
            ),
        ],
    )
