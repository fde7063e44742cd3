"""Where Grafana asks for each signal, and the links between the signals."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

from specs import alertmanager, elk, jaeger, loki, prometheus
from specs.model import SettingsError
from specs.part import Context
from specs.settings import KEY
from specs.workload import SecretRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Datasource:
    """Where Grafana asks for a signal."""

    uid: str
    kind: str
    """Grafana's type."""
    url: str
    """As Grafana's server reaches it."""
    settings: Mapping[str, Any]
    """Grafana's `jsonData`."""
    default: bool = False
    user: str = ""
    """Login by basic authentication; empty: none."""
    password: SecretRef | None = None
    token: SecretRef | None = None
    """Login by bearer token; None: none."""
    tenant: str = ""
    """Whose data are asked for, where a store has several tenants."""

    @property
    def name(self) -> str:
        """What people see."""
        return self.uid.capitalize()

    @property
    def secrets(self) -> Mapping[str, SecretRef]:
        """What it logs in with, by kind."""
        found = {"password": self.password, "token": self.token}
        return {kind: ref for kind, ref in found.items() if ref}

    def headers(self, token: str | None) -> Mapping[str, str]:
        """Headers of each request; `token` is the token, or what stands for it."""
        return {
            **({"X-Scope-OrgID": self.tenant} if self.tenant else {}),
            **({"Authorization": f"Bearer {token}"} if token is not None else {}),
        }


_RULES = {"manageAlerts": True, "alertmanagerUid": alertmanager.NAME}
"""Grafana lists the rules that stand there, and silences what they fire in Alertmanager."""


def datasources(context: Context) -> tuple[Datasource, ...]:
    """Every datasource of the stack: one default, stable uids, and the links between the signals.

    Raises SettingsError naming file and key for an address of a datasource that there is none of.
    """
    elsewhere = context.settings.grafana

    def reach(name: str, port: int, part: str = "") -> str:
        """URL of the datasource `name`, which asks the workload `part`, by default the one of its name."""
        if elsewhere.url is None:
            return f"http://{context.addresses.dial(part or name, port)}"
        return elsewhere.datasources.get(name) or f"http://{context.addresses.outside(part or name, port)}"

    found = (
        Datasource(
            uid=prometheus.NAME,
            kind="prometheus",
            **_of_metrics(context, reach),
            settings={
                "httpMethod": "POST",
                "timeInterval": context.settings.scrape_interval,
                "exemplarTraceIdDestinations": [{"name": "trace_id", "datasourceUid": jaeger.NAME}],
                **_RULES,
            },
            default=True,
        ),
        Datasource(
            uid=loki.NAME,
            kind="loki",
            url=reach(loki.NAME, loki.query_address(context)[1], loki.query_address(context)[0]),
            settings={
                "derivedFields": [
                    {
                        "name": "trace",
                        "matcherType": "label",
                        "matcherRegex": "trace_id",
                        "url": "${__value.raw}",
                        "urlDisplayLabel": "Trace",
                        "datasourceUid": jaeger.NAME,
                    },
                    {
                        "name": "request",
                        "matcherType": "label",
                        "matcherRegex": "request_id",
                        "url": '{app=~".+"} | request_id=`${__value.raw}`',
                        "urlDisplayLabel": "All lines of the request",
                        "datasourceUid": loki.NAME,
                    },
                ],
                **_RULES,
            },
        ),
        Datasource(
            uid=jaeger.NAME,
            kind="jaeger",
            url=reach(jaeger.NAME, jaeger.UI),
            settings={
                "tracesToLogsV2": _traces_to_logs(context),
                "tracesToMetrics": {
                    "datasourceUid": prometheus.NAME,
                    "spanStartTimeShift": "-15m",
                    "spanEndTimeShift": "15m",
                    "tags": [{"key": "app", "value": "app"}, {"key": "service.name", "value": "service_name"}],
                    "queries": [
                        {"name": "Calls", "query": "sum(rate(traces_span_metrics_calls_total{$__tags}[5m]))"},
                        {
                            "name": "Duration (p95)",
                            "query": "histogram_quantile(0.95, sum by (le)"
                            " (rate(traces_span_metrics_duration_seconds_bucket{$__tags}[5m])))",
                        },
                    ],
                },
                "nodeGraph": {"enabled": True},
            },
        ),
        Datasource(
            uid=alertmanager.NAME,
            kind="alertmanager",
            url=reach(alertmanager.NAME, alertmanager.PORT),
            settings={"implementation": "prometheus"},
        ),
        *_elasticsearch(context, reach),
    )
    known = [source.uid for source in found]
    for name in elsewhere.datasources:
        if name not in known:
            raise SettingsError(
                f"{context.file}: {KEY}.grafana.datasources.{name}: unknown datasource (accepted: {', '.join(known)})"
            )
    return found


