"""How Loki is watched: as one process, as several that share a ring, and with object storage."""

from dataclasses import replace

from specs.elk import feed
from specs.loki_config import NAME, PORT, bucket, targets
from specs.monitoring import Alert, RuleGroup
from specs.part import Context, Monitoring
from specs.settings import Severity

_CLUSTER = RuleGroup(
    name=f"{NAME}-cluster",
    alerts=(
        Alert(
            name="LokiRingUnhealthy",
            expr='max by (app, environment, service, name) (loki_ring_members{state="Unhealthy"}) > $threshold',
            threshold=0,
            for_="10m",
            severity=Severity.WARNING,
            summary="Replicas of Loki have left the ring of {{ $labels.name }} without a word",
            description="{{ $value }} members of the ring of {{ $labels.name }} have not been heard of for a minute, and that for 10 minutes (limit $threshold): one more, and lines are refused.",
            action="See which pods of Loki are not ready, and why. One that is gone for good is forgotten at the page /ring of any other.",
        ),
        Alert(
            name="LokiCompactorCount",
            expr="sum by (app, environment, service) (loki_boltdb_shipper_compactor_running) != 1",
            for_="15m",
            severity=Severity.WARNING,
            summary="Not exactly one compactor of Loki runs",
            description="{{ $value }} compactors run: with none retention is not applied, and two get into each other's way.",
            action="Compare the page /compactor/ring of each replica: all should list the same members.",
        ),
    ),
)
_STORAGE = RuleGroup(
    name=f"{NAME}-storage",
    alerts=(
        Alert(
            name="LokiStorageFailing",
            expr="""
sum by (app, environment, service, instance, operation) (rate(loki_objstore_bucket_operation_failures_total{operation=~"get|get_range|iter|upload"}[10m]))
/
(sum by (app, environment, service, instance, operation) (rate(loki_objstore_bucket_operations_total[10m])) > 0)
> $threshold""",
            threshold=0.1,
            for_="10m",
            severity=Severity.CRITICAL,
            summary="Loki's object storage fails: {{ $labels.operation }}",
            description="{{ $value | humanizePercentage }} of the operations {{ $labels.operation }} of {{ $labels.instance }} failed in 10 minutes (limit $threshold). What cannot be stored fills the volume.",
            action="Read Loki's log for the storage's answer. Keys that are not valid any more, a bucket that is gone and a network policy are the usual reasons.",
        ),
    ),
)


def _ingestion_stopped(context: Context) -> Alert:
    # Clients stay with one of several replicas for long, so that only all of them together are never quiet.
    by = "app, environment, service, instance" if context.scale.loki == 1 else "app, environment, service"
    who = "{{ $labels.instance }} receives" if context.scale.loki == 1 else "All replicas together receive"
    return Alert(
        name="LokiIngestionStopped",
        # Quiet is no fault: only lines that came in and did not arrive are.
        expr=f"""
sum by ({by}) (rate(loki_distributor_lines_received_total[15m])) == 0
and on (environment) (
  sum by (environment) (rate(otelcol_receiver_accepted_log_records_total{{service="collector"}}[15m])) > 0
  or sum by (environment) (rate(otelcol_receiver_accepted_log_records{{service="collector"}}[15m])) > 0
)""",
        for_="15m",
        severity=Severity.WARNING,
        summary="No log line has reached Loki for half an hour, though the collector takes lines in",
        description=f"{who} {{{{ $value }}}} lines a second while the collector reads some.",
        action="Look at the collector: does it run, does it still read its files, does its exporter to Loki fail?",
    )


def _retention_not_applied(context: Context) -> Alert:
    names = targets(context)
    job = names.get("backend", NAME)
    # The other replicas' compactors have nothing to do.
    only = "" if context.scale.loki == 1 else " and on (job, instance) loki_boltdb_shipper_compactor_running == 1"
    return Alert(
        name="LokiRetentionNotApplied",
        # Nought until the first run: then the start of the process stands in for it.
        expr=f"""
time() - (
  loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds > 0
  or on (job, instance) process_start_time_seconds{{job="{job}"}}
) > $threshold{only}""",
        threshold=10800,
        for_="10m",
        severity=Severity.WARNING,
        summary="Loki's compactor stands still, so old logs stay",
        description="The last successful run was {{ $value | humanizeDuration }} ago: retention is not applied and the disk fills.",
        action="Read Loki's log for the compactor's error; the working directory must be writable and survive restarts.",
    )


def monitoring(context: Context) -> Monitoring:
    """How Loki is watched."""
    return Monitoring(
        # However many programs it is, to dashboards and alerts it is one service.
        jobs=tuple(
            replace(job, labels=context.labels(service=NAME)) if context.on_cluster else job
            for job in (context.job(name, PORT) for name in targets(context).values())
        ),
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
                    *(() if feed.instead(context) else (_ingestion_stopped(context),)),
                    _retention_not_applied(context),
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
            *((_CLUSTER,) if context.scale.loki > 1 else ()),
            *((_STORAGE,) if bucket(context) else ()),
        ),
    )
