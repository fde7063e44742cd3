"""How Elasticsearch, Logstash and Kibana are watched: two exporters, jobs and alerts."""

from dataclasses import replace
from typing import Any

from specs.elk.logstash import API
from specs.elk.names import (
    CONFIG,
    ELASTICSEARCH,
    ELASTICSEARCH_PORT,
    EXPORTER,
    KIBANA,
    KIBANA_PORT,
    LOGSTASH,
)
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target, to_yaml
from specs.part import Context, Monitoring
from specs.programs import ELASTICSEARCH_EXPORTER, JSON_EXPORTER
from specs.settings import Severity
from specs.workload import Port, Probe, Resources, Workload

NAME = "elasticsearch-exporter"
PORT = 9114
PAGES = "elk-exporter"
"""Makes metrics of the JSON that Logstash, Kibana and the APM server tell of themselves."""
PAGES_PORT = 7979
APM = "apm-server"
DASHBOARD = "elk"


def _metric(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "path": f"{{ {path} }}", **more}


def _counter(name: str, path: str) -> dict[str, Any]:
    return _metric(name, path, valuetype="counter")


def modules(context: Context) -> dict[str, Any]:
    """What is read out of each program's page, by the name of the program."""
    output = ".pipelines.main.plugins.outputs[0].documents"
    found: dict[str, Any] = {
        LOGSTASH: {
            "metrics": [
                _counter("logstash_events_in_total", ".events.in"),
                _counter("logstash_events_out_total", ".events.out"),
                _counter(
                    "logstash_lines_unparsed_total",
                    '.pipelines.main.plugins.filters[?(@.id=="unparsed")].events.in',
                ),
                _counter("logstash_documents_indexed_total", f"{output}.successes"),
                _counter("logstash_documents_refused_total", f"{output}.non_retryable_failures"),
                _metric("logstash_queue_bytes", ".pipelines.main.queue.queue_size_in_bytes"),
                _metric("logstash_queue_limit_bytes", ".pipelines.main.queue.max_queue_size_in_bytes"),
                _metric("logstash_heap_used_bytes", ".jvm.mem.heap_used_in_bytes"),
                _metric("logstash_heap_max_bytes", ".jvm.mem.heap_max_in_bytes"),
            ]
        },
        KIBANA: {
            "metrics": [
                _metric(
                    "kibana_status",
                    ".status.overall",
                    type="object",
                    labels={"level": "{ .level }"},
                    values={"info": 1},
                )
            ],
            # It says with its status that something is ill, and what in its page.
            "valid_status_codes": [200, 503],
        },
    }
    if context.settings.apm:
        labels = {"version": "{ .version }"}
        found[APM] = {"metrics": [_metric("apm_server", "@", type="object", labels=labels, values={"info": 1})]}
    return found


def pages_job(context: Context, name: str, url: str) -> ScrapeJob:
    """The job of a program whose page is JSON."""
    target = Target(address=url, labels=context.labels(service=name, __param_module=name))
    return ScrapeJob(name=name, targets=(target,), path="/probe", through=context.addresses.dial(PAGES, PAGES_PORT))


def workloads(context: Context) -> tuple[Workload, ...]:
    """Both exporters."""
    read = f'export ES_PASSWORD="$(cat {CONFIG}/secrets/password)"\nexec /bin/elasticsearch_exporter "$@"\n'
    return (
        Workload(
            name=NAME,
            program=context.program(ELASTICSEARCH_EXPORTER),
            summary="metrics of Elasticsearch",
            ports=(Port(name="http", number=PORT),),
            args=(
                *("-c", read, NAME),
                f"--es.uri=http://{context.addresses.dial(ELASTICSEARCH, ELASTICSEARCH_PORT)}",
                "--es.timeout=10s",
                "--collector.health-report",
                f"--web.listen-address={context.addresses.listen(PORT)}",
            ),
            environment={"ES_USERNAME": EXPORTER.user},
            secrets={"secrets/password": EXPORTER.password},
            probe=Probe(port="http", path="/healthz"),
            resources=Resources(memory="64Mi", cpu="50m"),
            page="/metrics",
        ),
        Workload(
            name=PAGES,
            program=context.program(JSON_EXPORTER),
            summary="metrics of Logstash and Kibana",
            ports=(Port(name="http", number=PAGES_PORT),),
            args=(f"--config.file={CONFIG}/json.yml", f"--web.listen-address={context.addresses.listen(PAGES_PORT)}"),
            files={"json.yml": to_yaml({"modules": modules(context)})},
            probe=Probe(port="http", path="/metrics"),
            resources=Resources(memory="64Mi", cpu="50m"),
            page="/metrics",
        ),
    )


