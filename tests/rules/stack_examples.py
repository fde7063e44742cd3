"""Examples of the alerts about the stack's own parts."""

from tests.rules.examples import (
    CRITICAL,
    INFO,
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

PROMETHEUS = labels("prometheus")
ALERTMANAGER = labels("alertmanager")
LOKI = labels("loki")
JAEGER = labels("jaeger")
COLLECTOR = labels("collector")
AGENT = labels("agent", node="node-a")
GRAFANA = labels("grafana")
INBOX = labels("inbox")
ONCE_IN_FIVE = "0x1 1x4 2x4 3x4 4x4 5x4 6x4 7x40"
"""A counter that grows by one each five minutes, seven times."""
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
        series={series("up", SHOP): "1x3 0x4 1x20", series("up", LOKI): "1x30"},
        at="2m",
        quiet_at="1m45s",
        resolved_at="3m",
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
        series={series("prometheus_config_last_reload_successful", PROMETHEUS): "0x24 1x40"},
        at="5m",
        quiet_at="4m45s",
        resolved_at="7m",
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
        series={
            series("prometheus_rule_evaluation_failures_total", PROMETHEUS, rule_group="rules/a.yml;a"): "0+1x40 40x60"
        },
        at="10m",
        quiet_at="5m",
        resolved_at="18m",
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
            series(
                "prometheus_notifications_errors_total", PROMETHEUS, alertmanager="http://here:9093"
            ): "0+30x70 2100x60"
        },
        at="15m",
        quiet_at="10m",
        resolved_at="25m",
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
            series("prometheus_target_scrapes_sample_duplicate_timestamp_total", PROMETHEUS): "0+1x90 90x100",
            series("prometheus_target_scrapes_sample_out_of_order_total", PROMETHEUS): "0x190",
            series("prometheus_target_scrapes_exceeded_sample_limit_total", PROMETHEUS): "0x190",
        },
        at="20m",
        resolved_at="35m",
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
            series("prometheus_tsdb_compactions_failed_total", PROMETHEUS): "0+1x65 65x80",
            series("prometheus_tsdb_wal_corruptions_total", PROMETHEUS): "0x150",
        },
        step="1m",
        at="60m",
        resolved_at="130m",
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

NOTHING_UP = Firing(
    labels={"app": "shop", "environment": "test", "service": "web"} | INFO,
    summary="Nothing of web of shop is up",
    description="Every target of web of shop has been down for a minute (the best up is 0).",
)
SECOND = labels("web", app="shop", job="other", instance="shop:81")
SHOP_PROBE = labels("web", app="shop", job="probe", instance="http://shop/", probe="shop")
GONE = without(SECOND, "instance")

