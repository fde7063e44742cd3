"""Loki: stores and queries logs."""

from collections.abc import Sequence
from typing import Any

from specs import alertmanager, history, log_alerts
from specs.elk import feed
from specs.monitoring import Alert, RuleGroup, rule_files, to_yaml
from specs.part import Context, Monitoring
from specs.programs import LOKI
from specs.settings import Severity
from specs.workload import CONFIG, Check, Outward, Port, Probe, Resources, Volume, Workload

NAME = "loki"
PORT = 3100
GRPC = 9095
TENANT = "fake"
"""What Loki calls the tenant of a store without tenants."""


_INGESTION_STOPPED = Alert(
    name="LokiIngestionStopped",
    # Quiet is no fault: only lines that came in and did not arrive are.
    expr="""
sum by (app, environment, service, instance) (rate(loki_distributor_lines_received_total[15m])) == 0
and on (environment) (
  sum by (environment) (rate(otelcol_receiver_accepted_log_records_total{service="collector"}[15m])) > 0
  or sum by (environment) (rate(otelcol_receiver_accepted_log_records{service="collector"}[15m])) > 0
)""",
    for_="15m",
    severity=Severity.WARNING,
    summary="No log line has reached Loki for half an hour, though the collector takes lines in",
    description="{{ $labels.instance }} receives {{ $value }} lines a second while the collector reads some.",
    action="Look at the collector: does it run, does it still read its files, does its exporter to Loki fail?",
)


def monitoring(context: Context) -> Monitoring:
    """How Loki is watched."""
    return Monitoring(
        jobs=(context.job(NAME, PORT),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="LokiRequestErrors",
                        expr="""
sum by (app, environment, service, instance, route) (rate(loki_request_duration_seconds_count{status_code=~"5..", route!="ready"}[5m]))
/
(sum by (app, environment, service, instance, route) (rate(loki_request_duration_seconds_count[5m])) > 0)
> $threshold""",
                        threshold=0.1,
                        for_="10m",
                        severity=Severity.CRITICAL,
                        summary="Loki fails requests to {{ $labels.route }}",
                        description="{{ $value | humanizePercentage }} of the requests to {{ $labels.route }} end in a server error (limit $threshold).",
                        action="Read Loki's log. A full disk and a limit in limits_config are the usual reasons.",
                    ),
                    Alert(
                        name="LokiPanics",
                        expr="increase(loki_panic_total[10m]) > $threshold",
                        threshold=0,
                        severity=Severity.CRITICAL,
                        summary="Loki panics",
                        description="{{ $value | humanize }} panics in 10 minutes at {{ $labels.instance }}.",
                        action="Keep the stack trace of Loki's log and look it up with Loki's version.",
                    ),
                    Alert(
                        name="LokiDiscardsLogs",
                        expr="sum by (app, environment, service, instance, reason) (increase(loki_discarded_samples_total[10m])) > $threshold",
                        threshold=0,
                        for_="10m",
                        severity=Severity.WARNING,
                        summary="Loki discards log lines: {{ $labels.reason }}",
                        description="{{ $value | humanize }} lines were refused in 10 minutes because of {{ $labels.reason }}.",
                        action="The reason names the limit: slow the sender, mend its timestamps, or raise the limit.",
                    ),
                    *(() if feed.instead(context) else (_INGESTION_STOPPED,)),
                    Alert(
                        name="LokiRetentionNotApplied",
                        # Nought until the first run: then the start of the process stands in for it.
                        expr="""
time() - (
  loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds > 0
  or on (job, instance) process_start_time_seconds{job="loki"}
) > $threshold""",
                        threshold=10800,
                        for_="10m",
                        severity=Severity.WARNING,
                        summary="Loki's compactor stands still, so old logs stay",
                        description="The last successful run was {{ $value | humanizeDuration }} ago: retention is not applied and the disk fills.",
                        action="Read Loki's log for the compactor's error; the working directory must be writable and survive restarts.",
                    ),
                    Alert(
                        name="LokiRuleFailures",
                        expr="increase(loki_prometheus_rule_evaluation_failures_total[5m]) > $threshold",
                        threshold=0,
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="Loki cannot evaluate rules of {{ $labels.rule_group }}",
                        description="{{ $value | humanize }} evaluations failed in 5 minutes: the alerts on log lines are blind.",
                        action="Loki's page /prometheus/api/v1/rules has the last error of each rule; a limit of queries is the usual reason.",
                    ),
                    Alert(
                        name="LokiNotificationsFailing",
                        expr="rate(loki_prometheus_notifications_errors_total[5m]) > $threshold",
                        threshold=0,
                        for_="10m",
                        severity=Severity.CRITICAL,
                        summary="Loki cannot reach Alertmanager",
                        description="{{ $value | humanize }} notifications a second to {{ $labels.alertmanager }} fail.",
                        action="See whether Alertmanager runs and answers at the address named.",
                    ),
                    Alert(
                        name="AlertHistoryIncomplete",
                        expr="""
sum by (app, environment, service, instance) (
  increase({__name__=~"alertmanager_events_dropped_total|alertmanager_event_output_drops_total"}[10m])
) > $threshold""",
                        threshold=0,
                        severity=Severity.WARNING,
                        summary="The alert history lacks notifications",
                        description="{{ $value | humanize }} events of {{ $labels.instance }} were dropped in 10 minutes: people were told, but the history does not say so.",
                        action="Where Alertmanager posts its events, the collector is away or slow: look at its health, and at the port alert-history.",
                    ),
                ),
            ),
        ),
    )


