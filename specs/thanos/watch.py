"""How Thanos is watched."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from specs.discovery import own_pods
from specs.monitoring import Alert, RuleGroup, ScrapeJob
from specs.part import APP, Context, Monitoring
from specs.settings import Severity
from specs.thanos import names

JOBS = (names.SIDECAR, names.QUERY, names.FRONTEND, names.STORE, names.COMPACTOR, names.RULER)
"""Every scrape job of Thanos that there may be."""
_BY = "app, environment, service, instance"


def pods_of(context: Context, name: str, workloads: Sequence[str], port: int) -> ScrapeJob:
    """The scrape job `name` of a port that the pods of several workloads have."""
    job = context.job(name, port)
    if job.discovery is None or list(workloads) == [name]:
        return job
    found = own_pods(context.settings.kubernetes.namespace, f"({'|'.join(workloads)})", port)
    return replace(job, discovery=found)


def monitoring(context: Context, prometheus: Sequence[str]) -> Monitoring:
    """Scrape jobs and rules; none without Thanos. `prometheus` are the workloads with a sidecar."""
    if context.settings.thanos is None:
        return Monitoring()
    ruler = [names.RULER] if names.has_ruler(context) else []
    parts = (names.QUERY, names.FRONTEND, names.STORE, names.COMPACTOR, *ruler)
    return Monitoring(
        jobs=(
            pods_of(context, names.SIDECAR, prometheus, names.HTTP_PORT),
            *(context.job(name, names.HTTP_PORT) for name in parts),
        ),
        groups=(RuleGroup(name=names.GROUP, alerts=tuple(_alerts(context))),),
    )


def _alerts(context: Context) -> Iterator[Alert]:
    yield from _of_blocks()
    yield from _of_queries(context)
    if names.has_ruler(context):
        yield from _of_rules()


def _of_blocks() -> Iterator[Alert]:
    yield Alert(
        name="ThanosSidecarWithoutPrometheus",
        expr="thanos_sidecar_prometheus_up == 0",
        for_="5m",
        severity=Severity.WARNING,
        summary="Thanos' sidecar {{ $labels.instance }} cannot reach its Prometheus",
        description="Queries go without this replica, and its blocks stay where they are (up is {{ $value }}).",
        action="Its log says what Prometheus answers. A Prometheus that reads its write-ahead log is not ready yet: that ends by itself.",
    )
    yield Alert(
        name="ThanosUploadFailing",
        expr="increase(thanos_shipper_dir_sync_failures_total[15m]) + increase(thanos_shipper_upload_failures_total[15m]) > $threshold",
        threshold=0,
        for_="15m",
        severity=Severity.WARNING,
        summary="Blocks of {{ $labels.instance }} do not reach object storage",
        description="{{ $value | humanize }} attempts failed in 15 minutes. Nothing is lost yet: the blocks stay on the volume for as long as retention.metrics says.",
        action="The sidecar's log has the storage's answer: keys that ended, a bucket that is gone or not allowed, an address that is not reached.",
    )
    yield Alert(
        name="ThanosUploadStalled",
        # A block is whole after two hours, the first of a Prometheus after three.
        expr=f"""
increase(thanos_shipper_uploads_total[5h]) == 0
and on ({_BY}) time() - process_start_time_seconds{{job="{names.SIDECAR}"}} > $threshold""",
        threshold=18000,
        for_="30m",
        severity=Severity.WARNING,
        summary="{{ $labels.instance }} has uploaded no block for five hours",
        description="Prometheus makes one every two hours, and {{ $value }} arrived.",
        action="See whether Prometheus makes blocks at all (PrometheusStorageFailing), then whether the sidecar sees them: both must have the same data directory.",
    )
    yield Alert(
        name="ThanosBucketFailing",
        expr=f"""
