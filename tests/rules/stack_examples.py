"""Examples of the alerts about the stack's own parts."""

from tests.rules.examples import Example, Firing, labels, series, without

CRITICAL = {"severity": "critical"}
WARNING = {"severity": "warning"}

PROMETHEUS = labels("prometheus")
ALERTMANAGER = labels("alertmanager")
LOKI = labels("loki")
JAEGER = labels("jaeger")
COLLECTOR = labels("collector")
GRAFANA = labels("grafana")
INBOX = labels("inbox")
SHOP = labels("web", app="shop", job="applications", instance="shop:80")

STACK = (
    Example(
        alert="Watchdog",
        says="always fires",
        series={},
        at="0m",
        fires=(
            Firing(
                labels={"severity": "info", "app": "observability", "service": "prometheus"},
                summary="Alerting works",
                description=(
                    "Always firing (1). When it stops arriving, Prometheus, Alertmanager or the way"
                    " between them is broken."
                ),
            ),
        ),
    ),
    Example(
        alert="ServiceDown",
        says="a target is down for a minute",
        series={series("up", SHOP): "1x3 0x20", series("up", LOKI): "1x30"},
        at="2m",
        quiet_at="1m45s",
        fires=(
            Firing(
                labels=SHOP | CRITICAL,
                summary="applications at shop:80 is down",
                description="Prometheus could not scrape shop:80 of job applications for a minute (up is 0).",
            ),
        ),
    ),
    Example(alert="ServiceDown", says="all targets are up", series={series("up", SHOP): "1x40"}, at="10m"),
    Example(alert="ServiceDown", says="one scrape failed", series={series("up", SHOP): "1x3 0 1x40"}, at="2m"),
)

OF_PROMETHEUS = (
    Example(
        alert="PrometheusConfigReloadFailed",
        says="the last reload failed five minutes ago",
        series={series("prometheus_config_last_reload_successful", PROMETHEUS): "0x40"},
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(
                labels=PROMETHEUS | CRITICAL,
                summary="Prometheus runs on an old configuration",
                description=(
                    "The last reload of here:1 failed: new rules and targets are not in effect (successful is 0)."
                ),
            ),
        ),
    ),
    Example(
        alert="PrometheusConfigReloadFailed",
        says="the last reload worked",
        series={series("prometheus_config_last_reload_successful", PROMETHEUS): "1x40"},
        at="10m",
    ),
    Example(
        alert="PrometheusRuleFailures",
        says="a group fails at every evaluation",
        series={series("prometheus_rule_evaluation_failures_total", PROMETHEUS, rule_group="rules/a.yml;a"): "0+1x60"},
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=PROMETHEUS | CRITICAL | {"rule_group": "rules/a.yml;a"},
                summary="Rules of rules/a.yml;a cannot be evaluated",
                description="20 evaluations failed in 5 minutes: the alerts of that group are blind.",
            ),
        ),
    ),
    Example(
        alert="PrometheusRuleFailures",
        says="no evaluation failed of late (the boundary: none is more than nought)",
        series={series("prometheus_rule_evaluation_failures_total", PROMETHEUS, rule_group="rules/a.yml;a"): "7x60"},
        at="15m",
    ),
    Example(
        alert="PrometheusRuleFailures",
        says="one evaluation failed, once",
        series={
            series("prometheus_rule_evaluation_failures_total", PROMETHEUS, rule_group="rules/a.yml;a"): "0x4 1x60"
        },
        at="6m",
    ),
    Example(
        alert="PrometheusNotificationsFailing",
        says="every notification fails",
        series={
            series("prometheus_notifications_errors_total", PROMETHEUS, alertmanager="http://here:9093"): "0+30x60"
        },
        at="15m",
        quiet_at="10m",
        fires=(
            Firing(
                labels=PROMETHEUS | CRITICAL | {"alertmanager": "http://here:9093"},
                summary="Prometheus cannot reach Alertmanager",
                description="2 notifications a second to http://here:9093 fail.",
            ),
        ),
    ),
    Example(
        alert="PrometheusNotificationsFailing",
        says="no notification failed of late (the boundary)",
        series={series("prometheus_notifications_errors_total", PROMETHEUS, alertmanager="http://here:9093"): "3x60"},
        at="15m",
    ),
    Example(
        alert="PrometheusNotificationsFailing",
        says="one failed while Alertmanager started",
        series={
            series("prometheus_notifications_errors_total", PROMETHEUS, alertmanager="http://here:9093"): "0x1 1x60"
        },
        at="5m15s",
    ),
    Example(
        alert="PrometheusScrapesLosingSamples",
        says="a target sends duplicates",
        series={
            series("prometheus_target_scrapes_sample_duplicate_timestamp_total", PROMETHEUS): "0+1x100",
            series("prometheus_target_scrapes_sample_out_of_order_total", PROMETHEUS): "0x100",
            series("prometheus_target_scrapes_exceeded_sample_limit_total", PROMETHEUS): "0x100",
        },
        at="20m",
        quiet_at="10m",
        fires=(
            Firing(
                labels=PROMETHEUS | WARNING,
                summary="Prometheus drops samples of its targets",
                description="40 samples or scrapes were refused in 10 minutes.",
            ),
        ),
    ),
    Example(
        alert="PrometheusScrapesLosingSamples",
        says="every sample is taken (the boundary)",
        series={
            series("prometheus_target_scrapes_sample_duplicate_timestamp_total", PROMETHEUS): "5x100",
            series("prometheus_target_scrapes_sample_out_of_order_total", PROMETHEUS): "5x100",
            series("prometheus_target_scrapes_exceeded_sample_limit_total", PROMETHEUS): "5x100",
        },
        at="20m",
    ),
    Example(
        alert="PrometheusStorageFailing",
        says="a compaction fails every minute",
        series={
            series("prometheus_tsdb_compactions_failed_total", PROMETHEUS): "0+1x70",
            series("prometheus_tsdb_wal_corruptions_total", PROMETHEUS): "0x70",
        },
        step="1m",
        at="60m",
        fires=(
            Firing(
                labels=PROMETHEUS | CRITICAL,
                summary="Prometheus cannot keep its samples in order",
                description="60 compactions or WAL segments failed in an hour.",
            ),
        ),
    ),
    Example(
        alert="PrometheusStorageFailing",
        says="nothing failed in the last hour (the boundary)",
        series={
            series("prometheus_tsdb_compactions_failed_total", PROMETHEUS): "2x70",
            series("prometheus_tsdb_wal_corruptions_total", PROMETHEUS): "1x70",
        },
        step="1m",
        at="65m",
    ),
)

