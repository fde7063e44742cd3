"""What the rest of the stack has to know of Elasticsearch, Logstash and Kibana: names, ports and logins."""

from dataclasses import dataclass

from specs.workload import SecretRef

ELASTICSEARCH = "elasticsearch"
ELASTICSEARCH_PORT = 9200
LOGSTASH = "logstash"
LOGSTASH_PORT = 5000
"""Takes a JSON object a line, by TCP."""
KIBANA = "kibana"
KIBANA_PORT = 5601

CONFIG = "/workload/config"
DATA = "/workload/data"
"""Where a container has its directories. These programs take relative paths from their own installation."""
TMP = f"{DATA}/tmp"  # noqa: S108 - below the data directory
"""Programs of Java and Ruby unpack libraries and run them from there, which a container's own /tmp may forbid."""

INDICES = "*-logs-*"
"""Every index of log lines: `<system>-logs-<year>.<month>.<day>`."""
UNNAMED = "unnamed"
"""System of the lines that do not say whose they are."""
UNPARSED = "unparsed"
"""System of the lines that are no JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A user of Elasticsearch, and its password."""

    user: str
    password: SecretRef


def _login(user: str, secret: str) -> Login:
    return Login(user=user, password=SecretRef(f"{secret}-password", generated=True))


SUPERUSER = _login("elastic", "elasticsearch")
"""Whom people log in to Kibana as, until they have made users of their own."""
KIBANA_SYSTEM = _login("kibana_system", "kibana")
LOGSTASH_WRITER = _login("logstash", "elasticsearch-logstash")
COLLECTOR = _login("collector", "elasticsearch-collector")
READER = "grafana"
"""Reads log lines, and nothing else."""
READER_PASSWORD = SecretRef("elasticsearch-grafana-password", generated=True)
EXPORTER = _login("exporter", "elasticsearch-exporter")
APM_SERVER = _login("apm_server", "elasticsearch-apm")
