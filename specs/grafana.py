"""Grafana: shows everything. Datasources and, on a process stack, dashboards are files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from specs import alertmanager, jaeger, loki, prometheus
from specs.monitoring import Alert, RuleGroup, to_yaml
from specs.part import Context, Monitoring
from specs.programs import GRAFANA
from specs.settings import Severity
from specs.workload import CONFIG, DATA, Port, Probe, Resources, SecretRef, Volume, Workload

NAME = "grafana"
PORT = 3000
HOME = "observability/home.json"
"""Dashboard that people see first."""
ADMIN_PASSWORD = "grafana-admin-password"  # noqa: S105 - the name of a secret


def monitoring(context: Context) -> Monitoring:
    """How Grafana is watched."""
    return Monitoring(
        jobs=(context.job(NAME, PORT),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="GrafanaRequestsFailing",
                        expr="""
sum by (app, environment, service, instance) (rate(grafana_http_request_duration_seconds_count{status_code=~"5.."}[5m]))
/ (sum by (app, environment, service, instance) (rate(grafana_http_request_duration_seconds_count[5m])) > 0)
> $threshold""",
                        threshold=0.1,
                        for_="10m",
                        severity=Severity.WARNING,
                        summary="Grafana answers with errors",
                        description="{{ $value | humanizePercentage }} of the requests fail (limit $threshold).",
                        action="Read Grafana's log; its database and the datasources come first.",
                    ),
                    Alert(
                        name="GrafanaRequestsSlow",
                        expr="""
histogram_quantile(0.95, sum by (app, environment, service, instance, le) (rate(grafana_http_request_duration_seconds_bucket[10m]))) > $threshold
and sum by (app, environment, service, instance) (rate(grafana_http_request_duration_seconds_count[10m])) > 0.1""",
                        threshold=5,
                        for_="15m",
                        severity=Severity.WARNING,
                        summary="Grafana is slow",
                        description="The 95th percentile of its answers takes {{ $value | humanizeDuration }} (limit $threshold s).",
                        action="See which datasource takes the time (grafana_datasource_request_duration_seconds), and which dashboard asks it for so much.",
                    ),
                    Alert(
                        name="GrafanaDatasourceFailing",
                        expr="""
