"""Prometheus: scrapes, stores and evaluates."""

from collections.abc import Sequence
from typing import Any

from specs import alertmanager, console
from specs.model import size_bytes
from specs.monitoring import Alert, RuleGroup, ScrapeJob, rules_yaml, to_yaml
from specs.part import APP, Context, Monitoring
from specs.programs import PROMETHEUS
from specs.settings import RuntimeKind, Severity
from specs.workload import CONFIG, DATA, REGISTRY, Check, Port, Probe, Registry, Reload, Resources, Volume, Workload

NAME = "prometheus"
PORT = 9090
APPLICATIONS = "applications"
"""Scrape job of the targets that applications register themselves."""


def monitoring(context: Context, jobs: Sequence[ScrapeJob]) -> Monitoring:
    """How Prometheus is watched, and through it everything that `jobs` scrape."""
    names = sorted({*(job.name for job in jobs if not job.through), NAME})
    return Monitoring(
        jobs=(context.job(NAME, PORT),),
        groups=(
            RuleGroup(
                name="stack",
                alerts=(
                    Alert(
                        name=alertmanager.WATCHDOG,
                        expr="vector(1)",
                        severity=Severity.INFO,
                        app=APP,
                        service=NAME,
                        summary="Alerting works",
                        description="Always firing ({{ $value }}). When it stops arriving, Prometheus, Alertmanager or the way between them is broken.",
                        action="Nothing while it fires. When the dead man's switch misses it: look at Prometheus, then at Alertmanager, then at the network between.",
                    ),
                    Alert(
                        name="ServiceDown",
                        expr="up == 0",
                        for_="1m",
                        severity=Severity.CRITICAL,
                        summary="{{ $labels.job }} at {{ $labels.instance }} is down",
                        description="Prometheus could not scrape {{ $labels.instance }} of job {{ $labels.job }} for a minute (up is {{ $value }}).",
                        action="See whether the process runs and answers on the address named; its log tells why not. A target that is gone for good belongs out of its registration.",
                    ),
                    *(
                        Alert(
                            name="TargetMissing",
                            expr=f'absent(up{{job="{name}"}})',
                            for_="5m",
                            severity=Severity.CRITICAL,
                            app=APP,
                            service=name,
                            summary=f"Nothing of {name} is scraped any more",
                            description=f"No target of the job {name} has existed for 5 minutes (absent is {{{{ $value }}}}).",
                            action="The job vanished from Prometheus' configuration, or service discovery finds nothing. Compare what runs with what the stack declares.",
                        )
                        for name in names
                    ),
                ),
            ),
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="PrometheusConfigReloadFailed",
                        expr="prometheus_config_last_reload_successful == 0",
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="Prometheus runs on an old configuration",
                        description="The last reload of {{ $labels.instance }} failed: new rules and targets are not in effect (successful is {{ $value }}).",
                        action="Read Prometheus' log for what it refuses, mend it, deploy again.",
                    ),
                    Alert(
                        name="PrometheusRuleFailures",
                        expr="increase(prometheus_rule_evaluation_failures_total[5m]) > $threshold",
                        threshold=0,
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="Rules of {{ $labels.rule_group }} cannot be evaluated",
                        description="{{ $value | humanize }} evaluations failed in 5 minutes: the alerts of that group are blind.",
                        action="Open the rule group in Prometheus; the last error stands beside the rule.",
                    ),
                    Alert(
                        name="PrometheusNotificationsFailing",
                        expr="rate(prometheus_notifications_errors_total[5m]) > $threshold",
                        threshold=0,
                        for_="10m",
                        severity=Severity.CRITICAL,
                        summary="Prometheus cannot reach Alertmanager",
                        description="{{ $value | humanize }} notifications a second to {{ $labels.alertmanager }} fail.",
                        action="See whether Alertmanager runs and answers at the address named.",
                    ),
                    Alert(
                        name="PrometheusScrapesLosingSamples",
                        expr="""
increase(prometheus_target_scrapes_sample_duplicate_timestamp_total[10m])
+ increase(prometheus_target_scrapes_sample_out_of_order_total[10m])
+ increase(prometheus_target_scrapes_exceeded_sample_limit_total[10m]) > $threshold""",
                        threshold=0,
                        for_="10m",
                        severity=Severity.WARNING,
                        summary="Prometheus drops samples of its targets",
                        description="{{ $value | humanize }} samples or scrapes were refused in 10 minutes.",
                        action="Prometheus' log names the targets. Two targets that expose the same series, or a clock that jumps, are the usual reasons.",
                    ),
                    Alert(
                        name="PrometheusStorageFailing",
                        expr="increase(prometheus_tsdb_compactions_failed_total[1h]) + increase(prometheus_tsdb_wal_corruptions_total[1h]) > $threshold",
                        threshold=0,
                        severity=Severity.CRITICAL,
                        summary="Prometheus cannot keep its samples in order",
                        description="{{ $value | humanize }} compactions or WAL segments failed in an hour.",
                        action="Look at the free space and the health of the disk below Prometheus' data directory first.",
                    ),
                ),
            ),
        ),
    )


