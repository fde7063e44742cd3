"""flower: Celery workers and tasks, through the workers' own events (start workers with -E)."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from specs.exporter import Exporter, ExporterSettings, Exporting, ServerTarget
from specs.model import Name, Secret
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import FLOWER
from specs.settings import Severity
from specs.workload import CONFIG, Dials, Outward, Port, Probe, Resources, SecretRef, Workload

NAME = "flower"
DASHBOARD = "exporter-celery"
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
"""Of task runtimes, in seconds: flower's own end at ten, where a task has hardly begun."""

BROKERS = (5671, 5672, 6379)
"""Usual ports of brokers: RabbitMQ with and without TLS, Redis."""
PURGE = 120
"""Seconds after its last heartbeat that flower forgets a worker: one that was killed stays online until then, and one
that said goodbye would stay offline for ever."""


def _without_password(value: str) -> str:
    if not re.fullmatch(r"[a-z+]+://[^@\s]+", value):
        raise ValueError(
            "not a plain broker URL (accepted: scheme://host/…, or {secret: key} when it holds a password)"
        )
    return value


class CeleryTarget(ServerTarget):
    """One broker with the workers behind it."""

    SERVER: ClassVar[str] = "broker"

    broker: Annotated[str, AfterValidator(_without_password)] | Secret | None = Field(
        default=None, examples=["redis://127.0.0.1:6379/0"]
    )
    """URL of the broker, a secret as soon as it holds a password; or see `exporter`, here a flower."""


class CelerySettings(ExporterSettings):
    """Settings of `exporters.celery`."""

    targets: Mapping[Name, CeleryTarget] = Field(min_length=1)


BY = "by (app, environment, service, instance)"
BY_TASK = "by (app, environment, service, instance, task)"


def _events(kinds: str, by: str = BY, window: str = "10m") -> str:
    return f'sum {by} (rate(flower_events_total{{type=~"{kinds}"}}[{window}]))'


def _alerts() -> tuple[Alert, ...]:
    ended = "task-succeeded|task-failed"
    alerts = (
        Alert(
            name="CeleryWorkerDown",
            # A rollout gives workers other names, so it is their number that tells.
            expr=f"""
(flower_worker_online offset 30m == 1 unless flower_worker_online == 1)
and on (app, environment, service, instance)
(count {BY} (flower_worker_online == 1) < count {BY} (flower_worker_online offset 30m == 1))""",
            for_="5m",
            severity=Severity.WARNING,
            summary="Celery worker {{ $labels.worker }} is gone",
            description="{{ $labels.worker }} was there half an hour ago (flower_worker_online was {{ $value }}), sends no heartbeat any more, and there are fewer workers than then.",
            action="See whether the worker's process was killed (its exit code, the kernel's log, OOMKilled) and whether it reaches the broker. Was it scaled down? Then this ends by itself.",
        ),
        Alert(
            name="CeleryTasksFailing",
            expr="""
sum by (app, environment, service, instance, task) (rate(flower_events_total{type="task-failed"}[5m]))
/ (sum by (app, environment, service, instance, task) (rate(flower_events_total{type=~"task-failed|task-succeeded"}[5m])) > 0)
> $threshold""",
            threshold=0.1,
            for_="5m",
            severity=Severity.WARNING,
            summary="Celery task {{ $labels.task }} fails",
            description="{{ $value | humanizePercentage }} of its runs failed (limit $threshold).",
            action="Search the worker's log for the task's name: the exception stands there.",
        ),
        Alert(
            name="CeleryNoWorkers",
            expr='up{service="celery"} == 1 unless on (app, environment, service, instance) flower_worker_online == 1',
            for_="2m",
            severity=Severity.CRITICAL,
            summary="No Celery worker of {{ $labels.app }} is there",
            description="flower {{ $labels.instance }} answers (up is {{ $value }}), and no worker sends it a heartbeat: tasks only queue up.",
            action="Start the workers; their logs say why they ended. The broker's own failure looks the same: see whether it answers.",
        ),
        Alert(
            name="CeleryTasksSlow",
            expr="histogram_quantile(0.95, sum by (app, environment, service, instance, task, le) (rate(flower_task_runtime_seconds_bucket[10m]))) > $threshold",
            threshold=30,
            for_="10m",
            severity=Severity.WARNING,
            summary="Celery task {{ $labels.task }} is slow",
            description="The 95th percentile of its runtime is {{ $value | humanizeDuration }} (limit $threshold s).",
            action="Open a trace of the task: its longest span says where the time goes.",
        ),
        Alert(
            name="CeleryTasksRetried",
            expr=f"""
{_events("task-retried", BY_TASK)}
/ ({_events(f"{ended}|task-retried", BY_TASK)} > 0)
> $threshold""",
            threshold=0.25,
            for_="10m",
            severity=Severity.WARNING,
            summary="Celery task {{ $labels.task }} is tried again and again",
            description="{{ $value | humanizePercentage }} of its runs end in another try (limit $threshold).",
            action="The worker's log has the exception behind each try; most often something that the task depends on is away.",
        ),
        Alert(
            name="CeleryTasksWaiting",
            expr=f"max {BY_TASK} (flower_task_prefetch_time_seconds) > $threshold",
            threshold=60,
            for_="10m",
            severity=Severity.WARNING,
            summary="Celery task {{ $labels.task }} waits for a free worker",
            description="It was with a worker for {{ $value | humanizeDuration }} before it began (limit $threshold s).",
            action="Start more workers, or lower worker_prefetch_multiplier so that long tasks do not hold up short ones.",
        ),
        Alert(
            name="CeleryTasksQueued",
            expr="sum by (app, environment, service, instance, worker) (flower_worker_prefetched_tasks) > $threshold",
            threshold=100,
            for_="10m",
            severity=Severity.WARNING,
            summary="Tasks pile up at Celery worker {{ $labels.worker }}",
            description="{{ $value }} tasks were fetched and have not begun (limit $threshold).",
            action="See what the worker does (celery inspect active); start more workers when it does what it should.",
        ),
        Alert(
            name="CeleryQueueGrowing",
            expr=f"{_events('task-received', BY, '30m')} - {_events(f'{ended}|task-retried|task-revoked|task-rejected', BY, '30m')} > $threshold",
            threshold=0.5,
            for_="15m",
            severity=Severity.WARNING,
            summary="More Celery tasks of {{ $labels.app }} come than are done",
            description="{{ $value | humanize }} tasks a second more arrive than end (limit $threshold).",
            action="Find the task that grew (flower's page) and who sends it; start more workers while it is wanted.",
        ),
        Alert(
            name="CeleryTasksStuck",
            expr=f"sum {BY} (flower_worker_number_of_currently_executing_tasks) > 0 and {_events(ended, BY, '30m')} <= $threshold",
            threshold=0,
            for_="30m",
            severity=Severity.WARNING,
            summary="Celery tasks of {{ $labels.app }} begin and do not end",
            description="{{ $value }} tasks are at work, and none has ended for half an hour.",
            action="Ask the workers (celery inspect active): one that does not answer hangs or was killed; one that does waits for something, which task_time_limit would end.",
        ),
        Alert(
            name="CeleryTasksRejected",
            expr=f'sum {BY_TASK} (increase(flower_events_total{{type=~"task-rejected|task-revoked"}}[15m])) > $threshold',
            threshold=10,
            for_="5m",
            severity=Severity.WARNING,
            summary="Celery workers turn task {{ $labels.task }} away",
            description="{{ $value | humanize }} were rejected or revoked in 15 minutes (limit $threshold).",
            action="Rejected: the worker does not know the task, so it is older than who sends it. Revoked: somebody, or an expiry, calls them back.",
        ),
    )
    return tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts)