OF_SCRAPES = (
    Example(
        alert="SystemDown",
        says="both targets of a service go down one after the other, while it is probed, and one comes back",
        series={
            series("up", SHOP): "1x3 0x30",
            series("up", SECOND): "1x7 0x8 1x20",
            series("up", SHOP_PROBE): "1x40",
        },
        at="3m",
        quiet_at="1m45s",
        resolved_at="4m15s",
        fires=(NOTHING_UP,),
    ),
    Example(
        alert="SystemDown",
        says="one of two targets is down",
        series={series("up", SHOP): "0x40", series("up", SECOND): "1x40"},
        at="8m",
    ),
    Example(
        alert="JobVanished",
        says="a job is taken out, and another one of the same service stays; after an hour it is forgotten",
        series={series("up", SECOND): "1x70", series("up", SHOP): "1x200"},
        step="1m",
        # A series is looked up for five minutes after its last sample.
        at="82m",
        quiet_at="79m",
        resolved_at="136m",
        fires=(
            Firing(
                labels=GONE | WARNING,
                summary="Job other of shop is not scraped any more",
                description="An hour ago it had targets, now it has none (1 group is gone): its alerts are blind.",
            ),
        ),
    ),
    Example(
        alert="JobVanished",
        says="one target replaces another",
        series={
            series("up", SECOND): "1x70 _x60",
            series("up", SECOND | {"instance": "shop:90"}): "_x71 0x60",
        },
        step="1m",
        at="100m",
    ),
    Example(
        alert="JobVanished",
        says="an application deregisters",
        series={series("up", SHOP): "1x70", series("up", SECOND): "1x200"},
        step="1m",
        at="100m",
    ),
    Example(
        alert="TargetFlapping",
        says="it comes and goes six times, and stays",
        series={series("up", SHOP): "1x3 0x3 1x3 0x3 1x3 0x3 1x200"},
        at="7m",
        quiet_at="5m",
        resolved_at="37m",
        fires=(
            Firing(
                labels=SHOP | WARNING,
                summary="applications at shop:80 comes and goes",
                description="It changed 6 times between up and down in half an hour (limit 5).",
            ),
        ),
    ),
    Example(
        alert="TargetFlapping",
        says="five changes (the boundary)",
        series={series("up", SHOP): "1x3 0x3 1x3 0x3 1x3 0x100"},
        at="15m",
    ),
    *tried(
        "TargetSlow",
        {
            series("scrape_duration_seconds", SHOP): gauge(9, 8, 0.1),
            series("up", SHOP): gauge(1),
            series("scrape_duration_seconds", SHOP_PROBE): gauge(20),
            series("up", SHOP_PROBE): gauge(1),
        },
        Firing(
            labels=SHOP | WARNING,
            summary="applications at shop:80 takes long to give its metrics",
            description="A scrape takes 9s (limit 8 s), and at 10 s it is lost.",
        ),
        wait="5m",
    ),
    *tried(
        "TargetSeriesMany",
        {series("scrape_samples_post_metric_relabeling", SHOP): gauge(50000, 20000, 900)},
        Firing(
            labels=SHOP | INFO,
            summary="applications at shop:80 has very many series",
            description="It exposes 50k series (limit 20000).",
        ),
        wait="15m",
    ),
    Example(
        alert="PartRestarting",
        says="it starts three times, and stays; another system's process does not count",
        series={
            series("process_start_time_seconds", LOKI): "1x4 60x4 120x4 180x90",
            series("process_start_time_seconds", SHOP): "1x4 60x4 120x4 180x90",
        },
        step="1m",
        at="20m",
        quiet_at="14m",
        resolved_at="80m",
        fires=(
            Firing(
                labels=LOKI | WARNING,
                summary="loki of the stack keeps restarting",
                description="here:1 started 3 times in an hour (limit 2).",
            ),
        ),
    ),
    Example(
        alert="PartRestarting",
        says="it starts twice (the boundary)",
        series={series("process_start_time_seconds", LOKI): "1x4 60x4 120x90"},
        step="1m",
        at="20m",
    ),
    *tried(
        "PartFileDescriptorsLow",
        {series("process_open_fds", LOKI): gauge(900, 800, 10), series("process_max_fds", LOKI): gauge(1000)},
        Firing(
            labels=LOKI | WARNING,
            summary="loki of the stack runs out of file descriptors",
            description="90% of what it may open is open (limit 0.8).",
        ),
        wait="10m",
    ),
)

GROUP = PROMETHEUS | {"rule_group": "rules/a.yml;a"}
PEER = PROMETHEUS | {"alertmanager": "http://here:9093"}
OF_ITSELF = without(PROMETHEUS, "job")

