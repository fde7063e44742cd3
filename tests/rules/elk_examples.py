"""Examples of the alerts about Elasticsearch, Logstash and Kibana."""

from collections.abc import Mapping

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

ELASTICSEARCH = labels("elasticsearch")
NODE = ELASTICSEARCH | {"cluster": "example", "name": "elasticsearch", "host": "10.0.0.1"}
LOGSTASH = labels("logstash", instance="http://logstash:9600/_node/stats")
KIBANA = labels("kibana", instance="http://kibana:5601/api/status")


def _told(of: Mapping[str, str], severity: Mapping[str, str], summary: str, description: str) -> Firing:
    return Firing(labels={**without(of, "job"), **severity}, summary=summary, description=description)


def _answers(collector: str) -> str:
    return series("elasticsearch_scrape_success", ELASTICSEARCH, collector=collector)


def _health(colour: str) -> str:
    return series("elasticsearch_cluster_health_status", ELASTICSEARCH, cluster="example", color=colour)


def _disk(colour: str) -> str:
    return series("elasticsearch_health_report_disk_status", ELASTICSEARCH, cluster="example", color=colour)


OF_ELASTICSEARCH = (
    *tried(
        "ElasticsearchDown",
        {_answers("cluster-info"): gauge(0, 1), _answers("health-report"): gauge(0, 1)},
        _told(
            ELASTICSEARCH,
            CRITICAL,
            "Elasticsearch does not answer",
            "Its exporter gets no answer (success is 0): lines wait in Logstash and the collector, and Kibana shows"
            " nothing.",
        ),
        wait="2m",
        border=NO_LIMIT,
    ),
    *tried(
        "ElasticsearchUnmeasured",
        {_answers("cluster-info"): gauge(1), _answers("health-report"): gauge(0, 1)},
        _told(
            ELASTICSEARCH,
            WARNING,
            "The health report of Elasticsearch cannot be read",
            "The exporter reads everything but the health report (success is 0): the alerts on its disk and on the age"
            " of indices are blind.",
        ),
        wait="15m",
        border=NO_LIMIT,
    ),
    Example(
        alert="ElasticsearchUnmeasured",
        says="it does not answer at all, which is another alert",
        series={_answers("cluster-info"): "0x120", _answers("health-report"): "0x120"},
        at="30m",
    ),
    *tried(
        "ElasticsearchRed",
        {_health("red"): gauge(1, 0), _health("yellow"): gauge(0), _health("green"): gauge(0, 1)},
        _told(
            ELASTICSEARCH,
            CRITICAL,
            "Elasticsearch lacks data",
            "Its health is red (status is 1): the only copy of some index is missing, so lines of it are neither found"
            " nor taken.",
        ),
        wait="2m",
        border=NO_LIMIT,
    ),
    *tried(
        "ElasticsearchShardsUnassigned",
        {series("elasticsearch_cluster_health_unassigned_shards", ELASTICSEARCH, cluster="example"): gauge(2, 0)},
        _told(
            ELASTICSEARCH,
            WARNING,
            "Elasticsearch has shards without a place",
            "2 shards are on no node (limit 0); its health is yellow or red.",
        ),
        wait="15m",
    ),
    *tried(
        "ElasticsearchHeapHigh",
        {
            series("elasticsearch_jvm_memory_used_bytes", NODE, area="heap"): gauge(90, 85, 40),
            series("elasticsearch_jvm_memory_max_bytes", NODE, area="heap"): gauge(100),
            series("elasticsearch_jvm_memory_used_bytes", NODE, area="non-heap"): gauge(400),
        },
        _told(
            ELASTICSEARCH,
            WARNING,
            "The heap of Elasticsearch is nearly full",
            "90% of the heap is in use, even right after collections (limit 0.85); at 95% it refuses requests.",
        ),
        wait="10m",
    ),
    Example(
        alert="ElasticsearchHeapHigh",
        says="it fills up and is collected, every five minutes",
        series={
            series("elasticsearch_jvm_memory_used_bytes", NODE, area="heap"): " ".join(["40 60 80 90x16"] * 8),
            series("elasticsearch_jvm_memory_max_bytes", NODE, area="heap"): "100x160",
        },
        at="30m",
    ),
    *tried(
        "ElasticsearchDiskLow",
        {_disk("yellow"): gauge(1, 0), _disk("red"): gauge(0)},
        _told(
            ELASTICSEARCH,
            WARNING,
            "The disk below Elasticsearch is nearly full",
            "By its own judgement (status is 1) too little is left: tomorrow's indices may find no place.",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "ElasticsearchReadOnly",
        {_disk("yellow"): gauge(0), _disk("red"): gauge(1, 0)},
        _told(
            ELASTICSEARCH,
            CRITICAL,
            "Elasticsearch takes no lines any more, since its disk is full",
            "The disk is beyond the last watermark (status is 1): indices can only be read.",
        ),
        wait="1m",
        border=NO_LIMIT,
    ),
    *tried(
        "ElasticsearchRejects",
        {
            series("elasticsearch_thread_pool_rejected_count", NODE, type="write"): counter(1, 0),
            series("elasticsearch_thread_pool_rejected_count", NODE, type="snapshot"): counter(7),
        },
        _told(
            ELASTICSEARCH,
            WARNING,
            "Elasticsearch turns requests away",
            "20 requests were rejected in 5 minutes (limit 0): its queues are full.",
        ),
        wait="5m",
        window="5m",
    ),
    *tried(
        "ElasticsearchLifecycleStalled",
        {series("elasticsearch_health_report_ilm_stagnating_indices", ELASTICSEARCH, cluster="example"): gauge(3, 0)},
        _told(
            ELASTICSEARCH,
            WARNING,
            "Old indices of Elasticsearch stay",
            "3 indices are stuck on their way from written to deleted (limit 0): the disk fills.",
        ),
        wait="1h",
        step="1m",
    ),
)

OF_LOGSTASH = (
    *tried(
        "LogstashQueueFilling",
        {
            series("logstash_queue_bytes", LOGSTASH): gauge(384, 256, 64),
            series("logstash_queue_limit_bytes", LOGSTASH): gauge(512),
        },
        _told(
            LOGSTASH,
            WARNING,
            "Lines pile up in Logstash",
            "75% of its queue is taken (limit 0.5); when it is full, applications wait to send.",
        ),
        wait="10m",
    ),
    *tried(
        "LogstashStalled",
        {
            series("logstash_events_in_total", LOGSTASH): counter(5, 0, 5),
            series("logstash_events_out_total", LOGSTASH): counter(0, 0, 5),
        },
        _told(
            LOGSTASH,
            CRITICAL,
            "Logstash takes lines in and hands none on",
            "For 10 minutes 0 lines have left it, while some came in.",
        ),
        wait="5m",
        window="10m",
    ),
    *tried(
        "LogstashLinesRefused",
        {series("logstash_documents_refused_total", LOGSTASH): counter(1, 0)},
        _told(
            LOGSTASH,
            WARNING,
            "Elasticsearch refuses lines of Logstash",
            "40 lines were refused for good in 10 minutes: they are lost.",
        ),
        window="10m",
    ),
    *tried(
        "LogstashLinesUnparsed",
        {series("logstash_lines_unparsed_total", LOGSTASH): counter(1, 0)},
        _told(
            LOGSTASH,
            INFO,
            "Applications send Logstash what is no JSON",
            "40 lines in 10 minutes were no JSON (limit 0): they are in the index unparsed-logs, as they came.",
        ),
        wait="10m",
        window="10m",
    ),
)

OF_KIBANA = (
    Example(
        alert="KibanaUnavailable",
        says="it waits for Elasticsearch for five minutes",
        series={
            series("kibana_status_info", KIBANA, level="unavailable"): "1x20 stale",
            series("kibana_status_info", KIBANA, level="available"): "_x21 1x20",
        },
        at="5m",
        quiet_at="4m45s",
        resolved_at="5m30s",
        fires=(
            _told(
                KIBANA,
                WARNING,
                "Kibana is not available",
                "It runs, and says of itself that it is not available (status is 1).",
            ),
        ),
    ),
    Example(
        alert="KibanaUnavailable",
        says=NO_LIMIT,
        series={series("kibana_status_info", KIBANA, level="available"): "1x60"},
        at="15m",
    ),
)

EXAMPLES = (*OF_ELASTICSEARCH, *OF_LOGSTASH, *OF_KIBANA)