def build(context: Context, settings: CelerySettings) -> Exporting:
    """One workload and one target for each broker."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        if target.broker is None:
            address = target.exporter or ""
            targets.append(Target(address=address, labels=context.labels(app=target.app, service="celery")))
            continue
        # A target keeps its place, whatever becomes of the others.
        port = (settings.port or EXPORTER.port) + index
        secret = isinstance(target.broker, Secret)
        plain = "" if isinstance(target.broker, Secret) else target.broker
        workload = Workload(
            name=f"{NAME}-{name}",
            program=context.program(FLOWER),
            summary="Celery workers and tasks",
            ports=(Port(name="http", number=port, published=True),),
            # The broker's address comes from a module on PYTHONPATH, so that its password is in no process list.
            args=(
                "--config=celeryconfig",
                "flower",
                f"--address={context.addresses.host()}",
                f"--port={context.addresses.port(port)}",
                "--logging=warning",
                f"--purge_offline_workers={PURGE}",
                f"--task-runtime-metric-buckets={','.join(map(str, BUCKETS))}",
            ),
            environment={
                "PYTHONPATH": f"{CONFIG}/secrets" if secret else CONFIG,
                "FLOWER_UNAUTHENTICATED_API": "false",
                # A compiled copy of the module would be a second file with the password.
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            files={} if secret else {"celeryconfig.py": f"broker_url = {plain!r}\n"},
            secrets={"secrets/celeryconfig.py": SecretRef(target.broker.secret, template="broker_url = $secret\n")}
            if isinstance(target.broker, Secret)
            else {},
            probe=Probe(port="http", path="/healthcheck"),
            resources=Resources(memory="192Mi", cpu="50m"),
            extras=(Outward(), *((Dials(BROKERS, "its broker, whose address is a secret"),) if secret else ())),
        )
        workloads.append(workload)
        targets.append(
            Target(
                address=context.addresses.dial(workload.name, port),
                labels=context.labels(app=target.app, service="celery"),
            )
        )
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            jobs=(ScrapeJob(name="celery", targets=tuple(targets)),),
            groups=(RuleGroup(name="celery", alerts=_alerts()),),
        ),
    )


EXPORTER = Exporter(
    name="celery", summary="Celery workers and tasks, by flower", port=5555, settings=CelerySettings, build=build
)