class _Metrics(TypedDict):
    """Where metrics are asked for, and by whom."""

    url: str
    user: NotRequired[str]
    password: NotRequired[SecretRef | None]
    token: NotRequired[SecretRef | None]
    tenant: NotRequired[str]


def _of_metrics(context: Context, reach: Callable[[str, int, str], str]) -> _Metrics:
    """The stack's own, or wherever samples are sent to that also answers questions."""
    part, port = prometheus.query_address(context)
    remote, elsewhere = context.settings.remote_write, context.settings.grafana
    if remote is None or remote.query_url is None or prometheus.NAME in elsewhere.datasources:
        return {"url": reach(prometheus.NAME, port, part)}
    return {
        "url": remote.query_url.rstrip("/"),
        "user": remote.username or "",
        "password": remote.password.ref if remote.password else None,
        "token": remote.token.ref if remote.token else None,
        "tenant": remote.tenant or "",
    }


def provisioned(sources: Iterable[Datasource], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The datasources as the file that Grafana reads: nothing editable. `secrets`: path of each password's file, by key."""

    def entry(source: Datasource) -> dict[str, Any]:
        login: dict[str, Any] = {"basicAuth": True, "basicAuthUser": source.user} if source.user else {}
        read = {kind: f"$__file{{{secrets[ref.key]}}}" for kind, ref in source.secrets.items()}
        headers = source.headers(read.get("token"))
        named = {f"httpHeaderName{index}": name for index, name in enumerate(headers, 1)}
        hidden = {
            **({"basicAuthPassword": read["password"]} if source.password else {}),
            **{f"httpHeaderValue{index}": value for index, value in enumerate(headers.values(), 1)},
        }
        if hidden:
            login["secureJsonData"] = hidden
        return {
            "name": source.name,
            "uid": source.uid,
            "type": source.kind,
            "access": "proxy",
            "url": source.url,
            "isDefault": source.default,
            "editable": False,
            "jsonData": _escaped({**source.settings, **named}),
            **login,
        }

    return {"apiVersion": 1, "prune": True, "datasources": [entry(source) for source in sources]}


def _escaped(value: object) -> Any:
    # Grafana replaces ${…} of provisioning files with environment variables; $$ is a dollar.
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list):
        return [_escaped(item) for item in cast("list[object]", value)]
    return value


def _elasticsearch(context: Context, reach: Callable[[str, int], str]) -> tuple[Datasource, ...]:
    """Log lines in Elasticsearch, where the stack has one."""
    if context.settings.elk is None:
        return ()
    return (
        Datasource(
            uid=elk.ELASTICSEARCH,
            kind="elasticsearch",
            url=reach(elk.ELASTICSEARCH, elk.ELASTICSEARCH_PORT),
            settings={
                "index": elk.INDICES,
                "timeField": "@timestamp",
                "logMessageField": "message",
                "logLevelField": "level",
                "dataLinks": [
                    {
                        "field": "trace_id",
                        "url": "${__value.raw}",
                        "urlDisplayLabel": "Trace",
                        "datasourceUid": jaeger.NAME,
                    }
                ],
            },
            user=elk.READER,
            password=elk.READER_PASSWORD,
        ),
    )


def _traces_to_logs(context: Context) -> dict[str, Any]:
    """From a span to its log lines, in Loki unless Elasticsearch has them instead."""
    in_elasticsearch = context.settings.elk is not None and context.settings.elk.logs == "instead"
    return {
        "datasourceUid": elk.ELASTICSEARCH if in_elasticsearch else loki.NAME,
        "spanStartTimeShift": "-5m",
        "spanEndTimeShift": "5m",
        # The collector gives every span the app that it is of.
        "tags": [{"key": "app", "value": "app"}],
        "customQuery": True,
        "query": 'trace_id:"${__trace.traceId}"' if in_elasticsearch else "{${__tags}} | trace_id=`${__trace.traceId}`",
    }
