"""The stack itself: is every part up, does data flow, are people told, is what is old thrown away."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import alert_marks, board, deployments, fill, instance, link_to
from dashboards.limits import Limits
from dashboards.panels import firing, graph, lights, lines, number, state
from specs.part import APP

FOLDER = "observability"
OWN = f'app="{APP}"'
_RATE = "[$__rate_interval]"
_CHOSEN = f'{OWN}, instance=~"$instance"'


def _of(metric: str, by: str = "", *, where: str = "") -> str:
    """Growth of a counter of the stack's own, a second."""
    return f"sum by ({by}) (rate({metric}{{{OWN}{where}}}{_RATE}))"


def _items(pattern: str, by: str) -> str:
    # The collector's counters have a suffix or not, by version, and are there from their first count on.
    kinds = "spans|log_records|metric_points"
    return (
        f'sum by ({by}) (rate({{__name__=~"otelcol_{pattern}_({kinds})(_total)?", {OWN}, service="collector"}}{_RATE}))'
    )


def dashboard(limits: Limits) -> Dashboard:
    """Rows from health down to logs."""
    onto = (
        board("Observability Stack", description="The monitoring of the monitoring.", tags=["stack"])
        .with_variable(instance(f"up{{{OWN}}}"))
        .annotation(deployments(APP))
        .annotation(alert_marks(OWN))
        .link(link_to("Home", "/d/home"))
        .link(link_to("Alert history", "/d/alert-history"))
    )
    return fill(
        onto,
        [
            lights(
                "Status",
                description="Whether every part of the stack answers Prometheus.",
                queries=[(f"min by (service) (up{{{OWN}}})", "{{service}}")],
            ),
            number(
                "Targets Down",
                description="Targets of all systems whose last scrape failed.",
                unit="short",
                expr="sum(up == bool 0)",
                bad_above=0,
            ),
            number(
                "Firing Alerts",
                description="Alerts that fire now, without the Watchdog.",
                unit="short",
                expr='count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)',
                bad_above=0,
            ),
            number(
                "Active Series",
                description="Series in Prometheus' head block.",
                unit="short",
                expr="sum(prometheus_tsdb_head_series)",
            ),
            number(
                "Samples per Second",
                description="Samples appended to Prometheus.",
                unit="suffix:/s",
                expr="sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))",
            ),
            number(
                "Log Lines per Second",
                description="Lines that reached Loki.",
                unit="suffix:/s",
                expr="sum(rate(loki_distributor_lines_received_total[5m]))",
            ),
            number(
                "Notifications Failing",
                description="Notifications a second that Alertmanager could not deliver.",
                unit="suffix:/s",
                expr="sum(rate(alertmanager_notifications_failed_total[5m]))",
                bad_above=0,
            ),
            state(
                "Targets Up",
                description="Since when every target of a job answers, or one does not.",
                queries=[("min by (job) (up)", "{{job}}")],
            ),
            firing("Alerts Now", OWN),
            "Metrics",
            graph(
                "Scrape Duration",
                description="Slowest scrape of each job.",
                unit="s",
                queries=[("max by (job) (scrape_duration_seconds)", "{{job}}")],
            ),
            graph(
                "Series by Job",
                description="Samples that a scrape of each job brings: where the series come from.",
                unit="short",
                queries=[("sum by (job) (scrape_samples_post_metric_relabeling)", "{{job}}")],
                stacked=True,
            ),
            graph(
                "Rule Evaluation",
                description="Share of its interval that each group of rules needs for its evaluation.",
                unit="percentunit",
                queries=[
                    (
                        # A group is called by its file as well: the name is what comes after.
                        (
                            "label_replace(prometheus_rule_group_last_duration_seconds"
                            " / (prometheus_rule_group_interval_seconds > 0),"
                            ' "group", "$1", "rule_group", ".*;(.*)")'
                        ),
                        "{{group}}",
                    )
                ],
                crowded=True,
                limits=limits.of("PrometheusRulesSlow"),
            ),
            graph(
                "Rules Failing or Missed",
                description="Evaluations that failed, and those that were left out since the one before was not done.",
                unit="suffix:/s",
                queries=[
                    (_of("prometheus_rule_evaluation_failures_total", "service"), "{{service}} failed"),
                    (_of("prometheus_rule_group_iterations_missed_total", "service"), "{{service}} missed"),
                ],
            ),
            "Retention",
            graph(
                "Age of the Oldest Metrics",
                description="How old the oldest sample is, and how old the settings let it become.",
                unit="s",
                queries=[
                    ("time() - prometheus_tsdb_lowest_timestamp_seconds", "oldest"),
                    ("prometheus_tsdb_retention_limit_seconds", "retention"),
                ],
            ),
            graph(
                "Metrics Stored",
                description="Bytes of blocks and of the write-ahead log, and how many the settings allow (0: any).",
                unit="bytes",
                queries=[
                    ("prometheus_tsdb_storage_blocks_bytes", "blocks"),
                    ("prometheus_tsdb_wal_storage_size_bytes", "write-ahead log"),
                    ("prometheus_tsdb_retention_limit_bytes", "limit"),
                ],
            ),
            graph(
                "Log Retention Applied",
                description="Time since Loki last threw away what is older than the settings keep.",
                unit="s",
                queries=[
                    (
                        (
                            "time() - (loki_compactor_apply_retention_last_successful_run_timestamp_seconds > 0)"
                            " or time() - process_start_time_seconds"
                            f'{{{OWN}, service="loki"}}'
                        ),
                        "{{service}}",
                    )
                ],
            ),
            graph(
                "Disk Space Left",
                description="Free share of the filesystems below the stack's data.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f"min by (instance, mountpoint) (node_filesystem_avail_bytes{{{OWN}}}"
                            f" / (node_filesystem_size_bytes{{{OWN}}} > 0))"
                        ),
                        "{{instance}} {{mountpoint}}",
                    )
                ],
                limits=limits.of("DiskSpaceLow", below=True),
            ),
            "Alerting",
            graph(
                "Alerts in Alertmanager",
                description="Alerts by what Alertmanager does with them.",
                unit="short",
                queries=[(f"sum by (state) (alertmanager_alerts{{{OWN}}})", "{{state}}")],
                stacked=True,
            ),
            graph(
                "Notifications",
                description="Notifications by integration, delivered or not.",
                unit="suffix:/s",
                queries=[
                    (f"{_of('alertmanager_notifications_total', 'integration')} > 0", "{{integration}}"),
                    (f"{_of('alertmanager_notifications_failed_total', 'integration')} > 0", "{{integration}} failed"),
                ],
            ),
            graph(
                "Notification Latency",
                description="Mean time that a notification takes.",
                unit="s",
                queries=[
                    (
                        (
                            f"{_of('alertmanager_notification_latency_seconds_sum', 'integration')}"
                            f" / ({_of('alertmanager_notification_latency_seconds_count', 'integration')} > 0)"
                        ),
                        "{{integration}}",
                    )
                ],
            ),
            graph(
                "Alerts Waiting for Alertmanager",
                description="Share of Prometheus' queue to Alertmanager that is taken.",
                unit="percentunit",
                queries=[
                    (
                        (
                            "max by (instance) (prometheus_notifications_queue_length)"
                            " / max by (instance) (prometheus_notifications_queue_capacity)"
                        ),
                        "{{instance}}",
                    )
                ],
                limits=limits.of("PrometheusNotificationsQueued"),
            ),
            "Logs and Traces",
            graph(
                "Items Received",
                description="Spans, log lines and metric points that the collector takes in.",
                unit="suffix:/s",
                queries=[(_items("receiver_accepted", "receiver"), "{{receiver}}")],
            ),
            graph(
                "Items Handed On",
                description="What the collector delivers.",
                unit="suffix:/s",
                queries=[(_items("exporter_sent", "exporter"), "{{exporter}}")],
            ),
            graph(
                "Items Refused",
                description="What the collector does not take in; nought while it has memory and room in its queues.",
                unit="suffix:/s",
                queries=[(_items("receiver_refused", "receiver"), "{{receiver}}")],
            ),
            graph(
                "Collector Queues",
                description="Share of each exporter's queue that is taken.",
                unit="percentunit",
                queries=[("otelcol_exporter_queue_size / otelcol_exporter_queue_capacity", "{{exporter}}")],
                limits=limits.of("CollectorQueueFilling"),
            ),
            graph(
                "Log Bytes",
                description="Bytes of log lines that reach Loki.",
                unit="binBps",
                queries=[(_of("loki_distributor_bytes_received_total", "service"), "{{service}}")],
            ),
            graph(
                "Loki Requests",
                description="Requests that Loki answers, by status.",
                unit="reqps",
                queries=[(_of("loki_request_duration_seconds_count", "status_code"), "{{status_code}}")],
                stacked=True,
            ),
            "Programs",
            graph(
                "Memory",
                description="Resident memory of each part.",
                unit="bytes",
                queries=[
                    (f"process_resident_memory_bytes{{{_CHOSEN}}}", "{{service}}"),
                    (f"otelcol_process_memory_rss{{{_CHOSEN}}}", "{{service}}"),
                ],
            ),
            graph(
                "CPU",
                description="CPU cores used by each part.",
                unit="short",
                queries=[
                    (f"rate(process_cpu_seconds_total{{{_CHOSEN}}}{_RATE})", "{{service}}"),
                    # A suffix or not, by version.
                    (
                        f'rate({{__name__=~"otelcol_process_cpu_seconds(_total)?", {_CHOSEN}}}{_RATE})',
                        "{{service}}",
                    ),
                ],
            ),
            graph(
                "Uptime",
                description="Time since each part was started.",
                unit="s",
                queries=[(f"time() - process_start_time_seconds{{{_CHOSEN}}}", "{{service}}")],
            ),
            graph(
                "Open Files",
                description="Share of its file descriptors that each part has taken.",
                unit="percentunit",
                queries=[(f"process_open_fds{{{_CHOSEN}}} / (process_max_fds{{{_CHOSEN}}} > 0)", "{{service}}")],
                limits=limits.of("PartFileDescriptorsLow"),
            ),
            lines("Stack Logs", description="What the stack's own programs say.", expr=f"{{{OWN}}}"),
        ],
    )
