"""The stack itself: is every part up, does data flow, is room left."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.panels import board, graph, lines, number, rows

FOLDER = "observability"
OWN = 'app="observability"'


def dashboard() -> Dashboard:
    """Rows from health down to logs."""
    return (
        board("Observability Stack", description="The monitoring of the monitoring.", tags=["stack"])
        .with_panel(
            number(
                "Targets Down",
                description="Targets whose last scrape failed.",
                unit="short",
                expr="sum(up == bool 0)",
                bad_above=1,
            )
        )
        .with_panel(
            number(
                "Firing Alerts",
                description="Alerts that fire now, without the Watchdog.",
                unit="short",
                expr='count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)',
                bad_above=1,
            )
        )
        .with_panel(
            number(
                "Active Series",
                description="Series in Prometheus' head block.",
                unit="short",
                expr="sum(prometheus_tsdb_head_series)",
            )
        )
        .with_panel(
            number(
                "Samples per Second",
                description="Samples appended to Prometheus.",
                unit="cps",
                expr="sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))",
            )
        )
        .with_panel(
            number(
                "Log Lines per Second",
                description="Lines that reached Loki.",
                unit="cps",
                expr="sum(rate(loki_distributor_lines_received_total[5m]))",
            )
        )
        .with_panel(
            number(
                "Notifications Failing",
                description="Notifications a second that Alertmanager could not deliver.",
                unit="cps",
                expr="sum(rate(alertmanager_notifications_failed_total[5m]))",
                bad_above=0.001,
            )
        )
        .with_panel(
            graph(
                "Targets Up",
                description="1 while the last scrape of a job's target worked.",
                unit="short",
                queries=[("min by (job) (up)", "{{job}}")],
            )
        )
        .with_panel(rows("Alerts Now", description="Pending and firing alerts.", expr="ALERTS"))
        .with_panel(
            graph(
                "Memory",
                description="Resident memory of each part.",
                unit="bytes",
                queries=[
                    (f"process_resident_memory_bytes{{{OWN}}}", "{{service}}"),
                    ("otelcol_process_memory_rss", "{{service}}"),
                ],
            )
        )
        .with_panel(
            graph(
                "CPU",
                description="CPU cores used by each part.",
                unit="short",
                queries=[(f"rate(process_cpu_seconds_total{{{OWN}}}[5m])", "{{service}}")],
            )
        )
        .with_panel(
            graph(
                "Scrape Duration",
                description="Slowest scrape of each job.",
                unit="s",
                queries=[("max by (job) (scrape_duration_seconds)", "{{job}}")],
            )
        )
        .with_panel(
            graph(
                "Rule Evaluation",
                description="Time of the last evaluation of each group.",
                unit="s",
                queries=[("prometheus_rule_group_last_duration_seconds", "{{rule_group}}")],
            )
        )
        .with_panel(
            graph(
                "Collector Queues",
                description="Share of each exporter's queue that is taken.",
                unit="percentunit",
                queries=[("otelcol_exporter_queue_size / otelcol_exporter_queue_capacity", "{{exporter}}")],
            )
        )
        .with_panel(
            graph(
                "Disk Space Left",
                description="Free share of the filesystems below the stack's data.",
                unit="percentunit",
                queries=[("node_filesystem_avail_bytes / node_filesystem_size_bytes", "{{mountpoint}}")],
            )
        )
        .with_panel(lines("Stack Logs", description="What the stack's own programs say.", expr='{app="observability"}'))
    )
