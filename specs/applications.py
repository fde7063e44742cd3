"""Alerts of any application that registers itself with the usual HTTP metrics and has no profile of its own."""

from collections.abc import Sequence

from specs.monitoring import THRESHOLD, Alert, RuleGroup
from specs.settings import Severity

_BY = "sum by (app, environment, service)"


def group(systems: Sequence[str]) -> RuleGroup:
    """Alerts of every registered application that is none of `systems`: those have alerts of their own."""
    others = ', app!~"' + "|".join(systems) + '"' if systems else ""
    scope = f'job="applications"{others}'
    requests = f"{_BY} (rate(http_requests_total{{{scope}}}[2m]))"
    failed = f'{_BY} (rate(http_requests_total{{{scope}, status=~"5.."}}[2m]))'
    buckets = f"sum by (app, environment, service, le) (rate(http_request_duration_seconds_bucket{{{scope}}}[2m]))"
    return RuleGroup(
        name="applications",
        alerts=(
            Alert(
                name="ApplicationErrors",
                # A share of next to no requests says nothing: below one in ten seconds it is not asked for.
                expr=f"{failed} / {requests} > {THRESHOLD}\nand {requests} > 0.1",
                threshold=0.05,
                for_="1m",
                severity=Severity.CRITICAL,
                summary="{{ $labels.app }} answers with errors",
                description="{{ $value | humanizePercentage }} of the requests end in a server error (limit $threshold).",
                action="Open the application's error log lines; each names its trace, and the trace the call that failed.",
            ),
            Alert(
                name="ApplicationSlow",
                expr=f"histogram_quantile(0.95, {buckets}) > {THRESHOLD}\nand {requests} > 0.1",
                threshold=1,
                for_="1m",
                severity=Severity.WARNING,
                summary="{{ $labels.app }} is slow",
                description="The 95th percentile of the response time is {{ $value | humanizeDuration }} (limit $threshold s).",
                action="Open a slow trace: its longest span says where the time goes.",
            ),
        ),
    )