def log_groups() -> tuple[RuleGroup, ...]:
    """Alerts on log lines, which Loki evaluates itself."""
    return (log_alerts.GROUP, log_alerts.SLOW)


def configuration(context: Context, *, dashboards: str) -> dict[str, Any]:
    """`loki.yml` as a value. One `retention` drives compactor, delete store and limits."""
    addresses = context.addresses
    settings = context.settings
    retention = settings.retention
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_address": addresses.host(),
            "http_listen_port": addresses.port(PORT),
            "grpc_listen_address": addresses.host(),
            "grpc_listen_port": addresses.port(GRPC),
            "log_level": "warn",
        },
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": ".",
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": {"chunks_directory": "chunks", "rules_directory": f"{CONFIG}/rules"}},
        },
        # One process is its whole ring: there is nobody whose tokens it should wait for.
        "ingester": {"lifecycler": {"min_ready_duration": "1s"}, "wal": {"dir": "wal", "flush_on_shutdown": True}},
        # The query frontend looks for its schedulers this often, ten seconds by default, and is not ready before.
        "frontend": {"scheduler_dns_lookup_period": "1s"},
        "frontend_worker": {"dns_lookup_duration": "1s"},
        "schema_config": {
            "configs": [
                {
                    "from": "2024-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "compactor": {
            "working_directory": "compactor",
            "retention_enabled": True,
            "delete_request_store": "filesystem",
            "compaction_interval": "10m",
        },
        "limits_config": {
            "retention_period": retention.log_archive,
            "retention_stream": [{"selector": history.SELECTOR, "priority": 1, "period": retention.alert_history}],
            "reject_old_samples_max_age": retention.logs,
            # Both limits are a tenant's, so they would hide the alert history too: what is kept can be searched.
            "max_query_lookback": "0s",
            "max_query_length": "0s",
            "allow_structured_metadata": True,
            "volume_enabled": True,
            "otlp_config": {
                "severity_text_as_label": True,
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [
                        {"action": "index_label", "attributes": ["app", "environment", "service.name"]},
                    ],
                },
            },
        },
        "ruler": {
            "storage": {"type": "local", "local": {"directory": f"{CONFIG}/rules"}},
            "rule_path": "ruler",
            "ring": {"kvstore": {"store": "inmemory"}},
            "enable_api": True,
            "alertmanager_url": f"http://{addresses.dial(alertmanager.NAME, alertmanager.PORT)}",
            "evaluation_interval": settings.evaluation_interval,
            "external_labels": {"cluster": settings.cluster, "environment": settings.environment},
            # An alert's source is its query, in Grafana.
            "external_url": dashboards,
            "datasource_uid": NAME,
        },
    }


def workload(context: Context, groups: Sequence[RuleGroup], *, runbooks: str, dashboards: str) -> Workload:
    """Loki as one process on a file system, with the rules of `groups`."""
    rules = rule_files(groups, runbooks=runbooks, dashboards=dashboards)
    return Workload(
        name=NAME,
        program=context.program(LOKI),
        summary="stores and queries logs",
        ports=(Port(name="http", number=PORT, published=True), Port(name="grpc", number=GRPC)),
        args=(f"-config.file={CONFIG}/loki.yml",),
        files={
            "loki.yml": to_yaml(configuration(context, dashboards=dashboards)),
            **{f"rules/{TENANT}/{name}": text for name, text in rules.items()},
        },
        probe=Probe(port="http", path="/ready", start_seconds=120),
        checks=(Check(("loki", "-config.file=loki.yml", "-verify-config")),),
        resources=Resources(memory="512Mi", cpu="200m"),
        volume=Volume("20Gi"),
        extras=(Outward(),),
        page="/config",
    )
