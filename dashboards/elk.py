"""Elasticsearch, Logstash, Kibana and the APM server, where a stack runs them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import alert_marks, board, fill, link_to
from dashboards.limits import Limits
from dashboards.panels import firing, graph, lights
from specs.part import APP

FOLDER = "observability"
_OWN = f'app="{APP}"'
_PARTS = f'{_OWN}, service=~"elasticsearch|logstash|kibana|apm-server|elk-exporter"'
_RATE = "[$__rate_interval]"


def _most(metric: str, where: str = "", by: str = "environment") -> str:
    return f"max by ({by}) ({metric}{{{_OWN}{where}}})"


def _rate(metric: str, where: str = "", by: str = "environment") -> str:
    return f"sum by ({by}) (rate({metric}{{{_OWN}{where}}}{_RATE}))"


def dashboard(limits: Limits) -> Dashboard:
    """Do lines arrive, are they kept, can they be found, is there room."""
    onto = board(
        "Elastic Stack",
        description="Lines on their way into Elasticsearch, and how it bears them.",
        tags=["stack", "elk"],
    )
    heap = ', area="heap"'
    return fill(
        onto.annotation(alert_marks(_PARTS)).link(link_to("Observability stack", "/d/observability-stack")),
        [
            lights(
                "Status",
                description="Whether each part answers Prometheus.",
                queries=[(f"min by (service) (up{{{_PARTS}}})", "{{service}}")],
            ),
            firing("Firing Alerts", _PARTS),
            graph(
                "Cluster Health",
                description="1 for the colour that Elasticsearch gives itself: yellow lacks a replica, red lacks data.",
                unit="short",
                queries=[(_most("elasticsearch_cluster_health_status", by="color"), "{{color}}")],
            ),
            graph(
                "Lines through Logstash",
                description="Lines that came in by TCP, lines that left, and lines that were no JSON.",
                unit="suffix:/s",
                queries=[
                    (_rate("logstash_events_in_total"), "in"),
                    (_rate("logstash_events_out_total"), "out"),
                    (_rate("logstash_lines_unparsed_total"), "no JSON"),
                ],
            ),
            graph(
                "Documents Indexed",
                description="Documents that Elasticsearch stored, of Logstash, the collector and the APM server together.",
                unit="suffix:/s",
                queries=[(_rate("elasticsearch_indices_indexing_index_total"), "indexed")],
            ),
            graph(
                "Lines Refused",
                description="Lines that Elasticsearch refused for good, and requests that it turned away for now.",
                unit="suffix:/s",
                queries=[
                    (_rate("logstash_documents_refused_total"), "refused for good"),
                    (
                        _rate("elasticsearch_thread_pool_rejected_count", ', type=~"write|search"', "type"),
                        "rejected {{type}}",
                    ),
                ],
            ),
            graph(
                "Logstash's Queue",
                description="Share of the queue on disk that is taken; when it is full, applications wait to send.",
                unit="percentunit",
                queries=[(f"{_most('logstash_queue_bytes')} / {_most('logstash_queue_limit_bytes')}", "queue")],
                limits=limits.of("LogstashQueueFilling"),
            ),
            graph(
                "Search Time",
                description="Mean time of a search.",
                unit="s",
                queries=[
                    (
                        (
                            f"{_rate('elasticsearch_indices_search_query_time_seconds')}"
                            f" / ({_rate('elasticsearch_indices_search_query_total')} > 0)"
                        ),
                        "search",
                    )
                ],
            ),
            graph(
                "Heap",
                description="Share of each heap that is in use; it falls with each collection.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f"{_most('elasticsearch_jvm_memory_used_bytes', heap)}"
                            f" / {_most('elasticsearch_jvm_memory_max_bytes', heap)}"
                        ),
                        "Elasticsearch",
                    ),
                    (f"{_most('logstash_heap_used_bytes')} / {_most('logstash_heap_max_bytes')}", "Logstash"),
                ],
                limits=limits.of("ElasticsearchHeapHigh"),
            ),
            graph(
                "Disk",
                description="Space below Elasticsearch: all of it, what is free, and what its indices take.",
                unit="bytes",
                queries=[
                    (_most("elasticsearch_filesystem_data_size_bytes"), "all"),
                    (_most("elasticsearch_filesystem_data_available_bytes"), "free"),
                    (_most("elasticsearch_indices_store_size_bytes"), "indices"),
                ],
            ),
            graph(
                "Documents",
                description="Documents in all indices.",
                unit="short",
                queries=[(_most("elasticsearch_indices_docs"), "documents")],
            ),
            graph(
                "Shards",
                description="Shards with a place and without one; a node of this size bears about a thousand.",
                unit="short",
                queries=[
                    (_most("elasticsearch_cluster_health_active_shards"), "active"),
                    (_most("elasticsearch_cluster_health_unassigned_shards"), "unassigned"),
                ],
            ),
            graph(
                "Indices That Do Not Grow Old",
                description="Indices that are stuck on their way from written to deleted.",
                unit="short",
                queries=[(_most("elasticsearch_health_report_ilm_stagnating_indices"), "stuck")],
            ),
            graph(
                "Garbage Collection",
                description="Part of the time that Elasticsearch spends on collecting garbage.",
                unit="percentunit",
                queries=[(_rate("elasticsearch_jvm_gc_collection_seconds_sum", by="gc"), "{{gc}}")],
            ),
        ],
    )
