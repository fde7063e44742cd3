"""Prometheus: scrapes, stores and evaluates; how many of it, and what they send elsewhere."""

from collections.abc import Sequence
from typing import Any

from specs import (
    alertmanager,
    console,
    discovery,
    links,
    prometheus_alerts,
    remote_write,
    scrape_limits,
    sizing,
    thanos,
)
from specs.model import size_bytes
from specs.monitoring import RuleGroup, ScrapeJob, rule_files, to_yaml
from specs.part import Context, Monitoring
from specs.programs import PROMETHEUS
from specs.prometheus_alerts import APPLICATIONS, NAME
from specs.workload import (
    CONFIG,
    DATA,
    REGISTRY,
    ApiAccess,
    Check,
    Extra,
    Identity,
    Outward,
    Port,
    Probe,
    Registry,
    Reload,
    Resources,
    Volume,
    Workload,
)

__all__ = [
    "APPLICATIONS",
    "NAME",
    "PORT",
    "configuration",
    "monitoring",
    "query_address",
    "query_url",
    "receivers",
    "settings_volume",
    "shards",
    "workload",
    "workloads",
]

PORT = 9090
_WHOLE = frozenset({NAME, alertmanager.NAME, *thanos.JOBS})
"""Jobs that the first shard scrapes alone: what the rules are about that each Prometheus evaluates itself."""


def shards(context: Context) -> tuple[str, ...]:
    """Names of the workloads, one for each part of the targets; the first takes what is pushed."""
    return (NAME, *(f"{NAME}-shard-{number}" for number in range(1, context.scale.shards)))


def query_address(context: Context) -> tuple[str, int]:
    """Workload and port of what answers queries over every replica and shard."""
    return (NAME, PORT) if context.settings.thanos is None else (thanos.FRONTEND, thanos.HTTP_PORT)


def query_url(context: Context) -> str:
    """URL at which dashboards ask for metrics, wherever the history is kept."""
    remote = context.settings.remote_write
    if remote and remote.query_url:
        return remote.query_url.rstrip("/")
    return f"http://{context.addresses.dial(*query_address(context))}"


def receivers(context: Context) -> tuple[str, ...]:
    """`host:port` of everything that must be pushed each sample, since replicas tell each other nothing."""
    return thanos.each(context, NAME, PORT, context.scale.prometheus)


def monitoring(context: Context, jobs: Sequence[ScrapeJob]) -> Monitoring:
    """How Prometheus is watched, and Thanos, and through them everything that `jobs` scrape."""
    long_term = thanos.monitoring(context, shards(context))
    # A cluster may have no application that asks to be scraped.
    must = (job.name for job in (*jobs, *long_term.jobs) if not job.through and job.name != APPLICATIONS)
    names = sorted({*must, NAME})
    ruler = thanos.RULER if thanos.has_ruler(context) else ""
    fleeting = [job.name for job in jobs if job.fleeting]
    return Monitoring(
        jobs=(thanos.pods_of(context, NAME, shards(context), PORT), *long_term.jobs),
        groups=(
            *prometheus_alerts.groups(names, fleeting, ruler=ruler, rolled=context.on_cluster),
            scrape_limits.GROUP,
            *remote_write.groups(context),
            *long_term.groups,
        ),
    )


def _divided(job: ScrapeJob, spec: dict[str, Any], shard: int, of: int) -> dict[str, Any]:
    """`spec` with those of the job's targets that fall to a shard."""
    # Where another program probes, all targets have its address.
    address = "__param_target" if job.through else "__address__"
    steps = [
        {"source_labels": [address], "modulus": of, "target_label": "__tmp_shard", "action": "hashmod"},
        {"source_labels": ["__tmp_shard"], "regex": str(shard), "action": "keep"},
    ]
    return {**spec, "relabel_configs": [*spec.get("relabel_configs", []), *steps]}


