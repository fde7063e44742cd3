"""Each program's image, version and executable, once.

Image tags are what `dev` and `prod` pull. The process runtime executes what `tools.native` pins, which may be
another release of the same configuration form; a test holds the two to the same major version.
"""

from specs.workload import Program

# renovate: datasource=docker depName=prom/prometheus
PROMETHEUS = Program(name="prometheus", image="quay.io/prometheus/prometheus", version="v3.14.0", binary="prometheus")
# renovate: datasource=docker depName=prom/alertmanager
ALERTMANAGER = Program(
    name="alertmanager", image="quay.io/prometheus/alertmanager", version="v0.34.0", binary="alertmanager"
)
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
)
# renovate: datasource=docker depName=prom/node-exporter
NODE_EXPORTER = Program(
    name="node-exporter", image="quay.io/prometheus/node-exporter", version="v1.12.1", binary="node_exporter"
)
# renovate: datasource=docker depName=prom/blackbox-exporter
BLACKBOX_EXPORTER = Program(
    name="blackbox-exporter",
    image="quay.io/prometheus/blackbox-exporter",
    version="v0.28.0",
    binary="blackbox_exporter",
)
# renovate: datasource=docker depName=prometheuscommunity/postgres-exporter
POSTGRES_EXPORTER = Program(
    name="postgres-exporter",
    image="quay.io/prometheuscommunity/postgres-exporter",
    version="v0.20.1",
    binary="postgres_exporter",
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
FLOWER = Program(name="flower", image="docker.io/mher/flower", version="2.0.1", binary="celery")
# renovate: datasource=docker depName=prometheuscommunity/json-exporter
JSON_EXPORTER = Program(
    name="json-exporter", image="quay.io/prometheuscommunity/json-exporter", version="v0.7.0", binary="json_exporter"
)
INBOX = Program(name="inbox", image="", version="1", binary="python")
