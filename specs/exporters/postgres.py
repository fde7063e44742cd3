"""postgres_exporter: PostgreSQL servers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting, ServerTarget
from specs.model import Address, Name, Secret
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target, to_yaml
from specs.part import Context, Monitoring
from specs.programs import POSTGRES_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Outward, Port, Probe, Resources, Workload

NAME = "postgres-exporter"
DASHBOARD = "exporter-postgres"


class PostgresTarget(ServerTarget):
    """One PostgreSQL server."""

    SERVER: ClassVar[str] = "address"
    NEEDS: ClassVar[tuple[str, ...]] = ("user",)

    address: Address | None = None
    """Where the server listens; or see `exporter`."""
    user: str | None = None
    """A role with pg_monitor; required with `address`."""
    password: Secret | None = None
    """None: the server trusts the exporter's address."""
    database: Name = "postgres"
    """Database that the exporter logs in to; it sees the others' statistics from there."""
    sslmode: str = Field(default="require", pattern="^(disable|require|verify-ca|verify-full)$")
    """TLS to the server, in libpq's words."""
    statements: bool = True
    """Whether the slowest statements are measured: needs the extension pg_stat_statements in `database`."""
    top_statements: Annotated[int, Field(ge=1, le=500)] = 10
    """How many statements: those that took the most time altogether."""


class PostgresSettings(ExporterSettings):
    """Settings of `exporters.postgres`."""

    targets: Mapping[Name, PostgresTarget] = Field(min_length=1)


BY = "by (app, environment, service, instance)"
BY_DATABASE = "by (app, environment, service, instance, datname)"
OLDEST = "pg_stat_activity_max_tx_duration"
USERS = 'datname!~"template.*|"'
"""Databases that somebody works in."""


