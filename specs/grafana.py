"""Grafana: shows everything. What is in it is described once, for the files it reads and for its provider alike."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict, cast

from specs import alertmanager, elk, grafana_server, jaeger, links, loki, prometheus
from specs.model import SettingsError
from specs.monitoring import Alert, RuleGroup, to_yaml
from specs.part import Context, Monitoring
from specs.programs import GRAFANA
from specs.settings import KEY, Delivery, RuntimeKind, Settings, Severity
from specs.system import System
from specs.workload import CONFIG, DATA, Port, Probe, Resources, SecretRef, Volume, Workload

NAME = "grafana"
PORT = 3000
HOME = "observability/home.json"
"""Dashboard that people see first."""
ADMIN = "admin"
ADMIN_PASSWORD = "grafana-admin-password"  # noqa: S105 - the name of a secret
DEPLOYMENTS = "deployments"
"""Service account that application deploys post annotations with."""
START_SECONDS = 120
"""How long a first start may take: it makes the database."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder of dashboards. Its title is its uid."""

    uid: str
    owner: str = ""
    """Team that may edit what is in it; empty: those who may edit anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What Grafana's provider makes in a Grafana."""

    url: str
    """Where the provider dials it, known before anything is deployed."""
    login: SecretRef
    """The administrator's password of our own, the token of one elsewhere."""
    elsewhere: bool
    """Whether it exists without this stack, and others use it too."""
    folders: tuple[Folder, ...]
    dashboards: Mapping[str, Mapping[str, Any]]
    """`<folder>/<uid>.json` → dashboard."""
    datasources: tuple[Datasource, ...]
    """None for our own, which reads them from a file."""

    def secrets(self) -> tuple[SecretRef, ...]:
        """Every secret that the provider needs."""
        return (self.login, *(ref for source in self.datasources for ref in source.secrets.values()))


def delivery(settings: Settings) -> Delivery:
    """How dashboards reach Grafana."""
    if settings.grafana.delivery is not None:
        return settings.grafana.delivery
    remote = settings.grafana.url is not None
    return Delivery.PROVIDER if remote or settings.runtime is RuntimeKind.DOCKER else Delivery.FILES


def address(context: Context) -> str:
    """The URL that people and the provider open, without a slash at its end."""
    elsewhere = context.settings.grafana.url or links.public_url(context, NAME)
    return (elsewhere or f"http://{context.addresses.outside(NAME, PORT)}").rstrip("/")


def _login(context: Context) -> SecretRef:
    if context.settings.grafana.token is not None:
        return context.settings.grafana.token.ref
    # A process stack makes passwords up in files, which no provider sees: there it has to be told one.
    made_up = not (context.on_one_machine and delivery(context.settings) is Delivery.PROVIDER)
    return SecretRef(ADMIN_PASSWORD, generated=made_up)


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


def folders(dashboards: Iterable[str], systems: Iterable[System]) -> tuple[Folder, ...]:
    """The folders of `dashboards` (paths), each system's with its owner."""
    owners = {each.name: each.profile.owner for each in systems}
    return tuple(
        Folder(uid=uid, owner=owners.get(uid, "")) for uid in sorted({path.split("/")[0] for path in dashboards})
    )


def content(context: Context, dashboards: Mapping[str, Mapping[str, Any]], systems: Iterable[System]) -> Content | None:
    """What the provider makes; None where Grafana reads files.

    Raises SettingsError as `datasources` does.
    """
    settings = context.settings.grafana
    if delivery(context.settings) is Delivery.FILES:
        return None
    return Content(
        url=address(context),
        login=_login(context),
        elsewhere=settings.url is not None,
        folders=folders(dashboards, systems if settings.teams else ()),
        dashboards=dashboards,
        datasources=datasources(context) if settings.url is not None else (),
    )


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


def workload(context: Context, dashboards: Mapping[str, Mapping[str, Any]]) -> Workload:
    """Grafana with datasources as files, and `dashboards` (path below its folder → JSON) where they are files too."""
    config, data = (CONFIG, DATA) if context.on_one_machine else ("/workload/config", "/workload/data")
    sources = datasources(context)
    secrets = {"secrets/admin-password": _login(context)}
    secrets |= {f"secrets/{source.uid}-{kind}": ref for source in sources for kind, ref in source.secrets.items()}
    secrets |= grafana_server.secrets(context)
    paths = {ref.key: f"{config}/{path}" for path, ref in secrets.items()}
    files = {"provisioning/datasources/stack.yml": to_yaml(provisioned(sources, paths))}
    of_files = delivery(context.settings) is Delivery.FILES
    # Grafana reports directories that are not there as errors, at each start.
    unused = ("alerting", "plugins") if of_files else ("alerting", "dashboards", "plugins")
    files |= {f"provisioning/{kind}/none.yml": to_yaml({"apiVersion": 1}) for kind in unused}
    if of_files:
        files |= _dashboard_files(f"{config}/dashboards", dashboards)
    program = context.program(GRAFANA)
    return Workload(
        name=NAME,
        program=replace(program, binary="python", behind=GRAFANA.binary)
        if context.on_one_machine
        else replace(program, entrypoint=("sh", "-c", grafana_server.start(context), NAME)),
        summary="shows metrics, logs, traces and alerts",
        ports=(Port(name="http", number=PORT, published=True),),
        # Grafana makes paths absolute from its installation, not from its working directory.
        args=("-m", "tools.grafana") if context.on_one_machine else ("server", "--homepath=/usr/share/grafana"),
        environment={
            "GF_SERVER_HTTP_ADDR": context.addresses.host(),
            "GF_SERVER_HTTP_PORT": str(context.addresses.port(PORT)),
            "GF_SERVER_ROOT_URL": f"{address(context)}/",
            "GF_PATHS_DATA": data,
            "GF_PATHS_LOGS": f"{data}/log",
            "GF_PATHS_PLUGINS": f"{data}/plugins",
            "GF_PATHS_PROVISIONING": f"{config}/provisioning",
            "GF_SECURITY_ADMIN_USER": ADMIN,
            "GF_SECURITY_ADMIN_PASSWORD": f"$__file{{{config}/secrets/admin-password}}",
            "GF_SECURITY_DISABLE_GRAVATAR": "true",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_AUTH_ANONYMOUS_ENABLED": "false",
            **({"GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{config}/dashboards/{HOME}"} if of_files else {}),
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
            "GF_NEWS_NEWS_FEED_ENABLED": "false",
            "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
            # Grafana installs and updates plugins of its makers by itself otherwise; ours come with it.
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            "GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false",
            "GF_LOG_MODE": "console",
            "GF_LOG_LEVEL": "warn",
            **grafana_server.environment(context, f"{config}/secrets"),
        },
        files=files,
        secrets=secrets,
        probe=Probe(port="http", path="/api/health", start_seconds=START_SECONDS),
        resources=Resources(memory="512Mi", cpu="100m"),
        volume=None if context.settings.grafana.database else Volume("5Gi"),
        replicas=context.scale.grafana,
    )


def _dashboard_files(directory: str, dashboards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Dashboards and what says where they are, by path; `directory` is where Grafana sees them."""
    providers = [
        {
            "name": folder.uid,
            "folder": folder.uid,
            "folderUid": folder.uid,
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "options": {"path": f"{directory}/{folder.uid}"},
        }
        for folder in folders(dashboards, ())
    ]
    return {
        "provisioning/dashboards/stack.yml": to_yaml({"apiVersion": 1, "providers": providers}),
        **{
            f"dashboards/{path}": json.dumps(board, indent=1, sort_keys=True) + "\n"
            for path, board in dashboards.items()
        },
    }
