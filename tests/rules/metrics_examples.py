"""Examples of the alerts about Thanos, and about samples that are sent elsewhere."""

from tests.rules.examples import (
    CRITICAL,
    NO_LIMIT,
    WARNING,
    Example,
    Firing,
    counter,
    gauge,
    labels,
    series,
    tried,
    without,
)

SIDECAR = labels("thanos-sidecar")
QUERY = labels("thanos-query")
STORE = labels("thanos-store")
COMPACTOR = labels("thanos-compactor")
COMPACTOR_TOO = labels("thanos-compactor", instance="there:1")
RULER = labels("thanos-ruler")
RULER_TOO = labels("thanos-ruler", instance="there:1")
PROMETHEUS = labels("prometheus")
REMOTE = {"remote_name": "remote", "url": "https://metrics.example.com/push"}
BLOCKED = {"operation": "upload", "bucket": "metrics"}
ASKED = {"handler": "query"}

UPLOADS = series("thanos_shipper_uploads_total", SIDECAR)
RUNS = series("thanos_compact_iterations_total", COMPACTOR)

OF_BLOCKS = (
    Example(
        alert="ThanosSidecarWithoutPrometheus",
        says="its Prometheus was away, and is back",
        series={series("thanos_sidecar_prometheus_up", SIDECAR): "0x24 1x40"},
        at="5m",
        quiet_at="4m45s",
        resolved_at="7m",
        fires=(
            Firing(
                labels=SIDECAR | WARNING,
                summary="Thanos' sidecar here:1 cannot reach its Prometheus",
                description="Queries go without this replica, and its blocks stay where they are (up is 0).",
            ),
        ),
    ),
    Example(
        alert="ThanosSidecarWithoutPrometheus",
        says=NO_LIMIT,
        series={series("thanos_sidecar_prometheus_up", SIDECAR): "1x60"},
        at="10m",
    ),
    *tried(
        "ThanosUploadFailing",
        {
            series("thanos_shipper_dir_sync_failures_total", SIDECAR): counter(1, 0),
            series("thanos_shipper_upload_failures_total", SIDECAR): counter(0),
        },
        Firing(
            labels=SIDECAR | WARNING,
            summary="Blocks of here:1 do not reach object storage",
            description=(
                "60 attempts failed in 15 minutes. Nothing is lost yet: the blocks stay on the volume for as long as"
                " retention.metrics says."
            ),
        ),
        wait="15m",
        window="15m",
    ),
    Example(
        alert="ThanosUploadStalled",
        says="no block for five hours and a half, then one",
        series={UPLOADS: "5x340 6x60", series("process_start_time_seconds", SIDECAR): "0x400"},
        step="1m",
        at="332m",
        quiet_at="330m",
        resolved_at="345m",
        fires=(
            Firing(
                labels=SIDECAR | WARNING,
                summary="here:1 has uploaded no block for five hours",
                description="Prometheus makes one every two hours, and 0 arrived.",
            ),
        ),
    ),
    Example(
        alert="ThanosUploadStalled",
        says="it has run for five hours to the second (the boundary), with no block yet",
        series={UPLOADS: "0x400", series("process_start_time_seconds", SIDECAR): "-18000+60x400"},
        step="1m",
        at="400m",
    ),
    Example(
        alert="ThanosUploadStalled",
        says="a block every two hours",
        series={UPLOADS: "0x120 1x120 2x120 3x120 4x120", series("process_start_time_seconds", SIDECAR): "0x600"},
        step="1m",
        at="590m",
    ),
    *tried(
        "ThanosBucketFailing",
        {
            series("thanos_objstore_bucket_operation_failures_total", SIDECAR, **BLOCKED): counter(2, 1, 0),
            series("thanos_objstore_bucket_operations_total", SIDECAR, **BLOCKED): counter(20),
        },
        Firing(
            labels=without(SIDECAR, "job") | WARNING | {"operation": "upload"},
            summary="Object storage refuses upload of thanos-sidecar",
            description="10% of the operations of here:1 fail (limit 0.05).",
        ),
        wait="15m",
        window="15m",
    ),
    Example(
        alert="ThanosCompactorHalted",
        says="it found blocks that overlap, and was started again",
        series={series("thanos_compact_halted", COMPACTOR): "1x24 0x40"},
        at="5m",
        quiet_at="4m45s",
        resolved_at="7m",
        fires=(
            Firing(
                labels=COMPACTOR | WARNING,
                summary="Thanos' compactor has stopped for good",
                description=(
                    "It found blocks that it cannot join (halted is 1): nothing is thinned out or deleted, and long"
                    " queries get slower every day."
                ),
            ),
        ),
    ),
    Example(
        alert="ThanosCompactorHalted",
        says=NO_LIMIT,
        series={series("thanos_compact_halted", COMPACTOR): "0x60"},
        at="10m",
    ),
    Example(
        alert="ThanosCompactorStalled",
        says="it tries for hours, and gets there",
        series={RUNS: "9x400 10x60", series("process_start_time_seconds", COMPACTOR): "0x460"},
        step="1m",
        at="392m",
        quiet_at="390m",
        resolved_at="405m",
        fires=(
            Firing(
                labels=COMPACTOR | WARNING,
                summary="Thanos' compactor has not come to an end for six hours",
                description="0 runs ended well: nothing is thinned out or deleted in time.",
            ),
        ),
    ),
    Example(
        alert="ThanosCompactorStalled",
        says="it has run for six hours to the second (the boundary), the first time",
        series={RUNS: "0x500", series("process_start_time_seconds", COMPACTOR): "-21600+60x500"},
        step="1m",
        at="500m",
    ),
    *tried(
        "ThanosCompactorTwice",
        {series("up", COMPACTOR): gauge(1), series("up", COMPACTOR_TOO): gauge(1, 0)},
        Firing(
            labels=without(COMPACTOR, "job", "instance") | CRITICAL,
            summary="Several of Thanos' compactors work on one bucket",
            description="2 are up (limit 1). They join the same blocks, and damage each other's.",
        ),
        wait="5m",
    ),
    *tried(
        "ThanosStoreBlocksFailing",
        {series("thanos_bucket_store_block_load_failures_total", STORE): counter(1, 0)},
        Firing(
            labels=STORE | WARNING,
            summary="Thanos' store cannot load blocks",
            description="120 loads failed in 30 minutes: queries miss what is in them.",
        ),
        wait="15m",
        window="30m",
    ),
)