OF_ALERTMANAGER = (
    Example(
        alert="AlertmanagerConfigReloadFailed",
        says="the last reload failed five minutes ago",
        series={series("alertmanager_config_last_reload_successful", ALERTMANAGER): "0x40"},
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(
                labels=ALERTMANAGER | CRITICAL,
                summary="Alertmanager runs on an old configuration",
                description=(
                    "The last reload of here:1 failed: new routes and receivers are not in effect (successful is 0)."
                ),
            ),
        ),
    ),
    Example(
        alert="AlertmanagerConfigReloadFailed",
        says="the last reload worked",
        series={series("alertmanager_config_last_reload_successful", ALERTMANAGER): "1x40"},
        at="10m",
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="half of one integration's notifications fail, for two reasons",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="serverError"
            ): "0+1x80",
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="other"
            ): "0+1x80",
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="email", reason="other"
            ): "0x80",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "0+4x80",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="email"): "0+4x80",
        },
        at="15m",
        quiet_at="10m",
        fires=(
            Firing(
                labels=without(ALERTMANAGER, "job") | CRITICAL | {"integration": "slack"},
                summary="Notifications by slack do not arrive",
                description="50% of the notifications by slack failed in 5 minutes (limit 0.01).",
            ),
        ),
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="exactly the limit",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="other"
            ): "0+1x80",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "0+100x80",
        },
        at="15m",
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="nothing is sent",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="other"
            ): "9x80",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "9x80",
        },
        at="15m",
    ),
)