OF_PROMETHEUS_TOO = (
    *tried(
        "PrometheusWriteAheadLogFailing",
        {
            series("prometheus_tsdb_wal_writes_failed_total", PROMETHEUS): counter(1, 0, 0),
            series("prometheus_tsdb_wal_truncations_failed_total", PROMETHEUS): counter(0),
            series("prometheus_tsdb_checkpoint_creations_failed_total", PROMETHEUS): counter(0),
        },
        Firing(
            labels=PROMETHEUS | CRITICAL,
            summary="Prometheus cannot write its log of new samples",
            description=("40 writes, truncations or checkpoints failed in 10 minutes: a restart would lose samples."),
        ),
        window="10m",
    ),
    *tried(
        "PrometheusRuleEvaluationsMissed",
        {series("prometheus_rule_group_iterations_missed_total", GROUP): counter(1, 0, 0)},
        Firing(
            labels=GROUP | WARNING,
            summary="Rules of rules/a.yml;a are not evaluated in time",
            description="20 evaluations were left out in 5 minutes: its alerts come late.",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "PrometheusRulesSlow",
        {
            series("prometheus_rule_group_last_duration_seconds", GROUP): gauge(13.5, 12, 0.1),
            series("prometheus_rule_group_interval_seconds", GROUP): gauge(15),
        },
        Firing(
            labels=GROUP | WARNING,
            summary="Rules of rules/a.yml;a take nearly as long as their interval",
            description="90% of the interval goes by (limit 0.8).",
        ),
        wait="10m",
    ),
    *tried(
        "PrometheusNotificationsQueued",
        {
            series("prometheus_notifications_queue_length", PEER): gauge(7500, 5000, 0),
            series("prometheus_notifications_queue_capacity", PROMETHEUS): gauge(10000),
        },
        Firing(
            labels=OF_ITSELF | WARNING,
            summary="Alerts wait in Prometheus for Alertmanager",
            description="75% of the queue is taken (limit 0.5); when it is full, alerts are lost.",
        ),
        wait="5m",
    ),
    *tried(
        "PrometheusNotificationsDropped",
        {series("prometheus_notifications_dropped_total", PEER): counter(1, 0, 0)},
        Firing(
            labels=PROMETHEUS | CRITICAL,
            summary="Prometheus lost alerts on their way to Alertmanager",
            description="40 alerts were dropped in 10 minutes; those that still fire are sent again.",
        ),
        window="10m",
    ),
    Example(
        alert="PrometheusNotificationsDropped",
        says="one of two Alertmanagers did not take it",
        series={
            series("prometheus_notifications_dropped_total", PROMETHEUS, alertmanager="http://here:9093"): "0+1x60",
            series("prometheus_notifications_dropped_total", PROMETHEUS, alertmanager="http://there:9093"): "0x60",
        },
        at="12m",
    ),
    *tried(
        "PrometheusWithoutAlertmanager",
        {series("prometheus_notifications_alertmanagers_discovered", PROMETHEUS): gauge(0, 1)},
        Firing(
            labels=PROMETHEUS | CRITICAL,
            summary="Prometheus knows no Alertmanager",
            description="here:1 has 0 of them in its configuration: no alert reaches anybody.",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "PrometheusSamplesTooLate",
        {
            series("prometheus_tsdb_too_old_samples_total", PROMETHEUS, type="float"): counter(1, 0, 0),
            series("prometheus_target_scrapes_sample_out_of_bounds_total", PROMETHEUS): counter(1, 0, 0),
        },
        Firing(
            labels=OF_ITSELF | WARNING,
            summary="Prometheus refuses samples that come too late",
            description="80 samples in 10 minutes were older than its window for late ones.",
        ),
        wait="10m",
        window="10m",
    ),
    *tried(
        "PrometheusRegistrationUnreadable",
        {
            series("prometheus_sd_file_read_errors_total", PROMETHEUS): counter(1, 0, 0),
            series("prometheus_target_sync_failed_total", PROMETHEUS, scrape_job="applications"): counter(1, 0, 0),
        },
        Firing(
            labels=OF_ITSELF | WARNING,
            summary="Prometheus cannot read what an application registered",
            description="80 files or targets were refused in 10 minutes: those targets are not scraped.",
        ),
        wait="5m",
        window="10m",
    ),
    Example(
        alert="PrometheusSeriesGrowing",
        says="twice as many as a day ago, until they are dropped",
        series={series("prometheus_tsdb_head_series", PROMETHEUS): "100000x288 200000x12 100000x20"},
        step="5m",
        at="1485m",
        quiet_at="1465m",
        resolved_at="1515m",
        fires=(
            Firing(
                labels=PROMETHEUS | INFO,
                summary="Prometheus has many more series than a day ago",
                description="It has 2 times the series of yesterday at this hour (limit 1.5).",
            ),
        ),
    ),
    Example(
        alert="PrometheusSeriesGrowing",
        says="half as many again (the boundary)",
        series={series("prometheus_tsdb_head_series", PROMETHEUS): "100000x288 150000x30"},
        step="5m",
        at="1515m",
    ),
    Example(
        alert="PrometheusSeriesGrowing",
        says="a small stack doubles",
        series={series("prometheus_tsdb_head_series", PROMETHEUS): "50000x288 150000x30"},
        step="5m",
        at="1515m",
    ),
    *tried(
        "PrometheusSeriesMany",
        {series("prometheus_tsdb_head_series", PROMETHEUS): gauge(3e6, 2e6, 1e5)},
        Firing(
            labels=PROMETHEUS | WARNING,
            summary="Prometheus has more series than it was made for",
            description="3M series are in memory (limit 2000000); each takes about 4 KiB.",
        ),
        wait="15m",
    ),
    *tried(
        "PrometheusStorageAtItsLimit",
        {
            series("prometheus_tsdb_storage_blocks_bytes", PROMETHEUS): gauge(990, 950, 100),
            series("prometheus_tsdb_retention_limit_bytes", PROMETHEUS): gauge(1000),
        },
        Firing(
            labels=PROMETHEUS | INFO,
            summary="Prometheus' storage is at its limit, so history is shorter than asked for",
            description=("99% of retention.metrics_size is taken (limit 0.95): the oldest block goes before its time."),
        ),
        wait="1h",
        step="1m",
    ),
    Example(
        alert="PrometheusStorageAtItsLimit",
        says="there is no limit of size",
        series={
            series("prometheus_tsdb_storage_blocks_bytes", PROMETHEUS): "990x100",
            series("prometheus_tsdb_retention_limit_bytes", PROMETHEUS): "0x100",
        },
        step="1m",
        at="90m",
    ),
    Example(
        alert="PrometheusRetentionNotApplied",
        says="an hour of samples is to be kept, and more than five are there, until the oldest go",
        series={
            series("prometheus_tsdb_lowest_timestamp_seconds", PROMETHEUS): "0x320 18000x50",
            series("prometheus_tsdb_retention_limit_seconds", PROMETHEUS): "3600x400",
        },
        step="1m",
        at="300m",
        quiet_at="255m",
        resolved_at="325m",
        fires=(
            Firing(
                labels=PROMETHEUS | WARNING,
                summary="Prometheus keeps samples longer than it should",
                description="The oldest sample is 5 times as old as the retention (limit 1.25).",
            ),
        ),
    ),
    Example(
        alert="PrometheusRetentionNotApplied",
        says="exactly the limit at every evaluation",
        series={
            series("prometheus_tsdb_lowest_timestamp_seconds", PROMETHEUS): "_x75 0+60x250",
            series("prometheus_tsdb_retention_limit_seconds", PROMETHEUS): "3600x400",
        },
        step="1m",
        at="300m",
    ),
    *tried(
        "PrometheusRequestsFailing",
        {
            series("prometheus_http_requests_total", PROMETHEUS, handler="/a", code="503"): counter(15, 15, 0),
            series("prometheus_http_requests_total", PROMETHEUS, handler="/a", code="200"): counter(45, 285, 60),
        },
        Firing(
            labels=OF_ITSELF | WARNING,
            summary="Prometheus answers with errors",
            description="25% of the requests fail (limit 0.05): dashboards have holes.",
        ),
        wait="10m",
        window="5m",
    ),
    Example(
        alert="PrometheusRequestsFailing",
        says="every request fails, but there is hardly any",
        series={series("prometheus_http_requests_total", PROMETHEUS, handler="/a", code="503"): "0+1x200"},
        at="30m",
    ),
)

OF_ALERTMANAGER = (
    Example(
        alert="AlertmanagerConfigReloadFailed",
        says="the last reload failed five minutes ago",
        series={series("alertmanager_config_last_reload_successful", ALERTMANAGER): "0x24 1x40"},
        at="5m",
        quiet_at="4m45s",
        resolved_at="7m",
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
            ): "0+1x100 100x100",
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="other"
            ): "0+1x100 100x100",
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="email", reason="other"
            ): "0x200",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "0+4x200",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="email"): "0+4x200",
        },
        at="21m",
        resolved_at="46m",
        quiet_at="20m",
        fires=(
            Firing(
                labels=without(ALERTMANAGER, "job") | CRITICAL | {"integration": "slack"},
                summary="Notifications by slack do not arrive",
                description="50% of the notifications by slack failed in 20 minutes (limit 0.01).",
            ),
        ),
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="exactly the limit",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="other"
            ): "0+1x120",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "0+100x120",
        },
        at="25m",
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="nothing is sent",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="other"
            ): "9x120",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "9x120",
        },
        at="25m",
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="one group fails, which tries once in five minutes, and then no more",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="serverError"
            ): ONCE_IN_FIVE,
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): ONCE_IN_FIVE,
        },
        step="1m",
        at="24m",
        quiet_at="21m",
        resolved_at="60m",
        fires=(
            Firing(
                labels=without(ALERTMANAGER, "job") | CRITICAL | {"integration": "slack"},
                summary="Notifications by slack do not arrive",
                description="100% of the notifications by slack failed in 20 minutes (limit 0.01).",
            ),
        ),
    ),
    Example(
        alert="AlertmanagerNotificationsFailing",
        says="one notification fails, once",
        series={
            series(
                "alertmanager_notifications_failed_total", ALERTMANAGER, integration="slack", reason="serverError"
            ): "0x4 1x120",
            series("alertmanager_notifications_total", ALERTMANAGER, integration="slack"): "0x4 1x120",
        },
        at="20m45s",
    ),
)

