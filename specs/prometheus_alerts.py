"""Alerts about Prometheus, and through it about everything that is scraped."""

from collections.abc import Sequence

from specs import alertmanager
from specs.monitoring import Alert, RuleGroup
from specs.part import APP
from specs.settings import Severity

NAME = "prometheus"
APPLICATIONS = "applications"
"""Scrape job of the targets that applications register themselves."""
_WHO = "app, environment, service"
_WORDS = {"1m": "a minute", "5m": "5 minutes"}


def _down(which: Sequence[str], for_: str, app: str = "") -> Alert:
    """A target that is away for longer than it may be; of `app` alone, if that is said."""
    return Alert(
        name="ServiceDown",
        expr=f"up{{{', '.join(which)}}} == 0" if which else "up == 0",
        for_=for_,
        severity=Severity.CRITICAL,
        app=app,
        summary="{{ $labels.job }} at {{ $labels.instance }} is down",
        description=f"Prometheus could not scrape {{{{ $labels.instance }}}} of job {{{{ $labels.job }}}} for {_WORDS[for_]} (up is {{{{ $value }}}}).",
        action="See whether the process runs and answers on the address named; its log tells why not. A target that is gone for good belongs out of its registration.",
    )


def groups(
    names: Sequence[str], fleeting: Sequence[str] = (), *, ruler: str = "", rolled: bool = False
) -> tuple[RuleGroup, ...]:
    """The alerts; `names` are the jobs that must have targets, `fleeting` those whose targets may go by themselves.
    `ruler` is the job of another program that evaluates rules, and has alerts of its own about them. `rolled`: parts of
    the stack are replaced one after the other when they change, which takes its time."""
    evaluated = f'{{job!="{ruler}"}}' if ruler else ""
    lasting = [f'job!~"{"|".join(fleeting)}"'] if fleeting else []
    return (
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
                *(
                    (_down([f'app!="{APP}"', *lasting], "1m"), _down([f'app="{APP}"', *lasting], "5m", APP))
                    if rolled
                    else (_down(lasting, "1m"),)
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
                Alert(
                    name="SystemDown",
                    # ServiceDown pages for each target. This says that no other is left, and never without it: it silences the symptoms.
                    expr=f"""
max by ({_WHO}) (up{{probe=""}}) == 0
and on ({_WHO}) ALERTS{{alertname="ServiceDown", alertstate="firing"}}""",
                    severity=Severity.INFO,
                    summary="Nothing of {{ $labels.service }} of {{ $labels.app }} is up",
                    description="Every target of {{ $labels.service }} of {{ $labels.app }} has been down for a minute (the best up is {{ $value }}).",
                    action="Nothing of its own: follow ServiceDown. While this fires, the other alerts of the same service are held back.",
                ),
                Alert(
                    name="JobVanished",
                    # A target that is down is still there. Applications that deregister do so on purpose.
                    expr=f'group by ({_WHO}, job) (up{{job!="{APPLICATIONS}"}} offset 1h) unless on ({_WHO}, job) up',
                    for_="5m",
                    severity=Severity.WARNING,
                    summary="Job {{ $labels.job }} of {{ $labels.app }} is not scraped any more",
                    description="An hour ago it had targets, now it has none ({{ $value }} group is gone): its alerts are blind.",
                    action="When it was taken out on purpose, this ends within the hour. Else compare the stack file with the one before.",
                ),
                Alert(
                    name="TargetFlapping",
                    expr='changes(up{probe=""}[30m]) > $threshold',
                    threshold=5,
                    severity=Severity.WARNING,
                    summary="{{ $labels.job }} at {{ $labels.instance }} comes and goes",
                    description="It changed {{ $value }} times between up and down in half an hour (limit $threshold).",
                    action="A process that keeps crashing, or a page of metrics that is close to its timeout: its log and TargetSlow tell which.",
                ),
                Alert(
                    name="TargetSlow",
                    # Ten seconds are Prometheus' timeout: what takes longer is lost. A probe has a limit of its own.
                    expr='scrape_duration_seconds{probe="", job!="json"} > $threshold and up == 1',
                    threshold=8,
                    for_="5m",
                    severity=Severity.WARNING,
                    summary="{{ $labels.job }} at {{ $labels.instance }} takes long to give its metrics",
                    description="A scrape takes {{ $value | humanizeDuration }} (limit $threshold s), and at 10 s it is lost.",
                    action="It has too many series (TargetSeriesMany), or computes them while it is asked: time its page by hand.",
                ),
                Alert(
                    name="TargetSeriesMany",
                    expr="scrape_samples_post_metric_relabeling > $threshold",
                    threshold=20000,
                    for_="15m",
                    severity=Severity.INFO,
                    summary="{{ $labels.job }} at {{ $labels.instance }} has very many series",
                    description="It exposes {{ $value | humanize }} series (limit $threshold).",
                    action="Find the label with very many values: a user, a URL or an id belongs into a log line or a trace.",
                ),
                Alert(
                    name="PartRestarting",
                    expr=f'changes(process_start_time_seconds{{app="{APP}"}}[1h]) > $threshold',
                    threshold=2,
                    severity=Severity.WARNING,
                    summary="{{ $labels.job }} of the stack keeps restarting",
                    description="{{ $labels.instance }} started {{ $value }} times in an hour (limit $threshold).",
                    action="The end of its log before each start says why; want of memory shows in the kernel's log only.",
                ),
                Alert(
                    name="PartFileDescriptorsLow",
                    expr=f'process_open_fds{{app="{APP}"}} / (process_max_fds{{app="{APP}"}} > 0) > $threshold',
                    threshold=0.8,
                    for_="10m",
                    severity=Severity.WARNING,
                    summary="{{ $labels.job }} of the stack runs out of file descriptors",
                    description="{{ $value | humanizePercentage }} of what it may open is open (limit $threshold).",
                    action="Raise the limit of open files, and look for connections that it keeps (ls /proc/<pid>/fd).",
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
                    expr=f"increase(prometheus_rule_evaluation_failures_total{evaluated}[5m]) > $threshold",
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
                Alert(
                    name="PrometheusWriteAheadLogFailing",
                    expr="increase(prometheus_tsdb_wal_writes_failed_total[10m]) + increase(prometheus_tsdb_wal_truncations_failed_total[10m]) + increase(prometheus_tsdb_checkpoint_creations_failed_total[10m]) > $threshold",
                    threshold=0,
                    severity=Severity.CRITICAL,
                    summary="Prometheus cannot write its log of new samples",
                    description="{{ $value | humanize }} writes, truncations or checkpoints failed in 10 minutes: a restart would lose samples.",
                    action="Look at the free space and the health of the disk below Prometheus' data directory first.",
                ),
                Alert(
                    name="PrometheusRuleEvaluationsMissed",
                    expr="increase(prometheus_rule_group_iterations_missed_total[5m]) > $threshold",
                    threshold=0,
                    for_="10m",
                    severity=Severity.WARNING,
                    summary="Rules of {{ $labels.rule_group }} are not evaluated in time",
                    description="{{ $value | humanize }} evaluations were left out in 5 minutes: its alerts come late.",
                    action="PrometheusRulesSlow names a group that takes too long; otherwise Prometheus has too little CPU.",
                ),
                Alert(
                    name="PrometheusRulesSlow",
                    expr="prometheus_rule_group_last_duration_seconds / (prometheus_rule_group_interval_seconds > 0) > $threshold",
                    threshold=0.8,
                    for_="10m",
                    severity=Severity.WARNING,
                    summary="Rules of {{ $labels.rule_group }} take nearly as long as their interval",
                    description="{{ $value | humanizePercentage }} of the interval goes by (limit $threshold).",
                    action="Split the group, record what several of its rules compute, or give Prometheus more CPU.",
                ),
                Alert(
                    name="PrometheusNotificationsQueued",
                    expr="""
max by (app, environment, service, instance) (prometheus_notifications_queue_length)
/ (max by (app, environment, service, instance) (prometheus_notifications_queue_capacity) > 0)
> $threshold""",
                    threshold=0.5,
                    for_="5m",
                    severity=Severity.WARNING,
                    summary="Alerts wait in Prometheus for Alertmanager",
                    description="{{ $value | humanizePercentage }} of the queue is taken (limit $threshold); when it is full, alerts are lost.",
                    action="See whether Alertmanager answers slowly, and whether very many alerts fire at once.",
                ),
                Alert(
                    name="PrometheusNotificationsDropped",
                    # Prometheus counts for each Alertmanager (prometheus/prometheus#16079): lost is what none of them took.
                    expr="min without (alertmanager) (increase(prometheus_notifications_dropped_total[10m])) > $threshold",
                    threshold=0,
                    severity=Severity.CRITICAL,
                    summary="Prometheus lost alerts on their way to Alertmanager",
                    description="{{ $value | humanize }} alerts were dropped in 10 minutes; those that still fire are sent again.",
                    action="See PrometheusNotificationsFailing and PrometheusNotificationsQueued: either nobody takes them, or there are too many.",
                ),
                Alert(
                    name="PrometheusWithoutAlertmanager",
                    expr="prometheus_notifications_alertmanagers_discovered == 0",
                    for_="5m",
                    severity=Severity.CRITICAL,
                    summary="Prometheus knows no Alertmanager",
                    description="{{ $labels.instance }} has {{ $value }} of them in its configuration: no alert reaches anybody.",
                    action="Only the dead man's switch can tell this. Compare alerting in prometheus.yml with what the stack declares.",
                ),
                Alert(
                    name="PrometheusSamplesTooLate",
                    expr='sum by (app, environment, service, instance) (increase({__name__=~"prometheus_tsdb_too_old_samples_total|prometheus_target_scrapes_sample_out_of_bounds_total"}[10m])) > $threshold',
                    threshold=0,
                    for_="10m",
                    severity=Severity.WARNING,
                    summary="Prometheus refuses samples that come too late",
                    description="{{ $value | humanize }} samples in 10 minutes were older than its window for late ones.",
                    action="A clock that is wrong (HostClockSkewed), or a collector that sends what it kept for long.",
                ),
                Alert(
                    name="PrometheusRegistrationUnreadable",
                    expr='sum by (app, environment, service, instance) (increase({__name__=~"prometheus_sd_file_read_errors_total|prometheus_target_sync_failed_total"}[10m])) > $threshold',
                    threshold=0,
                    for_="5m",
                    severity=Severity.WARNING,
                    summary="Prometheus cannot read what an application registered",
                    description="{{ $value | humanize }} files or targets were refused in 10 minutes: those targets are not scraped.",
                    action="Its log names the file in the registry. It must be a JSON list of objects with targets and labels.",
                ),
                Alert(
                    name="PrometheusSeriesGrowing",
                    # A day ago at the same hour: load has a daily shape.
                    expr="prometheus_tsdb_head_series / (prometheus_tsdb_head_series offset 1d > 50000) > $threshold",
                    threshold=1.5,
                    for_="30m",
                    severity=Severity.INFO,
                    summary="Prometheus has many more series than a day ago",
                    description="It has {{ $value | humanize }} times the series of yesterday at this hour (limit $threshold).",
                    action="/api/v1/status/tsdb names the metrics and labels with the most; TargetSeriesMany names a target.",
                ),
                Alert(
                    name="PrometheusSeriesMany",
                    expr="prometheus_tsdb_head_series > $threshold",
                    threshold=2_000_000,
                    for_="15m",
                    severity=Severity.WARNING,
                    summary="Prometheus has more series than it was made for",
                    description="{{ $value | humanize }} series are in memory (limit $threshold); each takes about 4 KiB.",
                    action="/api/v1/status/tsdb names the metrics and labels with the most. Drop them at their source, or give Prometheus more memory.",
                ),
                Alert(
                    name="PrometheusStorageAtItsLimit",
                    expr="prometheus_tsdb_storage_blocks_bytes / (prometheus_tsdb_retention_limit_bytes > 0) > $threshold",
                    threshold=0.95,
                    for_="1h",
                    severity=Severity.INFO,
                    summary="Prometheus' storage is at its limit, so history is shorter than asked for",
                    description="{{ $value | humanizePercentage }} of retention.metrics_size is taken (limit $threshold): the oldest block goes before its time.",
                    action="Raise retention.metrics_size, or look for series that nobody needs (PrometheusSeriesGrowing).",
                ),
                Alert(
                    name="PrometheusRetentionNotApplied",
                    # A block goes when all of it is too old, and may span a tenth of the retention.
                    expr="(time() - prometheus_tsdb_lowest_timestamp_seconds) / (prometheus_tsdb_retention_limit_seconds > 0) > $threshold",
                    threshold=1.25,
                    for_="3h",
                    severity=Severity.WARNING,
                    summary="Prometheus keeps samples longer than it should",
                    description="The oldest sample is {{ $value | humanize }} times as old as the retention (limit $threshold).",
                    action="Its log says why old blocks stay: no right to delete, or compactions that fail (PrometheusStorageFailing).",
                ),
                Alert(
                    name="PrometheusRequestsFailing",
                    expr="""
sum by (app, environment, service, instance) (rate(prometheus_http_requests_total{code=~"5.."}[5m]))
/ (sum by (app, environment, service, instance) (rate(prometheus_http_requests_total[5m])) > 0.1)
> $threshold""",
                    threshold=0.05,
                    for_="10m",
                    severity=Severity.WARNING,
                    summary="Prometheus answers with errors",
                    description="{{ $value | humanizePercentage }} of the requests fail (limit $threshold): dashboards have holes.",
                    action="Queries that take too long or too much memory are the usual reason: look for a dashboard over a long time.",
                ),
            ),
        ),
    )