OF_LOKI = (
    Example(
        alert="LokiRequestErrors",
        says="a quarter of the pushes fail",
        series={
            series(
                "loki_request_duration_seconds_count", LOKI, route="push", method="POST", status_code="500"
            ): "0+1x120",
            series(
                "loki_request_duration_seconds_count", LOKI, route="push", method="POST", status_code="204"
            ): "0+3x120",
            series(
                "loki_request_duration_seconds_count", LOKI, route="query", method="GET", status_code="200"
            ): "0+3x120",
        },
        at="15m",
        quiet_at="10m",
        fires=(
            Firing(
                labels=without(LOKI, "job") | CRITICAL | {"route": "push"},
                summary="Loki fails requests to push",
                description="25% of the requests to push end in a server error (limit 0.1).",
            ),
        ),
    ),
    Example(
        alert="LokiRequestErrors",
        says="exactly the limit",
        series={
            series("loki_request_duration_seconds_count", LOKI, route="push", status_code="500"): "0+1x120",
            series("loki_request_duration_seconds_count", LOKI, route="push", status_code="204"): "0+9x120",
        },
        at="25m",
    ),
    Example(
        alert="LokiRequestErrors",
        says="it was not ready for the first minute of its life",
        series={
            series("loki_request_duration_seconds_count", LOKI, route="ready", status_code="503"): "0+2x4 8x100",
            series("loki_request_duration_seconds_count", LOKI, route="ready", status_code="200"): "_x4 0+2x100",
        },
        at="11m",
    ),
    Example(
        alert="LokiPanics",
        says="it panicked",
        series={series("loki_panic_total", LOKI): "0+1x60"},
        at="10m",
        fires=(
            Firing(labels=LOKI | CRITICAL, summary="Loki panics", description="40 panics in 10 minutes at here:1."),
        ),
    ),
    Example(
        alert="LokiPanics",
        says="no panic of late (the boundary)",
        series={series("loki_panic_total", LOKI): "1x60"},
        at="12m",
    ),
    Example(
        alert="LokiDiscardsLogs",
        says="lines of several tenants are refused",
        series={
            series("loki_discarded_samples_total", LOKI, reason="rate_limited", tenant="a"): "0+1x120",
            series("loki_discarded_samples_total", LOKI, reason="rate_limited", tenant="b"): "0+1x120",
            series("loki_discarded_samples_total", LOKI, reason="line_too_long", tenant="b"): "3x120",
        },
        at="20m",
        quiet_at="10m",
        fires=(
            Firing(
                labels=without(LOKI, "job") | WARNING | {"reason": "rate_limited"},
                summary="Loki discards log lines: rate_limited",
                description="80 lines were refused in 10 minutes because of rate_limited.",
            ),
        ),
    ),
    Example(
        alert="LokiDiscardsLogs",
        says="nothing was refused of late (the boundary)",
        series={series("loki_discarded_samples_total", LOKI, reason="rate_limited", tenant="a"): "4x120"},
        at="25m",
    ),
    Example(
        alert="LokiIngestionStopped",
        says="the collector reads lines, and none arrives",
        series={
            series("loki_distributor_lines_received_total", LOKI, format="otlp"): "50x200",
            series("otelcol_receiver_accepted_log_records", COLLECTOR, receiver="otlp"): "0+1x200",
        },
        at="35m",
        quiet_at="15m",
        fires=(
            Firing(
                labels=without(LOKI, "job") | WARNING,
                summary="No log line has reached Loki for half an hour, though the collector takes lines in",
                description="here:1 receives 0 lines a second while the collector reads some.",
            ),
        ),
    ),
    Example(
        alert="LokiIngestionStopped",
        says="the same with a collector that names counters with a suffix",
        series={
            series("loki_distributor_lines_received_total", LOKI, format="otlp"): "50x200",
            series("otelcol_receiver_accepted_log_records_total", COLLECTOR, receiver="otlp"): "0+1x200",
        },
        at="35m",
        fires=(
            Firing(
                labels=without(LOKI, "job") | WARNING,
                summary="No log line has reached Loki for half an hour, though the collector takes lines in",
                description="here:1 receives 0 lines a second while the collector reads some.",
            ),
        ),
    ),
    Example(
        alert="LokiIngestionStopped",
        says="lines arrive in one of two formats",
        series={
            series("loki_distributor_lines_received_total", LOKI, format="otlp"): "0+1x200",
            series("loki_distributor_lines_received_total", LOKI, format="json"): "3x200",
            series("otelcol_receiver_accepted_log_records", COLLECTOR, receiver="otlp"): "0+1x200",
        },
        at="45m",
    ),
    Example(
        alert="LokiIngestionStopped",
        says="a stack that has nothing to say",
        series={
            series("loki_distributor_lines_received_total", LOKI, format="otlp"): "101x200",
            series("otelcol_receiver_accepted_log_records", COLLECTOR, receiver="file_log/stack"): "101x200",
        },
        at="45m",
    ),
    Example(
        alert="LokiRetentionNotApplied",
        says="the last run was three hours and a bit ago",
        series={
            series(
                "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds", LOKI
            ): "600x250",
            series("process_start_time_seconds", LOKI): "1x250",
        },
        step="1m",
        at="201m",
        quiet_at="200m",
        fires=(
            Firing(
                labels=LOKI | WARNING,
                summary="Loki's compactor stands still, so old logs stay",
                description="The last successful run was 3h 11m 0s ago: retention is not applied and the disk fills.",
            ),
        ),
    ),
    Example(
        alert="LokiRetentionNotApplied",
        says="no run since the start, three hours and a bit ago",
        series={
            series("loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds", LOKI): "0x250",
            series("process_start_time_seconds", LOKI): "60x250",
        },
        step="1m",
        at="192m",
        fires=(
            Firing(
                labels=LOKI | WARNING,
                summary="Loki's compactor stands still, so old logs stay",
                description="The last successful run was 3h 11m 0s ago: retention is not applied and the disk fills.",
            ),
        ),
    ),
    Example(
        alert="LokiRetentionNotApplied",
        says="it has only just started",
        series={
            series("loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds", LOKI): "0x250",
            series("process_start_time_seconds", LOKI): "10000x250",
        },
        step="1m",
        at="200m",
    ),
    Example(
        alert="LokiRetentionNotApplied",
        says="exactly the limit at every evaluation",
        series={
            series(
                "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds", LOKI
            ): "_x719 0+15x200",
            series("process_start_time_seconds", LOKI): "1x900",
        },
        at="205m",
        quiet_at="180m",
    ),
)

