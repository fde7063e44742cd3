"""Examples of the alerts about targets and applications that give more than they may."""

from tests.rules.examples import WARNING, Example, Firing, counter, gauge, labels, series, tried, without

WILD = labels("web", app="shop", job="applications", instance="shop:80")
COLLECTOR = labels("collector")
_OVER = "applications at shop:80 has more series than one target may have"
_SAMPLES = series("scrape_samples_post_metric_relabeling", WILD)
_BODY = series("scrape_body_size_bytes", WILD)
_LIMIT = {series("scrape_sample_limit", WILD): "50000x40"}

OF_TARGETS = (
    Example(
        alert="TargetOverLimit",
        says="a million series, then few",
        series=_LIMIT | {_SAMPLES: "1000000x5 300x20", _BODY: "20000000x5 9000x20"},
        at="1m",
        quiet_at="45s",
        resolved_at="2m",
        fires=(
            Firing(
                labels=WILD | WARNING,
                summary=_OVER,
                description=(
                    "It answers with 1M series, so every scrape of it is refused and it counts as down; other targets"
                    " are not concerned."
                ),
            ),
        ),
    ),
    Example(
        alert="TargetOverLimit",
        says="a page that is too long to be read",
        series=_LIMIT | {_SAMPLES: "0x5 300x20", _BODY: "-1x5 9000x20"},
        at="1m",
        quiet_at="45s",
        resolved_at="2m",
        fires=(
            Firing(
                labels=WILD | WARNING,
                summary=_OVER,
                description=(
                    "It answers with more bytes than it may, so every scrape of it is refused and it counts as down;"
                    " other targets are not concerned."
                ),
            ),
        ),
    ),
    Example(
        alert="TargetOverLimit",
        says="exactly as many series as it may have, and then no answer at all",
        series=_LIMIT | {_SAMPLES: "50000x10 0x10", _BODY: "20000000x10 0x10"},
        at="4m",
    ),
    *tried(
        "TargetSeriesChurning",
        {series("scrape_series_added", WILD): gauge(2500, 1500, 0), _SAMPLES: gauge(50_000)},
        Firing(
            labels=WILD | WARNING,
            summary="applications at shop:80 makes new series all the time",
            description=(
                "It brought 200k new series within an hour, beside as many as it has (limit 100000); each stays in"
                " memory for two hours or more, though it is told but once."
            ),
        ),
        wait="5m",
        window="1h",
        step="36s",
    ),
    Example(
        alert="TargetSeriesChurning",
        says="Prometheus was started, and all series of a large target are new to it",
        series={series("scrape_series_added", WILD): "300000 0x60", _SAMPLES: "300000x60"},
        at="10m",
    ),
)

_FLOOD = 1000
"""Lines a second."""

OF_COLLECTOR = tried(
    "CollectorLogFlood",
    {
        series("otelcol_receiver_accepted_log_records_total", COLLECTOR, receiver="otlp", transport="http"): counter(
            20 * 15 * _FLOOD, 15 * _FLOOD, 0
        )
    },
    Firing(
        labels=without(COLLECTOR, "job") | WARNING | {"receiver": "otlp"},
        summary="Very many log lines come in by otlp",
        description=(
            "20k lines a second are taken in by here:1 (limit 1000). They wait on disk for Loki, and when there is no"
            " more room, senders are refused or wait."
        ),
    ),
    wait="1m",
    window="1m",
)

EXAMPLES = (*OF_TARGETS, *OF_COLLECTOR)
