"""Elasticsearch, Logstash and Kibana: log lines that people search in Kibana (docs/optional-parts.md).

`names` has what other parts dial and log in with; each program has a module of its own.
"""

from specs.elk import elasticsearch, kibana, logstash, watch
from specs.elk.names import (
    COLLECTOR,
    ELASTICSEARCH,
    ELASTICSEARCH_PORT,
    INDICES,
    KIBANA,
    KIBANA_PORT,
    LOGSTASH,
    LOGSTASH_PORT,
    READER,
    READER_PASSWORD,
    SUPERUSER,
    Login,
)
from specs.elk.watch import DASHBOARD
from specs.exporter import Exporting
from specs.part import Context

__all__ = [
    "COLLECTOR",
    "DASHBOARD",
    "ELASTICSEARCH",
    "ELASTICSEARCH_PORT",
    "INDICES",
    "KIBANA",
    "KIBANA_PORT",
    "LOGSTASH",
    "LOGSTASH_PORT",
    "READER",
    "READER_PASSWORD",
    "SUPERUSER",
    "Login",
    "left_out",
    "parts",
]


def parts(context: Context) -> tuple[Exporting, ...]:
    """What the stack runs of it, and how that is watched; nothing where the stack does not ask for it."""
    elk = context.settings.elk
    if elk is None:
        return ()
    workloads = (
        elasticsearch.workload(context, elk),
        logstash.workload(context, elk),
        kibana.workload(context),
        *watch.workloads(context),
    )
    return (Exporting(workloads=workloads, monitoring=watch.monitoring(context)),)


def left_out(context: Context) -> tuple[str, ...]:
    """One line for each thing that a stack loses by how it feeds Elasticsearch."""
    elk = context.settings.elk
    if elk is None or elk.logs != "instead":
        return ()
    return (
        "alerts and panels of log lines: Loki gets no lines (elk.logs: instead), so they see none; `beside` keeps them",
    )