def _scrape(job: ScrapeJob) -> dict[str, Any]:
    spec: dict[str, Any] = {"job_name": job.name}
    if job.interval:
        spec["scrape_interval"] = job.interval
    if job.timeout:
        spec["scrape_timeout"] = job.timeout
    spec["metrics_path"] = job.path
    spec["static_configs"] = [{"targets": [target.address], "labels": dict(target.labels)} for target in job.targets]
    if job.through:
        spec["relabel_configs"] = [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": job.through},
        ]
    return spec


def configuration(context: Context, jobs: Sequence[ScrapeJob]) -> dict[str, Any]:
    """`prometheus.yml` as a value."""
    settings = context.settings
    scrapes = [_scrape(job) for job in jobs]
    if settings.runtime is not RuntimeKind.KUBERNETES:
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
    size = settings.retention.metrics_size
    return {
        "global": {
            "scrape_interval": settings.scrape_interval,
            "evaluation_interval": settings.evaluation_interval,
            "external_labels": {"cluster": settings.cluster, "environment": settings.environment},
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {
            "alertmanagers": [
                {"static_configs": [{"targets": [context.addresses.dial(alertmanager.NAME, alertmanager.PORT)]}]}
            ]
        },
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
                    **({"size": f"{size_bytes(size) // 2**20}MB"} if size else {}),
                },
            },
            "exemplars": {"max_exemplars": 100000},
        },
        "scrape_configs": scrapes,
    }


def workload(
    context: Context, jobs: Sequence[ScrapeJob], groups: Sequence[RuleGroup], *, runbooks: str, dashboards: str
) -> Workload:
    """Prometheus with every job and rule of the stack."""
    files = {"prometheus.yml": to_yaml(configuration(context, jobs)), "consoles/index.html": console.PAGE}
    for group in groups:
        if group.alerts or group.records:
            files[f"rules/{group.name}.yml"] = rules_yaml(group, runbooks=runbooks, dashboards=dashboards)
    return Workload(
        name=NAME,
        program=context.program(PROMETHEUS),
        summary="scrapes, stores and evaluates metrics",
        ports=(Port(name="http", number=PORT, published=True),),
        args=(
            f"--config.file={CONFIG}/prometheus.yml",
            f"--storage.tsdb.path={DATA}",
            f"--web.listen-address={context.addresses.listen(PORT)}",
            f"--web.external-url=http://{context.addresses.outside(NAME, PORT)}",
            f"--web.console.templates={CONFIG}/consoles",
            "--web.enable-lifecycle",
            "--web.enable-otlp-receiver",
            "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage",
        ),
        files=files,
        probe=Probe(port="http", path="/-/ready", start_seconds=300),
        checks=(Check(("promtool", "check", "config", "prometheus.yml")),),
        reload=Reload(
            port="http",
            metric="prometheus_config_last_reload_successful",
            timestamp_metric="prometheus_config_last_reload_success_timestamp_seconds",
        ),
        resources=Resources(memory="1Gi", cpu="250m"),
        volume=Volume(settings_volume(context)),
        extras=(Registry(),),
        # Built from its Go module it has no pages but this one.
        page="/consoles/index.html" if context.on_one_machine else "/targets",
    )


def settings_volume(context: Context) -> str:
    """Size of the data volume: a quarter more than the blocks may take, for the WAL and compactions."""
    size = context.settings.retention.metrics_size
    return "20Gi" if size is None else f"{-(-size_bytes(size) * 5 // 4 // 2**20)}Mi"
