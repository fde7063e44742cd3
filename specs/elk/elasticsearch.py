"""Elasticsearch: one node, with security on, which sets up its users, roles and indices itself."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from specs.elk.names import (
    APM_SERVER,
    COLLECTOR,
    CONFIG,
    DATA,
    ELASTICSEARCH,
    ELASTICSEARCH_PORT,
    EXPORTER,
    INDICES,
    KIBANA_SYSTEM,
    LOGSTASH_WRITER,
    READER,
    READER_PASSWORD,
    SUPERUSER,
    Login,
)
from specs.model import seconds, size_bytes
from specs.monitoring import to_yaml
from specs.part import Context
from specs.programs import ELASTICSEARCH as PROGRAM
from specs.settings import Elk, Retention
from specs.workload import Port, Probe, Resources, SecretRef, Volume, Workload

HEALTH = "health"
"""Role of whoever does not log in: sees whether the cluster is well, once the node is set up."""
LIFECYCLE = "observability-logs"
"""Name of the policy by which indices of log lines grow old, and of their template. Elasticsearch has a template called
`logs`, and puts its own back into the place of any other of that name."""

_DAY = 86400
_MAY_WRITE = ("auto_configure", "create_doc")
"""Makes the index of a new day, adds fields to it, adds documents; changes none and reads none."""
_APM = ("traces", "logs", "metrics")
"""Kinds of data of the APM server: how the names of its data streams begin."""


def mebibytes(heap: str, times: int = 1) -> int:
    """A heap of the settings in MiB, so many times."""
    return size_bytes(heap) * times // 2**20


def java_heap(heap: str) -> str:
    """What tells a Java program of its heap."""
    return f"-Xms{mebibytes(heap)}m -Xmx{mebibytes(heap)}m"


def _role(cluster: tuple[str, ...] = (), **indices: tuple[str, ...]) -> dict[str, Any]:
    return {
        "cluster": list(cluster),
        "indices": [{"names": [names], "privileges": list(may)} for names, may in indices.items()],
    }


def roles(context: Context) -> Mapping[str, Mapping[str, Any]]:
    """What each user of the stack may do, by the role's name, which is the user's. None reads what it only writes."""
    writes = _role(("monitor",), **{INDICES: _MAY_WRITE})
    found: dict[str, dict[str, Any]] = {
        LOGSTASH_WRITER.user: writes,
        COLLECTOR.user: writes,
        READER: _role(("monitor",), **{INDICES: ("read", "view_index_metadata")}),
        EXPORTER.user: _role(("monitor",), **{"*": ("monitor",)}),
    }
    if context.settings.apm:
        apm = _role(("monitor",), **{f"{kind}-apm*": _MAY_WRITE for kind in _APM})
        # What its agents are told from Kibana.
        agents = {"names": [".apm-agent-configuration"], "privileges": ["read"], "allow_restricted_indices": True}
        apm["indices"].append(agents)
        found[APM_SERVER.user] = apm
    return found


def _logins(context: Context) -> tuple[Login, ...]:
    reader = Login(user=READER, password=READER_PASSWORD)
    apm = (APM_SERVER,) if context.settings.apm else ()
    return (LOGSTASH_WRITER, COLLECTOR, reader, EXPORTER, *apm)


def age(whole: int) -> str:
    """So many seconds as Elasticsearch writes them: one number, one unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole % length == 0:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def written(retention: Retention) -> int:
    """Seconds from its first line for which an index is written: two days at least, since it takes those of a day."""
    return max(int(seconds(retention.logs)), 2 * _DAY)


def believed(retention: Retention) -> int:
    """Seconds for which the time of a line counts. The index of its day may be a day older than the line, and a line
    whose index can only be read is lost, or holds up all that come after it."""
    return written(retention) - _DAY


def lifecycle(retention: Retention) -> dict[str, Any]:
    """How an index of log lines grows old: written, then read only, then gone. Ages count from its first line."""
    phases: dict[str, Any] = {"hot": {"min_age": "0ms", "actions": {"set_priority": {"priority": 100}}}}
    gone = int(seconds(retention.log_archive))
    if written(retention) < gone:
        cold = {"readonly": {}, "set_priority": {"priority": 0}}
        phases["cold"] = {"min_age": age(written(retention)), "actions": cold}
    phases["delete"] = {"min_age": age(gone), "actions": {"delete": {}}}
    return {"policy": {"phases": phases}}


_KEYWORD = {"type": "keyword", "ignore_above": 1024}
_WORDS = (
    *("level", "app", "service", "environment", "cluster", "logger"),
    *("request_id", "trace_id", "span_id", "tags"),
)