def _servers() -> tuple[Alert, ...]:
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
            expr=f"""
sum {BY} (pg_stat_database_numbackends)
/ on (app, environment, service, instance) max {BY} (pg_settings_max_connections)
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
            action="The exporter's log names the query. Usually the role lacks pg_monitor, or the database the extension pg_stat_statements: create it, or set statements: false.",
        ),
        Alert(
            name="PostgresCollectorFailing",
            expr="pg_scrape_collector_success == 0",
            for_="15m",
            severity=Severity.WARNING,
            summary="The exporter cannot read {{ $labels.collector }} of PostgreSQL {{ $labels.instance }}",
            description="What it measures of {{ $labels.collector }} is missing (success is {{ $value }}).",
            action="For stat_statements: create the extension pg_stat_statements and load it (shared_preload_libraries), or set statements: false. Else the exporter's log names the query.",
        ),
        Alert(
            name="PostgresRestarted",
            # The query's own answer moves a little with the clock.
            expr="pg_postmaster_start_time_seconds - min_over_time(pg_postmaster_start_time_seconds[30m]) > $threshold",
            threshold=10,
            severity=Severity.INFO,
            summary="PostgreSQL {{ $labels.instance }} was started again",
            description="It started {{ $value | humanizeDuration }} later than the start that was known half an hour ago.",
            action="When nobody did it on purpose: the end of the server's log before the start says why.",
        ),
        Alert(
            name="PostgresReplicationLagging",
            expr="pg_replication_lag_seconds > $threshold",
            threshold=60,
            for_="5m",
            severity=Severity.WARNING,
            summary="The replica PostgreSQL {{ $labels.instance }} is behind",
            description="It is {{ $value | humanizeDuration }} behind its primary (limit $threshold s).",
            action="Look for a long query on the replica that holds back the replay, then at the network and the disk between the two.",
        ),
        Alert(
            name="PostgresReplicationSlotInactive",
            expr="pg_replication_slots_active == 0",
            for_="30m",
            severity=Severity.WARNING,
            summary="Nobody reads replication slot {{ $labels.slot_name }} of PostgreSQL {{ $labels.instance }}",
            description="The server keeps all WAL for it until somebody does, and fills its disk (active is {{ $value }}).",
            action="Start what should read it, or drop the slot (pg_drop_replication_slot) when nothing should.",
        ),
        Alert(
            name="PostgresArchivingFailing",
            expr="increase(pg_stat_archiver_failed_count[15m]) > $threshold",
            threshold=0,
            for_="15m",
            severity=Severity.WARNING,
            summary="PostgreSQL {{ $labels.instance }} cannot archive its WAL",
            description="{{ $value | humanize }} attempts failed in 15 minutes: backups end where it began, and WAL fills the disk.",
            action="The server's log has the answer of archive_command. Look at the archive's space and access.",
        ),
        Alert(
            name="PostgresWraparoundNear",
            # Transaction ids end at 2^31; the server refuses writes 3 million before.
            expr="pg_database_wraparound_age_datfrozenxid_seconds > $threshold",
            threshold=1_000_000_000,
            for_="15m",
            severity=Severity.CRITICAL,
            summary="Database {{ $labels.datname }} of PostgreSQL {{ $labels.instance }} runs out of transaction ids",
            description="Its oldest row is {{ $value | humanize }} transactions old (limit $threshold); at 2.1 billion the server stops taking writes.",
            action="Find what keeps vacuum from freezing: an old transaction, a prepared one or a replication slot. Then VACUUM (FREEZE) the oldest tables.",
        ),
    )


def _databases() -> tuple[Alert, ...]:
    committed, undone = (
        f"sum {BY_DATABASE} (rate(pg_stat_database_xact_{what}[5m]))" for what in ("commit", "rollback")
    )
    hit, read = (f"sum {BY_DATABASE} (rate(pg_stat_database_blks_{what}{{{USERS}}}[15m]))" for what in ("hit", "read"))
    return (
        Alert(
            name="PostgresDeadlocks",
            expr="increase(pg_stat_database_deadlocks[5m]) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="Transactions of {{ $labels.datname }} on PostgreSQL {{ $labels.instance }} lock each other out",
            description="{{ $value | humanize }} deadlocks in 5 minutes; one transaction of each was ended.",
            action="The server's log shows both statements of each. Let all transactions take their locks in one order.",
        ),
        Alert(
            name="PostgresTransactionLong",
            expr=f'max {BY_DATABASE} ({OLDEST}{{state="active"}}) > $threshold',
            threshold=1800,
            for_="5m",
            severity=Severity.WARNING,
            summary="A transaction on {{ $labels.datname }} of PostgreSQL {{ $labels.instance }} takes very long",
            description="The oldest has run for {{ $value | humanizeDuration }} (limit $threshold s), and holds back vacuum.",
            action="Find it in pg_stat_activity (order by xact_start) and ask its owner before pg_cancel_backend.",
        ),
        Alert(
            name="PostgresTransactionIdle",
            expr=f'max {BY_DATABASE} ({OLDEST}{{state=~"idle in transaction.*"}}) > $threshold',
            threshold=300,
            for_="5m",
            severity=Severity.WARNING,
            summary="A client of {{ $labels.datname }} on PostgreSQL {{ $labels.instance }} leaves its transaction open",
            description="It has been idle inside a transaction for up to {{ $value | humanizeDuration }} (limit $threshold s), and keeps its locks.",
            action="application_name in pg_stat_activity says whose it is; that code misses a commit. idle_in_transaction_session_timeout ends such sessions.",
        ),
        Alert(
            name="PostgresRollbacksHigh",
            expr=f"{undone} / ({committed} + {undone} > 1) > $threshold",
            threshold=0.1,
            for_="10m",
            severity=Severity.WARNING,
            summary="Many transactions of {{ $labels.datname }} on PostgreSQL {{ $labels.instance }} are undone",
            description="{{ $value | humanizePercentage }} of the transactions end in a rollback (limit $threshold).",
            action="The server's log has the errors behind them: constraints, timeouts and lost connections are the usual ones.",
        ),
        Alert(
            name="PostgresCacheHitsLow",
            # Below a hundred blocks a second the share says nothing.
            expr=f"{hit} / ({hit} + {read} > 100) < $threshold",
            threshold=0.9,
            for_="30m",
            severity=Severity.WARNING,
            summary="{{ $labels.datname }} on PostgreSQL {{ $labels.instance }} reads much from disk",
            description="{{ $value | humanizePercentage }} of the blocks were in shared_buffers (limit $threshold).",
            action="Look for a query that lost its index first (pg_stat_user_tables.seq_tup_read), then at shared_buffers.",
        ),
        Alert(
            name="PostgresTemporaryFiles",
            expr=f"sum {BY_DATABASE} (rate(pg_stat_database_temp_bytes[15m])) > $threshold",
            threshold=10_000_000,
            for_="15m",
            severity=Severity.WARNING,
            summary="Queries of {{ $labels.datname }} on PostgreSQL {{ $labels.instance }} do not fit into memory",
            description="They write {{ $value | humanize1024 }}B a second to temporary files (limit $threshold bytes).",
            action="log_temp_files names the queries: give them an index or a limit, or work_mem.",
        ),
        Alert(
            name="PostgresDeadRows",
            expr="""
pg_stat_user_tables_n_dead_tup / (pg_stat_user_tables_n_live_tup + pg_stat_user_tables_n_dead_tup > 100000)
> $threshold""",
            threshold=0.2,
            for_="1h",
            severity=Severity.WARNING,
            summary="Vacuum does not keep up with table {{ $labels.relname }} of PostgreSQL {{ $labels.instance }}",
            description="{{ $value | humanizePercentage }} of the rows of {{ $labels.datname }}.{{ $labels.relname }} are dead (limit $threshold).",
            action="See when autovacuum came last (pg_stat_user_tables), what holds it back (PostgresTransactionLong), and make it come earlier for this table.",
        ),
        Alert(
            name="PostgresStatementSlow",
            expr="""