sum by ({_BY}, operation) (rate(thanos_objstore_bucket_operation_failures_total[15m]))
/ (sum by ({_BY}, operation) (rate(thanos_objstore_bucket_operations_total[15m])) > 0)
> $threshold""",
        threshold=0.05,
        for_="15m",
        severity=Severity.WARNING,
        summary="Object storage refuses {{ $labels.operation }} of {{ $labels.service }}",
        description="{{ $value | humanizePercentage }} of the operations of {{ $labels.instance }} fail (limit $threshold).",
        action="Its log has the storage's answer. Rights that a role lacks show as one operation that always fails.",
    )
    yield Alert(
        name="ThanosCompactorHalted",
        expr="thanos_compact_halted == 1",
        for_="5m",
        severity=Severity.WARNING,
        summary="Thanos' compactor has stopped for good",
        description="It found blocks that it cannot join (halted is {{ $value }}): nothing is thinned out or deleted, and long queries get slower every day.",
        action="Its log names the blocks. Blocks of two sources with the same labels are the usual reason: another stack in the bucket, or two replicas of one name. Mark them (`thanos tools bucket mark`), then restart it.",
    )
    yield Alert(
        name="ThanosCompactorStalled",
        expr=f"""
increase(thanos_compact_iterations_total[6h]) == 0
and on ({_BY}) time() - process_start_time_seconds{{job="{names.COMPACTOR}"}} > $threshold""",
        threshold=21600,
        for_="30m",
        severity=Severity.WARNING,
        summary="Thanos' compactor has not come to an end for six hours",
        description="{{ $value }} runs ended well: nothing is thinned out or deleted in time.",
        action="Its log says what it does: it retries what the storage refuses (ThanosBucketFailing), or has too little memory, CPU or volume for its largest blocks.",
    )
    yield Alert(
        name="ThanosCompactorTwice",
        expr=f'sum by (app, environment, service) (up{{job="{names.COMPACTOR}"}}) > $threshold',
        threshold=1,
        for_="5m",
        severity=Severity.CRITICAL,
        summary="Several of Thanos' compactors work on one bucket",
        description="{{ $value }} are up (limit $threshold). They join the same blocks, and damage each other's.",
        action="Stop all but one at once. It must never be scaled up; a second stack needs a bucket or labels of its own.",
    )
    yield Alert(
        name="ThanosStoreBlocksFailing",
        expr="increase(thanos_bucket_store_block_load_failures_total[30m]) > $threshold",
        threshold=0,
        for_="15m",
        severity=Severity.WARNING,
        summary="Thanos' store cannot load blocks",
        description="{{ $value | humanize }} loads failed in 30 minutes: queries miss what is in them.",
        action="Its log names the blocks. One that was uploaded in part is deleted by the compactor in time; a full volume of the store shows here too.",
    )


def _of_queries(context: Context) -> Iterator[Alert]:
    asked = f'job=~"{names.QUERY}|{names.FRONTEND}"'
    yield Alert(
        name="ThanosQueriesFailing",
        expr=f"""
sum by (app, environment, service) (rate(http_requests_total{{{asked}, code=~"5.."}}[5m]))
/ (sum by (app, environment, service) (rate(http_requests_total{{{asked}}}[5m])) > 0)
> $threshold""",
        threshold=0.05,
        for_="10m",
        severity=Severity.CRITICAL if names.has_ruler(context) else Severity.WARNING,
        summary="Queries for metrics fail",
        description="{{ $value | humanizePercentage }} of what {{ $labels.service }} is asked ends in an error (limit $threshold).",
        action="The log of query names the store that fails. Queries that take too long or too much memory are the other usual reason: look for a dashboard over a long time.",
    )
    yield Alert(
        name="ThanosQueriesSlow",
        expr=f"""