OF_JAEGER = (
    Example(
        alert="JaegerStorageFailing",
        says="spans cannot be written",
        series={series("otelcol_exporter_send_failed_spans", JAEGER, exporter="jaeger_storage_exporter"): "0+30x60"},
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=without(JAEGER, "job") | CRITICAL,
                summary="Jaeger cannot write spans",
                description="2 spans a second are lost at here:1.",
            ),
        ),
    ),
    Example(
        alert="JaegerStorageFailing",
        says="every span is written, whatever the collector loses (the boundary)",
        series={
            series("otelcol_exporter_send_failed_spans", JAEGER, exporter="jaeger_storage_exporter"): "2x60",
            series("otelcol_exporter_send_failed_spans", COLLECTOR, exporter="otlp_grpc/jaeger"): "0+15x60",
        },
        at="15m",
    ),
    Example(
        alert="JaegerRefusesSpans",
        says="spans are refused, named with a suffix",
        series={series("otelcol_receiver_refused_spans_total", JAEGER, receiver="otlp", transport="grpc"): "0+30x60"},
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=without(JAEGER, "job") | WARNING,
                summary="Jaeger refuses spans",
                description="2 spans a second are refused at here:1.",
            ),
        ),
    ),
    Example(
        alert="JaegerRefusesSpans",
        says="no span is refused of late (the boundary)",
        series={series("otelcol_receiver_refused_spans", JAEGER, receiver="otlp", transport="grpc"): "2x60"},
        at="15m",
    ),
)

