"""flower: Celery workers and tasks, through the workers' own events (start workers with -E)."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import Model, Name, Secret
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import FLOWER
from specs.settings import Severity
from specs.workload import CONFIG, Port, Probe, Resources, SecretRef, Workload

NAME = "flower"


def _without_password(value: str) -> str:
    if not re.fullmatch(r"[a-z+]+://[^@\s]+", value):
        raise ValueError(
            "not a plain broker URL (accepted: scheme://host/…, or {secret: key} when it holds a password)"
        )
    return value


class CeleryTarget(Model):
    """One broker with the workers behind it."""

    broker: Annotated[str, AfterValidator(_without_password)] | Secret = Field(examples=["redis://127.0.0.1:6379/0"])
    """URL of the broker; a secret as soon as it holds a password."""
    app: Name | None = None
    """System that owns the workers; none: the stack's own label."""


class CelerySettings(ExporterSettings):
    """Settings of `exporters.celery`."""

    targets: Mapping[Name, CeleryTarget] = Field(min_length=1)


def _alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="CeleryWorkerDown",
            expr="flower_worker_online == 0",
            for_="2m",
            severity=Severity.CRITICAL,
            summary="Celery worker {{ $labels.worker }} is gone",
            description="{{ $labels.worker }} sent no heartbeat any more (flower_worker_online is {{ $value }}).",
            action="See whether the worker's process runs and reaches the broker.",
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
    )


def build(context: Context, settings: CelerySettings) -> Exporting:
    """One workload and one target for each broker."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
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
