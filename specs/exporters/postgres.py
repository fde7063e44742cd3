"""postgres_exporter: PostgreSQL servers."""

from collections.abc import Mapping

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import Address, Model, Name, Secret
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import POSTGRES_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Port, Probe, Resources, Workload

NAME = "postgres-exporter"


class PostgresTarget(Model):
    """One PostgreSQL server."""

    address: Address
    """Where the server listens."""
    user: str
    """A role with pg_monitor."""
    password: Secret | None = None
    """None: the server trusts the exporter's address."""
    database: Name = "postgres"
    """Database that the exporter logs in to; it sees the others' statistics from there."""
    sslmode: str = Field(default="require", pattern="^(disable|require|verify-ca|verify-full)$")
    """TLS to the server, in libpq's words."""
    app: Name | None = None
    """System that owns the server; none: the stack's own label."""


class PostgresSettings(ExporterSettings):
    """Settings of `exporters.postgres`."""

    targets: Mapping[Name, PostgresTarget] = Field(min_length=1)


def _alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="PostgresDown",
            expr="pg_up == 0",
            for_="1m",
            severity=Severity.CRITICAL,
            summary="PostgreSQL {{ $labels.instance }} does not answer",
            description="The exporter cannot log in to {{ $labels.instance }} (pg_up is {{ $value }}).",
            action="See whether the server runs, accepts connections and knows the exporter's role.",
        ),
        Alert(
            name="PostgresConnectionsSaturated",
            expr="""
sum by (app, environment, service, instance) (pg_stat_database_numbackends)
/ on (app, environment, service, instance) max by (app, environment, service, instance) (pg_settings_max_connections)
> $threshold""",
            threshold=0.8,
            for_="5m",
            severity=Severity.WARNING,
            summary="PostgreSQL {{ $labels.instance }} runs out of connections",
            description="{{ $value | humanizePercentage }} of max_connections is in use (limit $threshold).",
            action="Look for a pool that leaks or a client without one (pg_stat_activity by application_name).",
        ),
        Alert(
            name="PostgresExporterFailing",
            expr="pg_exporter_last_scrape_error > $threshold",
            threshold=0,
            for_="10m",
            severity=Severity.WARNING,
            summary="Metrics of PostgreSQL {{ $labels.instance }} are incomplete",
            description="The exporter's last scrape failed in part (pg_exporter_last_scrape_error is {{ $value }}).",
            action="The exporter's log names the query. Usually the role lacks pg_monitor.",
        ),
    )


def build(context: Context, settings: PostgresSettings) -> Exporting:
    """One workload and one target for each server."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        port = (settings.port or EXPORTER.port) + index
        workload = Workload(
            name=f"{NAME}-{name}",
            program=context.program(POSTGRES_EXPORTER),
            summary=f"metrics of PostgreSQL {target.address}",
            ports=(Port(name="http", number=port),),
            args=(f"--web.listen-address={context.addresses.listen(port)}",),
            environment={
                "DATA_SOURCE_URI": f"{target.address}/{target.database}?sslmode={target.sslmode}",
                "DATA_SOURCE_USER": target.user,
                **({"DATA_SOURCE_PASS_FILE": f"{CONFIG}/secrets/password"} if target.password else {}),
            },
            secrets={"secrets/password": target.password.ref} if target.password else {},
            probe=Probe(port="http", path="/"),
            resources=Resources(memory="64Mi", cpu="50m"),
            page="/metrics",
        )
        workloads.append(workload)
        labels = context.labels(app=target.app, service="postgres", instance=target.address)
        targets.append(Target(address=context.addresses.dial(workload.name, port), labels=labels))
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            jobs=(ScrapeJob(name=NAME, targets=tuple(targets)),),
            groups=(RuleGroup(name="postgres", alerts=_alerts()),),
        ),
    )


EXPORTER = Exporter(name="postgres", summary="PostgreSQL servers", port=9187, settings=PostgresSettings, build=build)