OF_COLLECTOR = (
    Example(
        alert="CollectorDropsData",
        says="sending fails and nothing was ever refused a place in the queue",
        series={series("otelcol_exporter_send_failed_spans", COLLECTOR, exporter="otlp_grpc/jaeger"): "0+30x60"},
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=without(COLLECTOR, "job") | CRITICAL | {"exporter": "otlp_grpc/jaeger"},
                summary="The collector cannot deliver by otlp_grpc/jaeger",
                description="2 items a second are lost on the way out by otlp_grpc/jaeger.",
            ),
        ),
    ),
    Example(
        alert="CollectorDropsData",
        says="sending and queueing fail for several signals at once",
        series={
            series("otelcol_exporter_send_failed_log_records_total", COLLECTOR, exporter="otlp_http/loki"): "0+15x60",
            series(
                "otelcol_exporter_enqueue_failed_log_records_total", COLLECTOR, exporter="otlp_http/loki"
            ): "0+15x60",
            series("otelcol_exporter_enqueue_failed_spans_total", COLLECTOR, exporter="otlp_http/loki"): "0+15x60",
        },
        at="10m",
        fires=(
            Firing(
                labels=without(COLLECTOR, "job") | CRITICAL | {"exporter": "otlp_http/loki"},
                summary="The collector cannot deliver by otlp_http/loki",
                description="3 items a second are lost on the way out by otlp_http/loki.",
            ),
        ),
    ),
    Example(
        alert="CollectorDropsData",
        says="everything is delivered of late (the boundary)",
        series={
            series("otelcol_exporter_send_failed_spans", COLLECTOR, exporter="otlp_grpc/jaeger"): "9x60",
            series("otelcol_exporter_enqueue_failed_spans", COLLECTOR, exporter="otlp_grpc/jaeger"): "9x60",
        },
        at="15m",
    ),
    Example(
        alert="CollectorRefusesData",
        says="one receiver refuses two signals",
        series={
            series("otelcol_receiver_refused_spans", COLLECTOR, receiver="otlp", transport="grpc"): "0+15x60",
            series("otelcol_receiver_refused_log_records", COLLECTOR, receiver="otlp", transport="grpc"): "0+15x60",
        },
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=without(COLLECTOR, "job") | WARNING | {"receiver": "otlp"},
                summary="The collector refuses what applications send by otlp",
                description="2 items a second are refused by otlp.",
            ),
        ),
    ),
    Example(
        alert="CollectorRefusesData",
        says="nothing is refused of late (the boundary)",
        series={series("otelcol_receiver_refused_log_records", COLLECTOR, receiver="file_log/stack"): "1x60"},
        at="15m",
    ),
    Example(
        alert="CollectorQueueFilling",
        says="nine tenths of a queue are taken",
        series={
            series("otelcol_exporter_queue_size", COLLECTOR, exporter="otlp_grpc/jaeger", data_type="traces"): "900x60",
            series(
                "otelcol_exporter_queue_capacity", COLLECTOR, exporter="otlp_grpc/jaeger", data_type="traces"
            ): "1000x60",
            series("otelcol_exporter_queue_size", COLLECTOR, exporter="otlp_http/loki", data_type="logs"): "0x60",
            series(
                "otelcol_exporter_queue_capacity", COLLECTOR, exporter="otlp_http/loki", data_type="logs"
            ): "1000x60",
        },
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(
                labels=without(COLLECTOR, "job") | WARNING | {"exporter": "otlp_grpc/jaeger"},
                summary="The collector's queue to otlp_grpc/jaeger fills up",
                description="90% of the queue is taken; when it is full, data is lost.",
            ),
        ),
    ),
    Example(
        alert="CollectorQueueFilling",
        says="exactly the limit",
        series={
            series("otelcol_exporter_queue_size", COLLECTOR, exporter="otlp_grpc/jaeger", data_type="traces"): "800x60",
            series(
                "otelcol_exporter_queue_capacity", COLLECTOR, exporter="otlp_grpc/jaeger", data_type="traces"
            ): "1000x60",
        },
        at="10m",
    ),
)

OF_OTHERS = (
    Example(
        alert="GrafanaRequestsFailing",
        says="half of the requests fail",
        series={
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="500"): "0+1x120",
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="200"): "0+1x120",
        },
        at="15m",
        quiet_at="10m",
        fires=(
            Firing(
                labels=without(GRAFANA, "job") | WARNING,
                summary="Grafana answers with errors",
                description="50% of the requests fail (limit 0.1).",
            ),
        ),
    ),
    Example(
        alert="GrafanaRequestsFailing",
        says="exactly the limit",
        series={
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="500"): "0+1x120",
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="200"): "0+9x120",
        },
        at="25m",
    ),
    Example(
        alert="GrafanaRequestsFailing",
        says="nobody asks for anything",
        series={
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="500"): "1x120"
        },
        at="25m",
    ),
    Example(
        alert="DeadMansSwitchSilent",
        says="no beat for six minutes",
        series={series("inbox_last_beat_timestamp_seconds", INBOX): "60x60"},
        at="7m15s",
        quiet_at="7m",
        fires=(
            Firing(
                labels=INBOX | CRITICAL,
                summary="The Watchdog's beat does not arrive",
                description="The last beat came 6m 15s ago: notifications do not get through.",
            ),
        ),
    ),
    Example(
        alert="DeadMansSwitchSilent",
        says="a beat every minute",
        series={series("inbox_last_beat_timestamp_seconds", INBOX): "0+60x60"},
        step="1m",
        at="30m",
    ),
    Example(
        alert="DeadMansSwitchSilent",
        says="exactly the limit at every evaluation",
        series={series("inbox_last_beat_timestamp_seconds", INBOX): "_x19 0+15x60"},
        at="15m",
        quiet_at="5m",
    ),
)

EXAMPLES = (*STACK, *OF_PROMETHEUS, *OF_ALERTMANAGER, *OF_LOKI, *OF_JAEGER, *OF_COLLECTOR, *OF_OTHERS)