def template() -> dict[str, Any]:
    """What every index of log lines is like."""
    return {
        "index_patterns": [INDICES],
        # Above Elastic's own, which makes a data stream of `logs-…`.
        "priority": 300,
        "template": {
            "settings": {
                "number_of_shards": 1,
                # There is no second node that could hold one.
                "number_of_replicas": 0,
                "codec": "best_compression",
                "refresh_interval": "5s",
                "lifecycle.name": LIFECYCLE,
                # A field that is once a number and once a word costs that field, not the line.
                "mapping.ignore_malformed": True,
                "mapping.total_fields.ignore_dynamic_beyond_limit": True,
            },
            "mappings": {
                "dynamic_templates": [{"words": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
                "properties": {
                    "@timestamp": {"type": "date"},
                    "message": {"type": "text"},
                    "exception": {"type": "text"},
                    **dict.fromkeys(_WORDS, _KEYWORD),
                    "duration": {"type": "float"},
                    "duration_ms": {"type": "float"},
                    "client_ip": {"type": "ip"},
                    "client": {
                        "properties": {
                            "ip": {"type": "ip"},
                            "geo": {"properties": {"location": {"type": "geo_point"}}},
                        }
                    },
                },
            },
        },
    }


def _requests(context: Context) -> tuple[dict[str, Any], list[str]]:
    """Bodies of requests by their file, and the requests in their order."""
    bodies: dict[str, Any] = {
        "closed": _role(),
        "open": _role(("cluster:monitor/health",)),
        "lifecycle": lifecycle(context.settings.retention),
        "template": template(),
    }
    asked = [
        f"PUT /_security/role/{HEALTH} setup/closed.json",
        f"PUT /_ilm/policy/{LIFECYCLE} setup/lifecycle.json",
        f"PUT /_index_template/{LIFECYCLE} setup/template.json",
    ]
    if context.settings.apm:
        alone = {"settings": {"number_of_replicas": 0}}
        bodies["apm"] = {"template": alone}
        # What Elasticsearch's own templates of the APM server's data leave to others.
        asked += [f"PUT /_component_template/{kind}@custom setup/apm.json" for kind in _APM]
        lasts = {"lifecycle": {"data_retention": age(int(seconds(context.settings.retention.traces)))}}
        bodies["apm-traces"] = {"template": {**alone, **lasts}}
        asked.append("PUT /_component_template/traces-apm@custom setup/apm-traces.json")
        asked.append("GET /_index_template/traces-apm@template")
    # Whoever writes does so as soon as it may: what it writes to has its shape by then.
    for name, role in roles(context).items():
        bodies[f"role-{name}"] = role
        asked.append(f"PUT /_security/role/{name} setup/role-{name}.json")
    asked += [f"PUT /_security/user/{login.user} secrets/users/{login.user}.json" for login in _logins(context)]
    asked.append(f"PUT /_security/user/{KIBANA_SYSTEM.user}/_password secrets/users/{KIBANA_SYSTEM.user}.json")
    asked.append(f"PUT /_security/role/{HEALTH} setup/open.json")
    return bodies, asked


def _user(login: Login) -> SecretRef:
    """The request that makes a user."""
    return replace(login.password, template=f'{{"password": $secret, "roles": ["{login.user}"]}}')


def configuration(context: Context) -> dict[str, Any]:
    """`elasticsearch.yml` as a value."""
    return {
        "cluster.name": context.settings.cluster,
        "node.name": ELASTICSEARCH,
        "discovery.type": "single-node",
        "http.host": context.addresses.host(),
        "http.port": ELASTICSEARCH_PORT,
        # Nodes of a cluster dial each other by it, and there is one.
        "transport.host": "127.0.0.1",
        "path.data": f"{DATA}/elasticsearch",
        "path.logs": f"{DATA}/logs",
        # Memory-mapped files want a kernel setting (vm.max_map_count) that neither a laptop nor a node has by default.
        "node.store.allow_mmap": False,
        "bootstrap.memory_lock": False,
        "xpack.license.self_generated.type": "basic",
        "xpack.security.enabled": True,
        "xpack.security.enrollment.enabled": False,
        "xpack.security.http.ssl.enabled": False,
        "xpack.security.transport.ssl.enabled": False,
        "xpack.security.authc.anonymous.roles": HEALTH,
        "xpack.security.authc.anonymous.authz_exception": False,
        "xpack.ml.enabled": False,
        "ingest.geoip.downloader.enabled": False,
    }


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def workload(context: Context, elk: Elk) -> Workload:
    """One node with its data on a volume."""
    bodies, asked = _requests(context)
    return Workload(
        name=ELASTICSEARCH,
        program=context.program(PROGRAM),
        summary="stores log lines for Kibana",
        ports=(Port(name="http", number=ELASTICSEARCH_PORT, published=True),),
        args=(f"{CONFIG}/start.sh",),
        environment={"ES_JAVA_OPTS": f"{java_heap(elk.heap)} -XX:-HeapDumpOnOutOfMemoryError"},
        files={
            "elasticsearch.yml": to_yaml(configuration(context)),
            "start.sh": _text("start.sh"),
            "setup.sh": _text("setup.sh"),
            "setup/requests": "".join(f"{line}\n" for line in asked),
            **{f"setup/{name}.json": json.dumps(body, indent=1) + "\n" for name, body in bodies.items()},
        },
        secrets={
            "secrets/password": SUPERUSER.password,
            **{f"secrets/users/{login.user}.json": _user(login) for login in _logins(context)},
            f"secrets/users/{KIBANA_SYSTEM.user}.json": replace(
                KIBANA_SYSTEM.password, template='{"password": $secret}'
            ),
        },
        probe=Probe(port="http", path="/_cluster/health", start_seconds=240),
        resources=Resources(memory=f"{mebibytes(elk.heap, 2)}Mi", cpu="500m", processors=2),
        volume=Volume("20Gi"),
    )
