"""How the collector feeds log lines to Elasticsearch, as the same documents in the same indices as Logstash's."""

from collections.abc import Mapping, Sequence
from typing import Any

from specs.elk.elasticsearch import believed
from specs.elk.names import COLLECTOR, ELASTICSEARCH, ELASTICSEARCH_PORT, UNNAMED
from specs.part import Context
from specs.workload import CONFIG, SecretRef

FILE = "elk.yml"
"""A file of its own, which the collector merges: not every build of it has the exporter."""
_PASSWORD = "secrets/elasticsearch-password"  # noqa: S105 - where it is
_INDEX = 'log.attributes["elasticsearch.index"]'


def feeds(context: Context) -> bool:
    """Whether the collector sends log lines to Elasticsearch."""
    return context.settings.elk is not None and context.settings.elk.logs != "none"


def instead(context: Context) -> bool:
    """Whether it sends them to Elasticsearch alone."""
    return context.settings.elk is not None and context.settings.elk.logs == "instead"


def secrets(context: Context) -> Mapping[str, SecretRef]:
    """Files of the collector that hold what it logs in with."""
    return {_PASSWORD: COLLECTOR.password} if feeds(context) else {}


def _document(context: Context) -> tuple[str, ...]:
    """OTTL that makes the body of a record the whole document, and names its index."""
    oldest = f"{believed(context.settings.retention)}s"
    return (
        "set(log.time, log.observed_time) where log.time_unix_nano == 0",
        # As Logstash does it (lines.rb): an index that is older can only be read.
        f'set(log.time, Now()) where Now() - log.time > Duration("{oldest}") or log.time - Now() > Duration("1h")',
        f'set({_INDEX}, "{UNNAMED}")',
        f'set({_INDEX}, ConvertCase(resource.attributes["app"], "lower")) where resource.attributes["app"] != nil',
        f'replace_pattern({_INDEX}, "[^a-z0-9_]+", "-")',
        f'replace_pattern({_INDEX}, "^[-_]+|-+$", "")',
        f'set({_INDEX}, "{UNNAMED}") where {_INDEX} == ""',
        f'set({_INDEX}, Concat([{_INDEX}, FormatTime(log.time, "%Y.%m.%d")], "-logs-"))',
        'merge_maps(log.cache, log.body, "upsert") where IsMap(log.body)',
        'set(log.cache["message"], log.body) where not IsMap(log.body)',
        'merge_maps(log.cache, log.attributes, "upsert")',
        'delete_key(log.cache, "elasticsearch.index")',
        'set(log.cache["@timestamp"], FormatTime(log.time, "%Y-%m-%dT%H:%M:%S.%LZ"))',
        'set(log.cache["level"], log.severity_text) where log.severity_text != ""',
        'set(log.cache["service"], resource.attributes["service.name"]) where resource.attributes["service.name"] != nil',
        *(
            f'set(log.cache["{name}"], resource.attributes["{name}"]) where resource.attributes["{name}"] != nil'
            for name in ("app", "environment", "cluster")
        ),
        'set(log.cache["trace_id"], log.trace_id.string) where log.trace_id.string != ""',
        'set(log.cache["span_id"], log.span_id.string) where log.span_id.string != ""',
        "set(log.body, log.cache)",
        # The body is the document: the exporter's own setting for that is ignored since 0.145.
        'set(scope.attributes["elastic.mapping.mode"], "bodymap")',
    )


def configuration(context: Context, receivers: Sequence[str], processors: Sequence[str]) -> dict[str, Any]:
    """`elk.yml` as a value: a pipeline beside the one to Loki, from the same receivers through the same processors."""
    return {
        "processors": {
            "transform/elk": {
                "error_mode": "silent",
                # With its context named, the cache is a record's; statements without one share theirs among records.
                "log_statements": [{"context": "log", "statements": list(_document(context))}],
            }
        },
        "exporters": {
            "elasticsearch": {
                "endpoints": [f"http://{context.addresses.dial(ELASTICSEARCH, ELASTICSEARCH_PORT)}"],
                "user": COLLECTOR.user,
                "password": f"${{file:{CONFIG}/{_PASSWORD}}}",
                # Said, since some releases of this exporter have none unless it is.
                "sending_queue": {"enabled": True, "storage": "file_storage", "queue_size": 1000},
                # Hours: what waits meanwhile is on disk.
                "retry": {
                    "max_retries": 500,
                    "initial_interval": "1s",
                    "max_interval": "30s",
                    # 401: it runs, and has not made its users yet, or not yet taken a new password.
                    "retry_on_status": [401, 429, 502, 503, 504],
                },
            }
        },
        "service": {
            "pipelines": {
                "logs/elk": {
                    "receivers": list(receivers),
                    # What Elasticsearch cannot take for hours is dropped here, so that Loki gets its lines meanwhile.
                    "processors": [*processors, "transform/elk", "batch"],
                    "exporters": ["elasticsearch"],
                }
            }
        },
    }
