"""Examples of the alerts about applications that registered themselves."""

from tests.rules.examples import Example, Firing, labels, series

SHOP = labels("web", app="shop", job="applications", instance="shop:80")
WHO = {"app": "shop", "environment": "test", "service": "web"}


def _requests(good: str, bad: str) -> dict[str, str]:
    return {
        series("http_requests_total", SHOP, status="200"): good,
        series("http_requests_total", SHOP, status="503"): bad,
    }


def _latency(fast: str, slow: str, requests: str) -> dict[str, str]:
    """Buckets of up to 1 s and up to 2 s, and the requests they were taken from."""
    return {
        series("http_request_duration_seconds_bucket", SHOP, le="1"): fast,
        series("http_request_duration_seconds_bucket", SHOP, le="2"): slow,
        series("http_request_duration_seconds_bucket", SHOP, le="+Inf"): slow,
        series("http_requests_total", SHOP, status="200"): requests,
    }


EXAMPLES = (
    Example(
        alert="ApplicationErrors",
        says="one request in five fails",
        series=_requests("0+120x60", "0+30x14 420x60"),
        at="3m",
        resolved_at="7m",
        quiet_at="1m",
        fires=(
            Firing(
                labels=WHO | {"severity": "critical"},
                summary="shop answers with errors",
                description="20% of the requests end in a server error (limit 0.05).",
            ),
        ),
    ),
    Example(
        alert="ApplicationErrors",
        says="one request in twenty fails (the boundary)",
        series=_requests("0+285x40", "0+15x40"),
        at="8m",
    ),
    Example(
        alert="ApplicationErrors",
        says="every request fails, but there is hardly any",
        series={series("http_requests_total", SHOP, status="503"): "0+1x40"},
        at="8m",
    ),
    Example(
        alert="ApplicationSlow",
        says="one request in five takes up to two seconds",
        series=_latency("0+120x14 1830+150x40", "0+150x60", "0+150x60"),
        at="3m",
        resolved_at="7m",
        quiet_at="1m",
        fires=(
            Firing(
                labels=WHO | {"severity": "warning"},
                summary="shop is slow",
                description="The 95th percentile of the response time is 1.75s (limit 1 s).",
            ),
        ),
    ),
    Example(
        alert="ApplicationSlow",
        says="the 95th percentile is one second (the boundary)",
        series=_latency("0+95x40", "0+100x40", "0+100x40"),
        at="8m",
    ),
    Example(
        alert="ApplicationSlow",
        says="everything is slow, but there is hardly any request",
        series=_latency("0x40", "0+1x40", "0+1x40"),
        at="8m",
    ),
)