OF_QUERIES = (
    *tried(
        "ThanosQueriesFailing",
        {
            series("http_requests_total", QUERY, code="500", **ASKED): counter(2, 1, 0),
            series("http_requests_total", QUERY, code="200", **ASKED): counter(18, 19, 18),
        },
        Firing(
            labels=without(QUERY, "job", "instance") | CRITICAL,
            summary="Queries for metrics fail",
            description="10% of what thanos-query is asked ends in an error (limit 0.05).",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "ThanosQueriesSlow",
        {
            series("http_request_duration_seconds_bucket", QUERY, le="30", **ASKED): counter(0, 95, 100),
            series("http_request_duration_seconds_bucket", QUERY, le="60", **ASKED): counter(100),
            series("http_request_duration_seconds_bucket", QUERY, le="+Inf", **ASKED): counter(100),
            series("http_request_duration_seconds_count", QUERY, **ASKED): counter(100),
        },
        Firing(
            labels=without(QUERY, "job", "instance") | WARNING,
            summary="Queries for metrics are slow",
            description="The 95th percentile takes 58.5s (limit 30 s).",
        ),
        wait="15m",
        window="10m",
    ),
    *tried(
        "ThanosStoresMissing",
        {
            series("thanos_store_nodes_grpc_connections", QUERY, store_type="sidecar"): gauge(1, 2),
            series("thanos_store_nodes_grpc_connections", QUERY, store_type="rule"): gauge(2),
            series("thanos_store_nodes_grpc_connections", QUERY, store_type="store"): gauge(1),
        },
        Firing(
            labels=without(QUERY, "job") | WARNING,
            summary="here:1 misses some that it should ask for series",
            description=(
                "It is connected to 4 (it should be 5): sidecars, store and rulers. What only the missing ones have is"
                " not in its answers."
            ),
        ),
        wait="5m",
    ),
)

OF_RULES = (
    Example(
        alert="ThanosRulerDown",
        says="both replicas are down, and one comes back",
        series={series("up", RULER): "1x4 0x24 1x40", series("up", RULER_TOO): "0x80"},
        at="4m30s",
        quiet_at="4m",
        resolved_at="8m",
        fires=(
            Firing(
                labels={"app": "observability", "service": "thanos-ruler"} | CRITICAL,
                summary="Nothing evaluates the rules",
                description=(
                    "No replica of Thanos' ruler is up (absent is 1): apart from this one, no alert can fire."
                ),
            ),
        ),
    ),
    Example(
        alert="ThanosRulerDown",
        says="one of two is down",
        series={series("up", RULER): "1x80", series("up", RULER_TOO): "0x80"},
        at="15m",
    ),
    *tried(
        "ThanosRulerFailing",
        {
            series("prometheus_rule_evaluation_failures_total", RULER, rule_group="a"): counter(8, 5, 0),
            series("prometheus_rule_evaluations_total", RULER, rule_group="a"): counter(10),
        },
        Firing(
            labels=without(RULER, "job") | CRITICAL,
            summary="Thanos' ruler cannot evaluate most rules",
            description="80% of the evaluations of here:1 fail (limit 0.5): their alerts are blind.",
        ),
        wait="5m",
        window="5m",
    ),
    *tried(
        "ThanosRulesFailing",
        {
            series(
                "prometheus_rule_evaluation_failures_total", RULER, rule_group="stack.yml;stack", strategy="abort"
            ): counter(1, 0)
        },
        Firing(
            labels=RULER | CRITICAL | {"rule_group": "stack.yml;stack", "strategy": "abort"},
            summary="Rules of stack.yml;stack cannot be evaluated",
            description="20 evaluations failed in 5 minutes: alerts of that group are blind.",
        ),
        wait="20m",
        window="5m",
    ),
    *tried(
        "ThanosRulerLosesAlerts",
        {
            series("thanos_alert_queue_alerts_dropped_total", RULER): counter(0),
            series("thanos_alert_sender_alerts_dropped_total", RULER): counter(1, 0),
        },
        Firing(
            labels=RULER | CRITICAL,
            summary="Thanos' ruler lost alerts on their way to Alertmanager",
            description="40 alerts were dropped in 10 minutes; those that still fire are sent again.",
        ),
        window="10m",
    ),
)

OF_REMOTE_WRITE = (
    *tried(
        "PrometheusRemoteWriteFailing",
        {
            series("prometheus_remote_storage_samples_failed_total", PROMETHEUS, **REMOTE): counter(10, 1, 0),
            series("prometheus_remote_storage_samples_total", PROMETHEUS, **REMOTE): counter(100),
        },
        Firing(
            labels=without(PROMETHEUS, "job") | CRITICAL | {"url": REMOTE["url"]},
            summary="Samples do not reach https://metrics.example.com/push",
            description="10% of the samples that here:1 sends are refused for good (limit 0.01).",
        ),
        wait="15m",
        window="15m",
    ),
    *tried(
        "PrometheusRemoteWriteBehind",
        {
            series("prometheus_remote_storage_queue_highest_timestamp_seconds", PROMETHEUS, **REMOTE): gauge(1000),
            series("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", PROMETHEUS, **REMOTE): gauge(
                400, 700, 1000
            ),
        },
        Firing(
            labels=PROMETHEUS | REMOTE | WARNING,
            summary="https://metrics.example.com/push gets samples late",
            description=(
                "The newest sample it has from here:1 is 10m 0s old (limit 300 s); after about two hours samples are"
                " lost."
            ),
        ),
        wait="15m",
    ),
)

EXAMPLES = (*OF_BLOCKS, *OF_QUERIES, *OF_RULES, *OF_REMOTE_WRITE)