sum by (app, environment, service, instance, datasource) (rate(grafana_datasource_request_total{code=~"5.."}[5m]))
/ (sum by (app, environment, service, instance, datasource) (rate(grafana_datasource_request_total[5m])) > 0)
> $threshold""",
                        threshold=0.1,
                        for_="10m",
                        severity=Severity.WARNING,
                        summary="Grafana's datasource {{ $labels.datasource }} fails",
                        description="{{ $value | humanizePercentage }} of the queries to {{ $labels.datasource }} end in an error (limit $threshold).",
                        action="See whether what stands behind it is up, then which query it refuses (Grafana's log has both).",
                    ),
                ),
            ),
        ),
    )


def datasources(context: Context) -> dict[str, Any]:
    """Datasource provisioning: one default, stable uids, nothing editable, and the links between the signals."""
    dial = context.addresses.dial

    def source(name: str, kind: str, port: int, data: dict[str, Any], *, default: bool = False) -> dict[str, Any]:
        return {
            "name": name.capitalize(),
            "uid": name,
            "type": kind,
            "access": "proxy",
            "url": f"http://{dial(name, port)}",
            "isDefault": default,
            "editable": False,
            "jsonData": data,
        }

    return {
        "apiVersion": 1,
        "prune": True,
        "datasources": [
            source(
                prometheus.NAME,
                "prometheus",
                prometheus.PORT,
                {
                    "httpMethod": "POST",
                    "timeInterval": context.settings.scrape_interval,
                    "exemplarTraceIdDestinations": [{"name": "trace_id", "datasourceUid": jaeger.NAME}],
                },
                default=True,
            ),
            source(
                loki.NAME,
                "loki",
                loki.PORT,
                {
                    "derivedFields": [
                        {
                            "name": "trace",
                            "matcherType": "label",
                            "matcherRegex": "trace_id",
                            # Grafana replaces ${…} of provisioning files with environment variables; $$ is a dollar.
                            "url": "$${__value.raw}",
                            "urlDisplayLabel": "Trace",
                            "datasourceUid": jaeger.NAME,
                        },
                        {
                            "name": "request",
                            "matcherType": "label",
                            "matcherRegex": "request_id",
                            "url": '{app=~".+"} | request_id=`$${__value.raw}`',
                            "urlDisplayLabel": "All lines of the request",
                            "datasourceUid": loki.NAME,
                        },
                    ]
                },
            ),
            source(
                jaeger.NAME,
                "jaeger",
                jaeger.UI,
                {
                    "tracesToLogsV2": {
                        "datasourceUid": loki.NAME,
                        "spanStartTimeShift": "-5m",
                        "spanEndTimeShift": "5m",
                        # The collector gives every span the app that it is of.
                        "tags": [{"key": "app", "value": "app"}],
                        "customQuery": True,
                        "query": "{$${__tags}} | trace_id=`$${__trace.traceId}`",
                    },
                    "tracesToMetrics": {
                        "datasourceUid": prometheus.NAME,
                        "spanStartTimeShift": "-15m",
                        "spanEndTimeShift": "15m",
                        "tags": [{"key": "app", "value": "app"}, {"key": "service.name", "value": "service_name"}],
                        "queries": [
                            {"name": "Calls", "query": "sum(rate(traces_span_metrics_calls_total{$$__tags}[5m]))"},
                            {
                                "name": "Duration (p95)",
                                "query": "histogram_quantile(0.95, sum by (le)"
                                " (rate(traces_span_metrics_duration_seconds_bucket{$$__tags}[5m])))",
                            },
                        ],
                    },
                    "nodeGraph": {"enabled": True},
                },
            ),
            source(alertmanager.NAME, "alertmanager", alertmanager.PORT, {"implementation": "prometheus"}),
        ],
    }


def workload(context: Context, dashboards: Mapping[str, Mapping[str, Any]]) -> Workload:
    """Grafana with datasources and `dashboards` (path below its folder → JSON) as files."""
    config, data = (CONFIG, DATA) if context.on_one_machine else ("/workload/config", "/workload/data")
    folders: Sequence[str] = sorted({path.split("/")[0] for path in dashboards})
    files = {
        "provisioning/datasources/stack.yml": to_yaml(datasources(context)),
        "provisioning/dashboards/stack.yml": to_yaml(
            {
                "apiVersion": 1,
                "providers": [
                    {
                        "name": folder,
                        "folder": folder,
                        "type": "file",
                        "disableDeletion": True,
                        "allowUiUpdates": False,
                        "options": {"path": f"{config}/dashboards/{folder}"},
                    }
                    for folder in folders
                ],
            }
        ),
    }
    for path, dashboard in dashboards.items():
        files[f"dashboards/{path}"] = json.dumps(dashboard, indent=1, sort_keys=True) + "\n"
    return Workload(
        name=NAME,
        program=replace(context.program(GRAFANA), binary="python" if context.on_one_machine else GRAFANA.binary),
        summary="shows metrics, logs, traces and alerts",
        ports=(Port(name="http", number=PORT, published=True),),
        # Grafana makes paths absolute from its installation, not from its working directory.
        args=("-m", "tools.grafana") if context.on_one_machine else ("server", "--homepath=/usr/share/grafana"),
        environment={
            "GF_SERVER_HTTP_ADDR": context.addresses.host(),
            "GF_SERVER_HTTP_PORT": str(context.addresses.port(PORT)),
            "GF_SERVER_ROOT_URL": f"http://{context.addresses.outside(NAME, PORT)}/",
            "GF_PATHS_DATA": data,
            "GF_PATHS_PLUGINS": f"{data}/plugins",
            "GF_PATHS_PROVISIONING": f"{config}/provisioning",
            "GF_SECURITY_ADMIN_PASSWORD": f"$__file{{{config}/secrets/admin-password}}",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_AUTH_ANONYMOUS_ENABLED": "false",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{config}/dashboards/{HOME}",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_LOG_LEVEL": "warn",
        },
        files=files,
        secrets={"secrets/admin-password": SecretRef(ADMIN_PASSWORD, generated=True)},
        probe=Probe(port="http", path="/api/health", start_seconds=120),
        resources=Resources(memory="512Mi", cpu="100m"),
        volume=Volume("5Gi"),
    )
