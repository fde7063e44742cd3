"""Grafana: shows everything. What is in it is described once, for the files it reads and for its provider alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from specs import grafana_server, links
from specs.datasources import Datasource, datasources, provisioned
from specs.monitoring import Alert, RuleGroup, to_json, to_yaml
from specs.part import Context, Monitoring
from specs.programs import GRAFANA
from specs.settings import Delivery, RuntimeKind, Settings, Severity
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
        **{f"dashboards/{path}": to_json(board) for path, board in dashboards.items()},
    }