sum by (app, environment, service, instance, datname, user, queryid) (rate(pg_stat_statements_seconds_total[10m]))
/ (sum by (app, environment, service, instance, datname, user, queryid) (rate(pg_stat_statements_calls_total[10m])) > 0.01)
> $threshold""",
            threshold=1,
            for_="10m",
            severity=Severity.WARNING,
            summary="A statement on {{ $labels.datname }} of PostgreSQL {{ $labels.instance }} is slow",
            description="Statement {{ $labels.queryid }} takes {{ $value | humanizeDuration }} on average (limit $threshold s).",
            action="Its text is the label query of pg_stat_statements_query_id; EXPLAIN (ANALYZE, BUFFERS) says where the time goes.",
        ),
    )


ALERTS = tuple(replace(alert, dashboard=DASHBOARD) for alert in (*_servers(), *_databases()))


def _queries(target: PostgresTarget) -> dict[str, Any]:
    """Queries of our own for the exporter of the process runtime, which may be too old to have the collectors that
    the image has; names and labels are those of the image."""

    def columns(**usages: str) -> list[dict[str, dict[str, str]]]:
        return [{name: {"usage": usage, "description": name}} for name, usage in usages.items()]

    made: dict[str, Any] = {
        "pg_database_wraparound": {
            "query": "SELECT datname, age(datfrozenxid) AS age_datfrozenxid_seconds FROM pg_database WHERE datallowconn",
            "master": True,
            "metrics": columns(datname="LABEL", age_datfrozenxid_seconds="GAUGE"),
        },
        "pg_postmaster": {
            "query": "SELECT extract(epoch FROM pg_postmaster_start_time()) AS start_time_seconds",
            "master": True,
            "metrics": columns(start_time_seconds="GAUGE"),
        },
    }
    if target.statements:
        top = (
            "FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
            f" ORDER BY s.total_exec_time DESC LIMIT {target.top_statements}"
        )
        made["pg_stat_statements"] = {
            "query": 'SELECT pg_get_userbyid(s.userid) AS "user", d.datname, s.queryid, s.calls AS calls_total,'
            f" s.total_exec_time / 1000 AS seconds_total, s.rows AS rows_total {top}",
            "master": True,
            "metrics": columns(
                user="LABEL",
                datname="LABEL",
                queryid="LABEL",
                calls_total="COUNTER",
                seconds_total="COUNTER",
                rows_total="COUNTER",
            ),
        }
        made["pg_stat_statements_query"] = {
            "query": f"SELECT DISTINCT ON (queryid) queryid, query, id FROM (SELECT s.queryid, left(s.query, 120) AS query, 1 AS id {top}) AS top",  # noqa: S608 - nothing in it is from outside
            "master": True,
            "metrics": columns(queryid="LABEL", query="LABEL", id="GAUGE"),
        }
    return made


def _collectors(target: PostgresTarget) -> tuple[str, ...]:
    """Collectors of the image that are off unless asked for."""
    usual = ("--collector.database_wraparound", "--collector.postmaster")
    if not target.statements:
        return usual
    return (
        *usual,
        "--collector.stat_statements",
        "--collector.stat_statements.include_query",
        f"--collector.stat_statements.limit={target.top_statements}",
    )


def build(context: Context, settings: PostgresSettings) -> Exporting:
    """One workload and one target for each server."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        if target.exporter:
            targets.append(Target(address=target.exporter, labels=context.labels(app=target.app, service="postgres")))
            continue
        # A target keeps its place, whatever becomes of the others.
        port = (settings.port or EXPORTER.port) + index
        own = context.on_one_machine
        workload = Workload(
            name=f"{NAME}-{name}",
            program=context.program(POSTGRES_EXPORTER),
            summary=f"metrics of PostgreSQL {target.address}",
            ports=(Port(name="http", number=port),),
            args=(
                f"--web.listen-address={context.addresses.listen(port)}",
                *((f"--extend.query-path={CONFIG}/queries.yaml",) if own else _collectors(target)),
            ),
            environment={
                "DATA_SOURCE_URI": f"{target.address}/{target.database}?sslmode={target.sslmode}",
                "DATA_SOURCE_USER": target.user or "",
                **({"DATA_SOURCE_PASS_FILE": f"{CONFIG}/secrets/password"} if target.password else {}),
            },
            files={"queries.yaml": to_yaml(_queries(target))} if own else {},
            secrets={"secrets/password": target.password.ref} if target.password else {},
            probe=Probe(port="http", path="/"),
            resources=Resources(memory="64Mi", cpu="50m"),
            extras=(Outward(),),
            page="/metrics",
        )
        workloads.append(workload)
        labels = context.labels(app=target.app, service="postgres", instance=target.address or "")
        targets.append(Target(address=context.addresses.dial(workload.name, port), labels=labels))
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            jobs=(ScrapeJob(name="postgres", targets=tuple(targets)),),
            groups=(RuleGroup(name="postgres", alerts=ALERTS),),
        ),
    )


EXPORTER = Exporter(name="postgres", summary="PostgreSQL servers", port=9187, settings=PostgresSettings, build=build)