def _scrapes(context: Context, jobs: Sequence[ScrapeJob], shard: int) -> list[dict[str, Any]]:
    number = context.scale.shards
    found: list[dict[str, Any]] = []
    for job in jobs:
        whole = number == 1 or job.name in _WHOLE
        if shard == 0 or not whole:
            found.append(_scrape(job) if whole else _divided(job, _scrape(job), shard, number))
    return found


def _scrape(job: ScrapeJob) -> dict[str, Any]:
    spec: dict[str, Any] = {"job_name": job.name}
    if job.interval:
        spec["scrape_interval"] = job.interval
    if job.timeout:
        spec["scrape_timeout"] = job.timeout
    spec["metrics_path"] = job.path
    if job.discovery:
        return spec | discovery.scrape(job)
    spec["static_configs"] = [{"targets": [target.address], "labels": dict(target.labels)} for target in job.targets]
    if job.through:
        spec["relabel_configs"] = [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": job.through},
        ]
    return spec


def _external_labels(context: Context, shard: int) -> dict[str, str]:
    """What samples carry that leave this Prometheus. Thanos puts them on every series, in the place of labels of the
    same name, and takes all but the cluster away again from what it answers."""
    settings = context.settings
    if settings.thanos is not None:
        return thanos.external_labels(context, "${POD_NAME}", str(shard) if context.scale.shards > 1 else "")
    replica = {thanos.REPLICA: "${POD_NAME}"} if context.scale.prometheus > 1 else {}
    return {"cluster": settings.cluster, "environment": settings.environment, **replica}


def _alerting(context: Context) -> dict[str, Any]:
    managers = thanos.each(context, alertmanager.NAME, alertmanager.PORT, context.scale.alertmanager)
    relabel = thanos.alert_relabelling(context)
    return {
        **({"alert_relabel_configs": relabel} if relabel else {}),
        "alertmanagers": [{"static_configs": [{"targets": list(managers)}]}],
    }


def configuration(context: Context, jobs: Sequence[ScrapeJob], shard: int = 0) -> dict[str, Any]:
    """`prometheus.yml` of a shard as a value."""
    settings = context.settings
    scrapes = _scrapes(context, jobs, shard)
    if not context.on_cluster:
        scrapes.append(
            {
                "job_name": APPLICATIONS,
                "file_sd_configs": [{"files": [f"{REGISTRY}/scrape/*.json"], "refresh_interval": "1m"}],
                # Every sample belongs to a system and an environment, also where an application forgot to say so.
                "relabel_configs": [
                    {
                        "source_labels": ["environment"],
                        "regex": "",
                        "target_label": "environment",
                        "replacement": settings.environment,
                    },
                    {"source_labels": ["app"], "regex": "", "target_label": "app", "replacement": "unregistered"},
                ],
            }
        )
    size = sizing.metrics_size(context)
    return {
        "global": {
            "scrape_interval": settings.scrape_interval,
            "evaluation_interval": settings.evaluation_interval,
            "external_labels": _external_labels(context, shard),
            **scrape_limits.spec(context),
        },
        "rule_files": ["rules/*.yml"],
        "alerting": _alerting(context),
        "otlp": {
            # What tells series of systems apart must be a label; everything else stays in target_info.
            "promote_resource_attributes": [
                "app",
                "environment",
                "service.name",
                "service.namespace",
                "service.version",
            ],
            "keep_identifying_resource_attributes": True,
            "translation_strategy": "UnderscoreEscapingWithSuffixes",
        },
        "storage": {
            # The collector retries, so points may come late.
            "tsdb": {
                "out_of_order_time_window": "10m",
                "retention": {
                    "time": settings.retention.metrics,
                    **({"size": f"{size // 2**20}MB"} if size else {}),
                },
            },
            "exemplars": {"max_exemplars": 100000},
        },
        "scrape_configs": scrapes,
        **remote_write.spec(context),
    }