BY = "by (app, environment, service, instance)"


def _elasticsearch() -> tuple[Alert, ...]:
    heap = '{area="heap"}'
    return (
        Alert(
            name="ElasticsearchDown",
            expr=f'max {BY} (elasticsearch_scrape_success{{collector="cluster-info"}}) == 0',
            for_="2m",
            severity=Severity.CRITICAL,
            summary="Elasticsearch does not answer",
            description="Its exporter gets no answer (success is {{ $value }}): lines wait in Logstash and the collector, and Kibana shows nothing.",
            action="See whether it runs. Its log says why not: no memory, no disk, or a setup that fails (lines that begin with setup:).",
        ),
        Alert(
            name="ElasticsearchUnmeasured",
            expr=f'max {BY} (elasticsearch_scrape_success{{collector="health-report"}}) == 0 unless on (environment, instance) max {BY} (elasticsearch_scrape_success{{collector="cluster-info"}}) == 0',
            for_="15m",
            severity=Severity.WARNING,
            summary="The health report of Elasticsearch cannot be read",
            description="The exporter reads everything but the health report (success is {{ $value }}): the alerts on its disk and on the age of indices are blind.",
            action="The exporter's log says why. After a new version of Elasticsearch, it may need a new version too.",
        ),
        Alert(
            name="ElasticsearchRed",
            expr=f'max {BY} (elasticsearch_cluster_health_status{{color="red"}}) == 1',
            for_="2m",
            severity=Severity.CRITICAL,
            summary="Elasticsearch lacks data",
            description="Its health is red (status is {{ $value }}): the only copy of some index is missing, so lines of it are neither found nor taken.",
            action="GET _cluster/allocation/explain says which index and why. A full disk and a broken volume are the usual reasons.",
        ),
        Alert(
            name="ElasticsearchShardsUnassigned",
            # An index without replicas has none; one that wants a replica makes the cluster yellow for good.
            expr=f"max {BY} (elasticsearch_cluster_health_unassigned_shards) > $threshold",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary="Elasticsearch has shards without a place",
            description="{{ $value }} shards are on no node (limit $threshold); its health is yellow or red.",
            action="GET _cat/shards?v&h=index,shard,prirep,state,unassigned.reason names them. Replicas have no second node here: set number_of_replicas of that index to 0.",
        ),
        Alert(
            name="ElasticsearchHeapHigh",
            # Even right after a collection: what is high only before one is no fault.
            expr=f"max {BY} (min_over_time(elasticsearch_jvm_memory_used_bytes{heap}[10m])) / max {BY} (elasticsearch_jvm_memory_max_bytes{heap}) > $threshold",
            threshold=0.85,
            for_="10m",
            severity=Severity.WARNING,
            summary="The heap of Elasticsearch is nearly full",
            description="{{ $value | humanizePercentage }} of the heap is in use, even right after collections (limit $threshold); at 95% it refuses requests.",
            action="Give it more (elk.heap), keep lines for less long, or look for a query over everything.",
        ),
        Alert(
            name="ElasticsearchDiskLow",
            expr=f'max {BY} (elasticsearch_health_report_disk_status{{color="yellow"}}) == 1',
            for_="5m",
            severity=Severity.WARNING,
            summary="The disk below Elasticsearch is nearly full",
            description="By its own judgement (status is {{ $value }}) too little is left: tomorrow's indices may find no place.",
            action="Make the disk larger or keep lines for less long (retention.log_archive). GET _cat/allocation?v has the figures, GET _cat/indices?s=store.size:desc the largest.",
        ),
        Alert(
            name="ElasticsearchReadOnly",
            expr=f'max {BY} (elasticsearch_health_report_disk_status{{color="red"}}) == 1',
            for_="1m",
            severity=Severity.CRITICAL,
            summary="Elasticsearch takes no lines any more, since its disk is full",
            description="The disk is beyond the last watermark (status is {{ $value }}): indices can only be read.",
            action="Delete the oldest indices, or make the disk larger; then it takes lines again by itself.",
        ),
        Alert(
            name="ElasticsearchRejects",
            expr=f'sum {BY} (increase(elasticsearch_thread_pool_rejected_count{{type=~"write|search"}}[5m])) > $threshold',
            threshold=0,
            for_="5m",
            severity=Severity.WARNING,
            summary="Elasticsearch turns requests away",
            description="{{ $value | humanize }} requests were rejected in 5 minutes (limit $threshold): its queues are full.",
            action="Look for what asks so much: a burst of lines, or a dashboard of Kibana over a month. Lines are sent again, searches are not.",
        ),
        Alert(
            name="ElasticsearchLifecycleStalled",
            expr=f"max {BY} (elasticsearch_health_report_ilm_stagnating_indices) > $threshold",
            threshold=0,
            for_="1h",
            severity=Severity.WARNING,
            summary="Old indices of Elasticsearch stay",
            description="{{ $value }} indices are stuck on their way from written to deleted (limit $threshold): the disk fills.",
            action="GET */_ilm/explain?only_errors says at which step and why; POST <index>/_ilm/retry goes on.",
        ),
    )


