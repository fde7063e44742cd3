"""PostgreSQL servers, as postgres_exporter sees them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import Column, graph, lights, shown, table_of
from specs.named_signals import BY_EXPORTER

FOLDER = "exporters"
_SIGNALS = BY_EXPORTER["postgres"]
_RATE = "[$__rate_interval]"
_DATABASE = "{{instance}} {{datname}}"
_BY = "by (app, instance, datname)"
_USERS = f'datname!~"template.*", {EACH}'
_STATEMENT = "instance, datname, queryid"


def _rate(metric: str, by: str = _BY) -> str:
    return f"sum {by} (rate({metric}{{{_USERS}}}{_RATE}))"


def dashboard(limits: Limits) -> Dashboard:
    """Is it up, what is it asked, what takes its time, what grows."""
    hits, reads = (_rate(f"pg_stat_database_blks_{what}") for what in ("hit", "read"))
    done, undone = (_rate(f"pg_stat_database_xact_{what}") for what in ("commit", "rollback"))
    took, ran = (
        f"sum by ({_STATEMENT}) (rate(pg_stat_statements_{what}_total{{{EACH}}}[5m]))" for what in ("seconds", "calls")
    )
    # The text of a statement, for its number; a statement without one keeps its number.
    text = f"max by (instance, queryid, query) (pg_stat_statements_query_id{{{EACH}}})"
    onto = board(
        "PostgreSQL",
        description="PostgreSQL servers: connections, transactions, statements, tables.",
        tags=["exporter", "database"],
    )
    return fill(
        generic(onto, "pg_up"),
        [
            lights(
                "Status",
                description="Whether the exporter can log in.",
                queries=[(f"pg_up{{{EACH}}}", "{{app}} {{instance}}")],
            ),
            shown(_SIGNALS["postgres_connections"]),
            shown(_SIGNALS["postgres_connection_share"], limits=limits.of("PostgresConnectionsSaturated")),
            graph(
                "Connections by State",
                description="What the connections do.",
                unit="short",
                queries=[(f"sum by (state) (pg_stat_activity_count{{{_USERS}}})", "{{state}}")],
                stacked=True,
            ),
            graph(
                "Longest Transaction",
                description="Age of the oldest open transaction, by what it does.",
                unit="s",
                queries=[
                    (
                        f"max by (instance, datname, state) (pg_stat_activity_max_tx_duration{{{_USERS}}})",
                        f"{_DATABASE} {{{{state}}}}",
                    )
                ],
                limits=limits.of("PostgresTransactionLong"),
            ),
            "Work",
            graph(
                "Transactions",
                description="Transactions that are committed.",
                unit="suffix:/s",
                queries=[(done, _DATABASE)],
            ),
            graph(
                "Rollbacks",
                description="Share of the transactions that are undone.",
                unit="percentunit",
                queries=[(f"{undone} / ({done} + {undone} > 0)", _DATABASE)],
                limits=limits.of("PostgresRollbacksHigh"),
            ),
            graph(
                "Rows Written",
                description="Rows that are inserted, changed and deleted.",
                unit="suffix:/s",
                queries=[
                    (_rate(f"pg_stat_database_tup_{what}", "by (app, instance)"), f"{{{{instance}}}} {what}")
                    for what in ("inserted", "updated", "deleted")
                ],
            ),
            graph(
                "Rows Read",
                description="Rows that queries get, and rows that were looked at for it.",
                unit="suffix:/s",
                queries=[
                    (_rate(f"pg_stat_database_tup_{what}", "by (app, instance)"), f"{{{{instance}}}} {what}")
                    for what in ("fetched", "returned")
                ],
            ),
            graph(
                "Cache Hit Rate",
                description="Share of the blocks that PostgreSQL found in its own cache.",
                unit="percentunit",
                queries=[(f"{hits} / ({hits} + {reads} > 0)", _DATABASE)],
                limits=limits.of("PostgresCacheHitsLow", below=True),
            ),
            graph(
                "Temporary Files",
                description="Bytes that sorts and joins write to the disk for want of memory.",
                unit="binBps",
                queries=[(_rate("pg_stat_database_temp_bytes"), _DATABASE)],
                limits=limits.of("PostgresTemporaryFiles"),
            ),
            graph(
                "Locks",
                description="Locks that are held, by mode.",
                unit="short",
                queries=[(f"sum by (mode) (pg_locks_count{{{_USERS}}})", "{{mode}}")],
                stacked=True,
            ),
            graph(
                "Deadlocks",
                description="Transactions that were ended because they waited for each other.",
                unit="suffix:/s",
                queries=[(_rate("pg_stat_database_deadlocks"), _DATABASE)],
            ),
            "Statements",
            table_of(
                "Top Slow Queries",
                description="The ten statements that take the most time of the server, as pg_stat_statements counts them.",
                columns=[
                    Column(
                        title="Time taken",
                        expr=f"topk(10, {took}) * on (instance, queryid) group_left (query) {text}",
                        unit="percentunit",
                        bar=True,
                    ),
                    Column(title="Calls a second", expr=f"{ran} and topk(10, {took})", unit="suffix:/s"),
                    Column(title="Mean", expr=f"{took} / ({ran} > 0) and topk(10, {took})", unit="s"),
                ],
                labels=("query", "instance", "datname", "queryid"),
                sort_by="Time taken",
                width=24,
                height=10,
            ),
            "Storage",
            graph(
                "Database Size",
                description="Bytes on the disk.",
                unit="bytes",
                queries=[(f"max {_BY} (pg_database_size_bytes{{{_USERS}}})", _DATABASE)],
            ),
            graph(
                "Dead Rows",
                description="Rows that vacuum has still to remove, of the ten tables that have the most.",
                unit="short",
                queries=[
                    (
                        f"topk(10, sum by (instance, datname, relname) (pg_stat_user_tables_n_dead_tup{{{EACH}}}))",
                        f"{_DATABASE} {{{{relname}}}}",
                    )
                ],
            ),
            graph(
                "Wraparound",
                description="Age of the oldest transaction id; at two milliards the server stops writing.",
                unit="short",
                queries=[(f"max {_BY} (pg_database_wraparound_age_datfrozenxid_seconds{{{EACH}}})", _DATABASE)],
                limits=limits.of("PostgresWraparoundNear"),
            ),
            graph(
                "Replication Lag",
                description="How far a replica is behind; a primary has none.",
                unit="s",
                queries=[(f"max by (app, instance) (pg_replication_lag_seconds{{{EACH}}})", "{{instance}}")],
                limits=limits.of("PostgresReplicationLagging"),
            ),
        ],
    )
