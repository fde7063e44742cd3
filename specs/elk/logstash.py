"""Logstash: takes JSON lines by TCP, and hands them on to the index of their system and day."""

from pathlib import Path
from typing import Any

from specs.elk.elasticsearch import believed, java_heap, mebibytes
from specs.elk.names import (
    CONFIG,
    DATA,
    ELASTICSEARCH,
    ELASTICSEARCH_PORT,
    LOGSTASH,
    LOGSTASH_PORT,
    LOGSTASH_WRITER,
    TMP,
    UNNAMED,
    UNPARSED,
)
from specs.monitoring import to_yaml
from specs.part import Context
from specs.programs import LOGSTASH as PROGRAM
from specs.settings import Elk
from specs.workload import Outward, Port, Probe, Resources, Volume, Workload

API = 9600
QUEUE = "512mb"
"""What waits on disk while Elasticsearch is away; beyond that, Logstash stops reading from those who send."""
_LONGEST = 2**20
"""Bytes of a line."""

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c] %m%n
rootLogger.level = ${sys:ls.log.level}
rootLogger.appenderRef.console.ref = console
"""
"""Its log goes to the container's; the image's own file is not beside ours."""
BESIDE_HEAP = 768
"""MiB that JRuby, its code and the buffers of connections take beside the heap."""


def configuration(context: Context) -> dict[str, Any]:
    """`logstash.yml` as a value."""
    return {
        "node.name": LOGSTASH,
        "api.http.host": context.addresses.host(),
        "api.http.port": API,
        "path.config": f"{CONFIG}/pipeline/lines.conf",
        "path.data": DATA,
        "path.logs": f"{DATA}/logs",
        "log.level": "warn",
        # What it adds itself goes where the Elastic Common Schema says, out of the way of fields of lines.
        "pipeline.ecs_compatibility": "v8",
        # By TCP nobody is told that a line arrived: what was taken in has to survive a restart.
        "queue.type": "persisted",
        "queue.max_bytes": QUEUE,
        # It is asked by the stack's own exporter.
        "xpack.monitoring.enabled": False,
    }


def pipeline(context: Context) -> str:
    """What happens to a line, in Logstash's own language."""
    settings = context.settings
    oldest = believed(settings.retention)
    elasticsearch = context.addresses.dial(ELASTICSEARCH, ELASTICSEARCH_PORT)
    return f"""\
input {{
  tcp {{
    id => "lines"
    host => "{context.addresses.host()}"
    port => {LOGSTASH_PORT}
    codec => json_lines {{ decode_size_limit_bytes => {_LONGEST} }}
  }}
}}

filter {{
  if "_jsonparsefailure" in [tags] or "_jsonparsetoobigfailure" in [tags] {{
    mutate {{
      id => "unparsed"
      add_field => {{ "[@metadata][app]" => "{UNPARSED}" }}
    }}
  }} else {{
    # A time without a zone is UTC, which Python's utcnow() is.
    date {{
      match => ["timestamp", "ISO8601"]
      timezone => "UTC"
      target => "[@metadata][said]"
    }}
    ruby {{
      path => "{CONFIG}/filter/lines.rb"
      script_params => {{ "unnamed" => "{UNNAMED}" "oldest" => {oldest} }}
    }}
    if [level] {{
      mutate {{ uppercase => ["level"] }}
    }}
    if [client_ip] {{
      geoip {{
        source => "client_ip"
        target => "client"
        tag_on_failure => []
      }}
    }}
    if [duration] {{
      mutate {{ convert => {{ "duration" => "float" }} }}
    }}
  }}
  if ![environment] {{
    mutate {{ add_field => {{ "environment" => "{settings.environment}" }} }}
  }}
  mutate {{ remove_field => ["[event][original]"] }}
}}

output {{
  elasticsearch {{
    id => "elasticsearch"
    hosts => ["http://{elasticsearch}"]
    user => "{LOGSTASH_WRITER.user}"
    password => "${{LOGSTASH_PASSWORD}}"
    index => "%{{[@metadata][app]}}-logs-%{{+YYYY.MM.dd}}"
    action => "create"
    # The template and the lifecycle of the indices are made beside Elasticsearch.
    data_stream => false
    manage_template => false
    ilm_enabled => false
  }}
}}
"""


_START = f"""\
export LOGSTASH_PASSWORD="$(cat {CONFIG}/secrets/password)"
mkdir -p {TMP}
exec /usr/share/logstash/bin/logstash "$@"
"""
"""A pipeline takes a password from the environment only. This one is of the process, not of the container."""


def workload(context: Context, elk: Elk) -> Workload:
    """Logstash with its queue on a volume."""
    java = f"{java_heap(elk.heap)} -Djava.io.tmpdir={TMP} -XX:-HeapDumpOnOutOfMemoryError"
    return Workload(
        name=LOGSTASH,
        program=context.program(PROGRAM),
        summary="takes log lines as JSON by TCP",
        ports=(Port(name="lines", number=LOGSTASH_PORT, published=True), Port(name="api", number=API)),
        args=("-c", _START, LOGSTASH, f"--path.settings={CONFIG}/settings"),
        environment={"LS_JAVA_OPTS": java},
        files={
            "settings/logstash.yml": to_yaml(configuration(context)),
            "settings/log4j2.properties": _LOGGING,
            "pipeline/lines.conf": pipeline(context),
            "filter/lines.rb": Path(__file__).with_name("lines.rb").read_text(encoding="utf-8"),
        },
        secrets={"secrets/password": LOGSTASH_WRITER.password},
        probe=Probe(port="api", path="/", start_seconds=240),
        resources=Resources(memory=f"{mebibytes(elk.heap) + BESIDE_HEAP}Mi", cpu="200m", processors=2),
        volume=Volume("2Gi"),
        extras=(Outward(),),
    )