OF_LOKI = (
    Example(
        alert="LokiRequestErrors",
        says="a quarter of the pushes fail",
        series={
            series(
                "loki_request_duration_seconds_count", LOKI, route="push", method="POST", status_code="500"
            ): "0+1x80 80x120",
            series(
                "loki_request_duration_seconds_count", LOKI, route="push", method="POST", status_code="204"
            ): "0+3x200",
            series(
                "loki_request_duration_seconds_count", LOKI, route="query", method="GET", status_code="200"
            ): "0+3x200",
        },
        at="15m",
        resolved_at="40m",
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
        series={series("loki_panic_total", LOKI): "0+1x48 48x80"},
        at="10m",
        resolved_at="25m",
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
            series("loki_discarded_samples_total", LOKI, reason="rate_limited", tenant="a"): "0+1x90 90x90",
            series("loki_discarded_samples_total", LOKI, reason="rate_limited", tenant="b"): "0+1x90 90x90",
            series("loki_discarded_samples_total", LOKI, reason="line_too_long", tenant="b"): "3x180",
        },
        at="20m",
        resolved_at="38m",
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
            series("loki_distributor_lines_received_total", LOKI, format="otlp"): "50x150 51+1x100",
            series("otelcol_receiver_accepted_log_records", COLLECTOR, receiver="otlp"): "0+1x250",
        },
        at="35m",
        quiet_at="15m",
        resolved_at="45m",
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
            ): "600x205 12300x50",
            series("process_start_time_seconds", LOKI): "1x260",
        },
        step="1m",
        at="201m",
        quiet_at="200m",
        resolved_at="215m",
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
    Example(
        alert="LokiRuleFailures",
        says="a group fails at every evaluation, then works",
        series={
            series("loki_prometheus_rule_evaluation_failures_total", LOKI, rule_group="a.yml;logs"): "0+1x60 60x60"
        },
        at="10m",
        quiet_at="5m",
        resolved_at="21m",
        fires=(
            Firing(
                labels=LOKI | CRITICAL | {"rule_group": "a.yml;logs"},
                summary="Loki cannot evaluate rules of a.yml;logs",
                description="20 evaluations failed in 5 minutes: the alerts on log lines are blind.",
            ),
        ),
    ),
    Example(
        alert="LokiRuleFailures",
        says="no evaluation failed of late (the boundary)",
        series={series("loki_prometheus_rule_evaluation_failures_total", LOKI, rule_group="a.yml;logs"): "7x60"},
        at="15m",
    ),
    Example(
        alert="LokiNotificationsFailing",
        says="every notification fails, then they arrive",
        series={
            series("loki_prometheus_notifications_errors_total", LOKI, alertmanager="http://here"): "0+30x60 1800x60"
        },
        at="15m",
        quiet_at="10m",
        resolved_at="21m",
        fires=(
            Firing(
                labels=LOKI | CRITICAL | {"alertmanager": "http://here"},
                summary="Loki cannot reach Alertmanager",
                description="2 notifications a second to http://here fail.",
            ),
        ),
    ),
    Example(
        alert="LokiNotificationsFailing",
        says="no notification failed of late (the boundary)",
        series={series("loki_prometheus_notifications_errors_total", LOKI, alertmanager="http://here"): "3x60"},
        at="15m",
    ),
    Example(
        alert="AlertHistoryIncomplete",
        says="events of two kinds are dropped, then none",
        series={
            series("alertmanager_events_dropped_total", ALERTMANAGER, event_type="notification"): "0+1x40 40x80",
            series("alertmanager_event_output_drops_total", ALERTMANAGER, output="webhook"): "0+1x40 40x80",
        },
        at="10m",
        resolved_at="21m",
        fires=(
            Firing(
                labels=without(ALERTMANAGER, "job") | WARNING,
                summary="The alert history lacks notifications",
                description=(
                    "80 events of here:1 were dropped in 10 minutes: people were told, but the history does not say so."
                ),
            ),
        ),
    ),
    Example(
        alert="AlertHistoryIncomplete",
        says="no event was dropped of late (the boundary)",
        series={series("alertmanager_events_dropped_total", ALERTMANAGER, event_type="notification"): "3x60"},
        at="15m",
    ),
)