histogram_quantile(0.95, sum by (app, environment, service, le) (
  rate(http_request_duration_seconds_bucket{{job="{names.QUERY}", handler=~"query|query_range"}}[10m])
)) > $threshold
and sum by (app, environment, service) (
  rate(http_request_duration_seconds_count{{job="{names.QUERY}", handler=~"query|query_range"}}[10m])
) > 0.1""",
        threshold=30,
        for_="15m",
        severity=Severity.WARNING,
        summary="Queries for metrics are slow",
        description="The 95th percentile takes {{ $value | humanizeDuration }} (limit $threshold s).",
        action="The log of query-frontend has each query of more than 10 s. Compare the load of the store with that of the sidecars, and see whether the compactor keeps up.",
    )
    yield Alert(
        name="ThanosStoresMissing",
        expr=f"sum by ({_BY}) (thanos_store_nodes_grpc_connections) < $threshold",
        threshold=_stores(context),
        below=True,
        for_="5m",
        severity=Severity.WARNING,
        summary="{{ $labels.instance }} misses some that it should ask for series",
        description="It is connected to {{ $value }} (it should be $threshold): sidecars, store and rulers. What only the missing ones have is not in its answers.",
        action="Its page /stores lists them with their last error. One that is down is told by ServiceDown; otherwise its name or the network between is at fault.",
    )


def _stores(context: Context) -> int:
    """How many programs hand series to each query."""
    scale = context.scale
    return scale.prometheus * scale.shards + 1 + (names.RULERS if names.has_ruler(context) else 0)


def _of_rules() -> Iterator[Alert]:
    yield Alert(
        name="ThanosRulerDown",
        expr=f'absent(up{{job="{names.RULER}"}} == 1)',
        for_="3m",
        severity=Severity.CRITICAL,
        app=APP,
        service=names.RULER,
        summary="Nothing evaluates the rules",
        description="No replica of Thanos' ruler is up (absent is {{ $value }}): apart from this one, no alert can fire.",
        action="See why its pods do not run or are not ready; its log says what it waits for. Until then look at the dashboards yourself.",
    )
    yield Alert(
        name="ThanosRulerFailing",
        expr=f"""
sum by ({_BY}) (rate(prometheus_rule_evaluation_failures_total{{job="{names.RULER}"}}[5m]))
/ (sum by ({_BY}) (rate(prometheus_rule_evaluations_total{{job="{names.RULER}"}}[5m])) > 0)
> $threshold""",
        threshold=0.5,
        for_="5m",
        severity=Severity.CRITICAL,
        summary="Thanos' ruler cannot evaluate most rules",
        description="{{ $value | humanizePercentage }} of the evaluations of {{ $labels.instance }} fail (limit $threshold): their alerts are blind.",
        action="Its log has the answers of query. It takes no partial answers: one store that query knows and cannot reach is enough (ThanosStoresMissing).",
    )
    yield Alert(
        name="ThanosRulesFailing",
        # When a Prometheus goes away, evaluations fail until queries notice; a rollout may take several at a time.
        expr=f'increase(prometheus_rule_evaluation_failures_total{{job="{names.RULER}"}}[5m]) > $threshold',
        threshold=0,
        for_="20m",
        severity=Severity.CRITICAL,
        summary="Rules of {{ $labels.rule_group }} cannot be evaluated",
        description="{{ $value | humanize }} evaluations failed in 5 minutes: alerts of that group are blind.",
        action="Open the rules of the ruler's page: the last error stands beside each. A query that takes too long over all shards is the usual reason for some that always fail.",
    )
    yield Alert(
        name="ThanosRulerLosesAlerts",
        expr="increase(thanos_alert_queue_alerts_dropped_total[10m]) + increase(thanos_alert_sender_alerts_dropped_total[10m]) > $threshold",
        threshold=0,
        severity=Severity.CRITICAL,
        summary="Thanos' ruler lost alerts on their way to Alertmanager",
        description="{{ $value | humanize }} alerts were dropped in 10 minutes; those that still fire are sent again.",
        action="See whether Alertmanager runs and answers, and whether very many alerts fire at once.",
    )