def workloads(
    context: Context, jobs: Sequence[ScrapeJob], groups: Sequence[RuleGroup], *, runbooks: str, dashboards: str
) -> tuple[Workload, ...]:
    """Prometheus with every job and rule of the stack, one workload for each shard, and Thanos where it is asked for.

    Where Thanos has a ruler, that evaluates the rules, except those about Thanos itself: these are evaluated by the
    first shard, which scrapes what they are about.
    """
    own: tuple[RuleGroup, ...] = tuple(groups)
    others: tuple[RuleGroup, ...] = ()
    if thanos.has_ruler(context):
        own = tuple(group for group in groups if group.name == thanos.GROUP)
        others = tuple(group for group in groups if group.name != thanos.GROUP)
    made = [
        workload(context, jobs, () if shard else own, runbooks=runbooks, dashboards=dashboards, shard=shard)
        for shard in range(context.scale.shards)
    ]
    return (*made, *thanos.parts(context, shards(context), others, runbooks=runbooks, dashboards=dashboards))


def workload(  # noqa: PLR0913 - what a Prometheus is made of
    context: Context,
    jobs: Sequence[ScrapeJob],
    groups: Sequence[RuleGroup],
    *,
    runbooks: str,
    dashboards: str,
    shard: int = 0,
) -> Workload:
    """The Prometheus of one shard, with the rules of `groups`."""
    name = shards(context)[shard]
    files = {"prometheus.yml": to_yaml(configuration(context, jobs, shard)), "consoles/index.html": console.PAGE}
    for path, text in rule_files(groups, runbooks=runbooks, dashboards=dashboards).items():
        files[f"rules/{path}"] = text
    uploads = context.settings.thanos is not None
    asks = discovery.asks_for(tuple(jobs))
    named = context.scale.prometheus > 1 or uploads
    extras: tuple[Extra, ...] = (
        Registry(),
        Outward(),
        *([ApiAccess(asks)] if asks else []),
        *([Identity()] if named else []),
    )
    return Workload(
        name=name,
        program=context.program(PROMETHEUS),
        summary="scrapes, stores and evaluates metrics",
        ports=(Port(name="http", number=PORT, published=True),),
        args=(
            f"--config.file={CONFIG}/prometheus.yml",
            f"--storage.tsdb.path={DATA}",
            f"--web.listen-address={context.addresses.listen(PORT)}",
            f"--web.external-url={links.public_url(context, name) or 'http://' + context.addresses.outside(name, PORT)}",
            f"--web.console.templates={CONFIG}/consoles",
            "--web.enable-lifecycle",
            "--web.enable-otlp-receiver",
            "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage",
            # A block is joined with others once it is in object storage: the sidecar takes none that is joined.
            *([f"--storage.tsdb.delay-compact-file.path={thanos.UPLOADED}"] if uploads else []),
        ),
        files=files,
        secrets=remote_write.login(context),
        # On a cluster who starts too slowly is killed, and reads its log of new samples from the beginning again.
        probe=Probe(port="http", path="/-/ready", start_seconds=1800 if context.on_cluster else 300),
        checks=(Check(("promtool", "check", "config", "prometheus.yml")),),
        reload=Reload(
            port="http",
            metric="prometheus_config_last_reload_successful",
            timestamp_metric="prometheus_config_last_reload_success_timestamp_seconds",
        ),
        resources=Resources(memory="1Gi", cpu="250m"),
        volume=Volume(settings_volume(context)),
        extras=extras,
        replicas=context.scale.prometheus,
        sticky=True,
        peers=("http",) if named else (),
        beside=(thanos.sidecar(context, PORT),) if uploads else (),
        # Built from its Go module it has no pages but this one.
        page="/consoles/index.html" if context.on_one_machine else "/targets",
    )


def settings_volume(context: Context) -> str:
    """Size of the data volume: a quarter more than the blocks may take, for the WAL and compactions."""
    size = context.settings.retention.metrics_size
    return "20Gi" if size is None else f"{-(-size_bytes(size) * 5 // 4 // 2**20)}Mi"
