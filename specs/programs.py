"""Each program's image, version and executable, once.

Image tags are what `dev` and `prod` pull. The process runtime executes what `tools.native` pins, which may be
another release of the same configuration form; a test holds the two to the same major version.
"""

from specs.workload import Program

# renovate: datasource=docker depName=prom/prometheus
PROMETHEUS = Program(
    name="prometheus",
    image="quay.io/prometheus/prometheus",
    version="v3.14.0",
    binary="prometheus",
    client="wget",
)
# renovate: datasource=docker depName=prom/alertmanager
ALERTMANAGER = Program(
    name="alertmanager",
    image="quay.io/prometheus/alertmanager",
    version="v0.34.0",
    binary="alertmanager",
    client="wget",
)
# renovate: datasource=docker depName=thanosio/thanos
THANOS = Program(name="thanos", image="quay.io/thanos/thanos", version="v0.42.5", binary="thanos", client="wget")
# renovate: datasource=docker depName=grafana/loki
LOKI = Program(name="loki", image="docker.io/grafana/loki", version="3.7.6", binary="loki")
# renovate: datasource=docker depName=jaegertracing/jaeger
JAEGER = Program(name="jaeger", image="docker.io/jaegertracing/jaeger", version="2.20.0", binary="jaeger", user=10001)
# renovate: datasource=docker depName=otel/opentelemetry-collector-contrib
COLLECTOR = Program(
    name="collector", image="docker.io/otel/opentelemetry-collector-contrib", version="0.159.0", binary="otelcol"
)
# renovate: datasource=docker depName=grafana/grafana
GRAFANA = Program(
    name="grafana",
    image="docker.io/grafana/grafana",
    version="13.2.0",
    binary="grafana",
    # The image's own is a script, which would put arguments of its own around ours.
    entrypoint=("grafana",),
    client="wget",
)
# renovate: datasource=docker depName=prom/node-exporter
NODE_EXPORTER = Program(
    name="node-exporter",
    image="quay.io/prometheus/node-exporter",
    version="v1.12.1",
    binary="node_exporter",
    client="wget",
)
# renovate: datasource=docker depName=prom/blackbox-exporter
BLACKBOX_EXPORTER = Program(
    name="blackbox-exporter",
    image="quay.io/prometheus/blackbox-exporter",
    version="v0.28.0",
    binary="blackbox_exporter",
    client="wget",
)
# renovate: datasource=docker depName=prometheuscommunity/postgres-exporter
POSTGRES_EXPORTER = Program(
    name="postgres-exporter",
    image="quay.io/prometheuscommunity/postgres-exporter",
    version="v0.20.1",
    binary="postgres_exporter",
    client="wget",
)
# renovate: datasource=docker depName=oliver006/redis_exporter
REDIS_EXPORTER = Program(
    name="redis-exporter", image="docker.io/oliver006/redis_exporter", version="v1.89.0", binary="redis_exporter"
)
# 1.5.2 was retracted by its makers: never go back to it.
# renovate: datasource=docker depName=nginx/nginx-prometheus-exporter
NGINX_EXPORTER = Program(
    name="nginx-exporter", image="docker.io/nginx/nginx-prometheus-exporter", version="1.5.3", binary="nginx_exporter"
)
# renovate: datasource=docker depName=mher/flower
FLOWER = Program(name="flower", image="docker.io/mher/flower", version="2.0.1", binary="celery", client="wget")
# renovate: datasource=docker depName=prometheuscommunity/json-exporter
JSON_EXPORTER = Program(
    name="json-exporter",
    image="quay.io/prometheuscommunity/json-exporter",
    version="v0.7.0",
    binary="json_exporter",
    client="wget",
)
# Its tags have no v. It is root, since the engine's socket is root's.
# renovate: datasource=docker depName=ghcr.io/google/cadvisor
CADVISOR = Program(
    name="cadvisor", image="ghcr.io/google/cadvisor", version="0.60.6", binary="cadvisor", user=0, client="wget"
)
# renovate: datasource=docker depName=registry.k8s.io/kube-state-metrics/kube-state-metrics
KUBE_STATE_METRICS = Program(
    name="kube-state-metrics",
    image="registry.k8s.io/kube-state-metrics/kube-state-metrics",
    version="v2.20.0",
    binary="kube-state-metrics",
)
# What fills volumes before a program starts, on Docker (docs/docker.md).
# renovate: datasource=docker depName=busybox
PREPARE = Program(name="busybox", image="docker.io/library/busybox", version="1.37.0", binary="sh", user=0)
INBOX = Program(name="inbox", image="", version="1", binary="python")
# renovate: datasource=docker depName=glitchtip/glitchtip
GLITCHTIP = Program(
    name="glitchtip",
    image="docker.io/glitchtip/glitchtip",
    version="6.2.6",
    binary="glitchtip",
    # A script of ours reads the secrets of files, which the image's own takes from the environment alone.
    entrypoint=("sh",),
    user=5000,
)
# renovate: datasource=docker depName=library/postgres
GLITCHTIP_POSTGRES = Program(
    name="glitchtip-postgres",
    image="docker.io/library/postgres",
    # With Debian's release in the tag: another one sorts texts in another order, and indexes of texts would be wrong.
    version="18.6-trixie",
    binary="postgres",
    entrypoint=("sh",),
    user=999,
)
# renovate: datasource=docker depName=valkey/valkey
GLITCHTIP_REDIS = Program(
    name="glitchtip-redis", image="docker.io/valkey/valkey", version="9.1.2", binary="valkey-server", user=999
)
# renovate: datasource=docker depName=docker.elastic.co/elasticsearch/elasticsearch
ELASTICSEARCH = Program(
    name="elasticsearch",
    image="docker.elastic.co/elasticsearch/elasticsearch",
    version="9.5.1",
    binary="elasticsearch",
    # A script of ours makes a configuration directory that can be written; the image's own needs one in the image.
    entrypoint=("/bin/tini", "--", "bash"),
    user=1000,
    client="curl",
)
# renovate: datasource=docker depName=docker.elastic.co/logstash/logstash
LOGSTASH = Program(
    name="logstash",
    image="docker.elastic.co/logstash/logstash",
    version="9.5.1",
    binary="logstash",
    # A script of ours reads the password of a file; the image's own writes to its configuration.
    entrypoint=("bash",),
    user=1000,
    client="curl",
)
# renovate: datasource=docker depName=docker.elastic.co/kibana/kibana
KIBANA = Program(
    name="kibana",
    image="docker.elastic.co/kibana/kibana",
    version="9.5.1",
    binary="kibana",
    # The image's own would put arguments of its own before ours.
    entrypoint=("/bin/tini", "--", "/usr/share/kibana/bin/kibana"),
    user=1000,
    client="curl",
)
# renovate: datasource=docker depName=docker.elastic.co/apm/apm-server
APM_SERVER = Program(
    name="apm-server",
    image="docker.elastic.co/apm/apm-server",
    version="9.5.1",
    binary="apm-server",
    entrypoint=("/usr/share/apm-server/apm-server",),
    user=1000,
)
# renovate: datasource=docker depName=prometheuscommunity/elasticsearch-exporter
ELASTICSEARCH_EXPORTER = Program(
    name="elasticsearch-exporter",
    image="quay.io/prometheuscommunity/elasticsearch-exporter",
    version="v1.11.0",
    binary="elasticsearch_exporter",
    # A script of ours reads the password of a file.
    entrypoint=("sh",),
    client="wget",
)