def _logstash() -> tuple[Alert, ...]:
    into, out = (f"sum {BY} (increase(logstash_events_{way}_total[10m]))" for way in ("in", "out"))
    return (
        Alert(
            name="LogstashQueueFilling",
            expr=f"max {BY} (logstash_queue_bytes) / max {BY} (logstash_queue_limit_bytes) > $threshold",
            threshold=0.5,
            for_="10m",
            severity=Severity.WARNING,
            summary="Lines pile up in Logstash",
            description="{{ $value | humanizePercentage }} of its queue is taken (limit $threshold); when it is full, applications wait to send.",
            action="Elasticsearch is away or slow: look at its alerts first. Logstash's log says what it answered.",
        ),
        Alert(
            name="LogstashStalled",
            expr=f"{out} == 0 and {into} > $threshold",
            threshold=0,
            for_="5m",
            severity=Severity.CRITICAL,
            summary="Logstash takes lines in and hands none on",
            description="For 10 minutes {{ $value }} lines have left it, while some came in.",
            action="Read its log. One answer of Elasticsearch that it tries again for ever is the usual reason: a wrong password, or an index that can only be read.",
        ),
        Alert(
            name="LogstashLinesRefused",
            expr=f"sum {BY} (increase(logstash_documents_refused_total[10m])) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="Elasticsearch refuses lines of Logstash",
            description="{{ $value | humanize }} lines were refused for good in 10 minutes: they are lost.",
            action="Logstash's log has each of them with the reason: a field that is an object in one line and a word in another is the usual one.",
        ),
        Alert(
            name="LogstashLinesUnparsed",
            expr=f"sum {BY} (increase(logstash_lines_unparsed_total[10m])) > $threshold",
            threshold=0,
            for_="10m",
            severity=Severity.INFO,
            summary="Applications send Logstash what is no JSON",
            description="{{ $value | humanize }} lines in 10 minutes were no JSON (limit $threshold): they are in the index unparsed-logs, as they came.",
            action="Look at them there: Python's SocketHandler sends pickles, and a handler that ends no line has its lines glued together.",
        ),
    )


def _kibana() -> tuple[Alert, ...]:
    return (
        Alert(
            name="KibanaUnavailable",
            expr=f'max {BY} (kibana_status_info{{level!="available"}}) == 1',
            for_="5m",
            severity=Severity.WARNING,
            summary="Kibana is not available",
            description="It runs, and says of itself that it is not available (status is {{ $value }}).",
            action="Its page /api/status, asked with a login, names what it lacks; most often that is Elasticsearch.",
        ),
    )


def monitoring(context: Context) -> Monitoring:
    """Jobs and alerts. ServiceDown is for whatever does not answer at all."""
    dial = context.addresses.dial
    target = Target(address=dial(NAME, PORT), labels=context.labels(service=ELASTICSEARCH))
    groups = {ELASTICSEARCH: _elasticsearch(), LOGSTASH: _logstash(), KIBANA: _kibana()}
    return Monitoring(
        jobs=(
            ScrapeJob(name=ELASTICSEARCH, targets=(target,)),
            context.job(PAGES, PAGES_PORT),
            pages_job(context, LOGSTASH, f"http://{dial(LOGSTASH, API)}/_node/stats"),
            pages_job(context, KIBANA, f"http://{dial(KIBANA, KIBANA_PORT)}/api/status"),
        ),
        groups=tuple(
            RuleGroup(name=name, alerts=tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts))
            for name, alerts in groups.items()
        ),
    )