OF_JAEGER = (
    Example(
        alert="JaegerStorageFailing",
        says="spans cannot be written",
        series={
            series("otelcol_exporter_send_failed_spans", JAEGER, exporter="jaeger_storage_exporter"): "0+30x44 1320x60"
        },
        at="10m",
        quiet_at="5m",
        resolved_at="18m",
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
        series={
            series("otelcol_receiver_refused_spans_total", JAEGER, receiver="otlp", transport="grpc"): "0+30x44 1320x60"
        },
        at="10m",
        quiet_at="5m",
        resolved_at="18m",
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
    Example(
        alert="JaegerIngestionStopped",
        says="the collector takes spans in, and none arrives, until it reaches Jaeger",
        series={
            series("otelcol_receiver_accepted_spans", JAEGER, receiver="otlp"): "50x140 51+15x100",
            series("otelcol_receiver_accepted_spans", COLLECTOR, receiver="otlp"): "0+15x240",
        },
        at="28m",
        quiet_at="15m",
        resolved_at="37m",
        fires=(
            Firing(
                labels=without(JAEGER, "job") | CRITICAL,
                summary="No span reaches Jaeger, though the collector takes spans in",
                description="here:1 receives 0 spans a second while applications send some.",
            ),
        ),
    ),
    Example(
        alert="JaegerIngestionStopped",
        says="hardly any span is sent (the boundary)",
        series={
            series("otelcol_receiver_accepted_spans", JAEGER, receiver="otlp"): "50x240",
            series("otelcol_receiver_accepted_spans", COLLECTOR, receiver="otlp"): "0+1.5x240",
        },
        at="50m",
    ),
)

OF_COLLECTOR = (
    Example(
        alert="CollectorDropsData",
        says="sending fails and nothing was ever refused a place in the queue",
        series={
            series("otelcol_exporter_send_failed_spans", COLLECTOR, exporter="otlp_grpc/jaeger"): "0+30x44 1320x60"
        },
        at="10m",
        quiet_at="5m",
        resolved_at="18m",
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
            series("otelcol_receiver_refused_spans", COLLECTOR, receiver="otlp", transport="grpc"): "0+15x44 660x60",
            series(
                "otelcol_receiver_refused_log_records", COLLECTOR, receiver="otlp", transport="grpc"
            ): "0+15x44 660x60",
        },
        at="10m",
        resolved_at="18m",
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
            series(
                "otelcol_exporter_queue_size", COLLECTOR, exporter="otlp_grpc/jaeger", data_type="traces"
            ): "900x24 0x60",
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
        resolved_at="7m",
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

OF_AGENT = (
    Example(
        alert="PodLogsUnread",
        says="an agent may read no file, until it may",
        series={series("otelcol_fileconsumer_open_files", AGENT): "0x140 3x40"},
        at="32m",
        quiet_at="29m",
        resolved_at="37m",
        fires=(
            Firing(
                labels=without(AGENT, "job") | WARNING,
                summary="The agent on node-a reads no log of any pod",
                description="here:1 has 0 files open: what containers of that node write is not kept.",
            ),
        ),
    ),
    Example(
        alert="PodLogsUnread",
        says="another receiver of the same agent reads nothing",
        series={
            series("otelcol_fileconsumer_open_files", AGENT, receiver="file_log/audit"): "0x180",
            series("otelcol_fileconsumer_open_files", AGENT, receiver="file_log/pods"): "1x180",
        },
        at="40m",
    ),
)

OF_OTHERS = (
    Example(
        alert="GrafanaRequestsFailing",
        says="half of the requests fail",
        series={
            series(
                "grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="500"
            ): "0+1x70 70x60",
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a", status_code="200"): "0+1x140",
        },
        at="15m",
        resolved_at="25m",
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
    *tried(
        "GrafanaRequestsSlow",
        {
            series("grafana_http_request_duration_seconds_bucket", GRAFANA, handler="/a", le="5"): counter(80, 95, 100),
            series("grafana_http_request_duration_seconds_bucket", GRAFANA, handler="/a", le="10"): counter(100),
            series("grafana_http_request_duration_seconds_bucket", GRAFANA, handler="/a", le="+Inf"): counter(100),
            series("grafana_http_request_duration_seconds_count", GRAFANA, handler="/a"): counter(100),
        },
        Firing(
            labels=without(GRAFANA, "job") | WARNING,
            summary="Grafana is slow",
            description="The 95th percentile of its answers takes 8.75s (limit 5 s).",
        ),
        wait="15m",
        window="10m",
    ),
    *tried(
        "GrafanaDatasourceFailing",
        {
            series("grafana_datasource_request_total", GRAFANA, datasource="loki", code="502"): counter(1, 1, 0),
            series("grafana_datasource_request_total", GRAFANA, datasource="loki", code="200"): counter(3, 9, 1),
            series("grafana_datasource_request_total", GRAFANA, datasource="prometheus", code="200"): counter(9),
        },
        Firing(
            labels=without(GRAFANA, "job") | WARNING | {"datasource": "loki"},
            summary="Grafana's datasource loki fails",
            description="25% of the queries to loki end in an error (limit 0.1).",
        ),
        wait="10m",
        window="5m",
    ),
    Example(
        alert="DeadMansSwitchSilent",
        says="no beat for six minutes",
        series={series("inbox_last_beat_timestamp_seconds", INBOX): "60x32 500x60"},
        at="7m15s",
        quiet_at="7m",
        resolved_at="9m",
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

EXAMPLES = (
    *STACK,
    *OF_SCRAPES,
    *OF_PROMETHEUS,
    *OF_PROMETHEUS_TOO,
    *OF_ALERTMANAGER,
    *OF_LOKI,
    *OF_JAEGER,
    *OF_COLLECTOR,
    *OF_AGENT,
    *OF_OTHERS,
)
