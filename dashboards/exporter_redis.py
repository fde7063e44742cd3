"""Redis servers, as redis_exporter sees them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import graph, lights

FOLDER = "exporters"
_RATE = "[$__rate_interval]"
_NAME = "{{app}} {{instance}}"
_BY = "by (app, instance)"


def _rate(metric: str, by: str = _BY) -> str:
    return f"sum {by} (rate({metric}{{{EACH}}}{_RATE}))"


def _sum(metric: str) -> str:
    return f"sum {_BY} ({metric}{{{EACH}}})"


def dashboard(limits: Limits) -> Dashboard:
    """Is it up, what is it asked, does it find it, does it fit."""
    hits, misses = (_rate(f"redis_keyspace_{what}_total") for what in ("hits", "misses"))
    onto = board(
        "Redis", description="Redis servers: commands, hits, memory, clients, persistence.", tags=["exporter", "cache"]
    )
    return fill(
        generic(onto, "redis_up"),
        [
            lights(
                "Status", description="Whether Redis answers its exporter.", queries=[(f"redis_up{{{EACH}}}", _NAME)]
            ),
            graph(
                "Commands",
                description="Commands that are carried out.",
                unit="suffix:/s",
                queries=[(_rate("redis_commands_processed_total"), _NAME)],
            ),
            graph(
                "Command Time",
                description="Mean time of the ten slowest commands.",
                unit="s",
                queries=[
                    (
                        (
                            f"topk(10, {_rate('redis_commands_duration_seconds_total', 'by (instance, cmd)')}"
                            f" / ({_rate('redis_commands_total', 'by (instance, cmd)')} > 0))"
                        ),
                        "{{instance}} {{cmd}}",
                    )
                ],
            ),
            graph(
                "Cache Hit Rate",
                description="Share of the lookups that found their key.",
                unit="percentunit",
                queries=[(f"{hits} / ({hits} + {misses} > 0)", _NAME)],
                limits=limits.of("RedisHitRatioLow", below=True),
            ),
            graph(
                "Keys",
                description="Keys by database, and those among them that expire.",
                unit="short",
                queries=[
                    (f"sum by (instance, db) (redis_db_keys{{{EACH}}}) > 0", "{{instance}} {{db}}"),
                    (f"sum by (instance, db) (redis_db_keys_expiring{{{EACH}}}) > 0", "{{instance}} {{db}} expiring"),
                ],
            ),
            graph(
                "Memory",
                description="Memory of the keys, and what the operating system gave for it.",
                unit="bytes",
                queries=[
                    (_sum("redis_memory_used_bytes"), f"{_NAME} used"),
                    (_sum("redis_memory_used_rss_bytes"), f"{_NAME} resident"),
                ],
            ),
            graph(
                "Fragmentation",
                description="Resident memory divided by what is used.",
                unit="none",
                queries=[(f"max {_BY} (redis_mem_fragmentation_ratio{{{EACH}}})", _NAME)],
                limits=limits.of("RedisMemoryFragmented"),
            ),
            graph(
                "Evicted and Expired Keys",
                description="Keys thrown out to make room, and keys whose time was over.",
                unit="suffix:/s",
                queries=[
                    (_rate("redis_evicted_keys_total"), f"{_NAME} evicted"),
                    (_rate("redis_expired_keys_total"), f"{_NAME} expired"),
                ],
            ),
            graph(
                "Clients",
                description="Connected clients, and those that wait in a blocking command.",
                unit="short",
                queries=[
                    (_sum("redis_connected_clients"), f"{_NAME} connected"),
                    (_sum("redis_blocked_clients"), f"{_NAME} blocked"),
                ],
            ),
            graph(
                "Network Traffic",
                description="Bytes that clients send and get.",
                unit="binBps",
                queries=[
                    (_rate("redis_net_input_bytes_total"), f"{_NAME} in"),
                    (_rate("redis_net_output_bytes_total"), f"{_NAME} out"),
                ],
            ),
            graph(
                "Rejected Connections",
                description="Connections turned away, since as many as are allowed were open.",
                unit="suffix:/s",
                queries=[(_rate("redis_rejected_connections_total"), _NAME)],
            ),
            graph(
                "Slow Commands",
                description="Commands that came into the slow log in a quarter of an hour.",
                unit="short",
                queries=[(f"sum {_BY} (increase(redis_slowlog_last_id{{{EACH}}}[15m]))", _NAME)],
            ),
            graph(
                "Changes Not Saved",
                description="Changes since the last snapshot: what a crash would lose without an append-only file.",
                unit="short",
                queries=[(_sum("redis_rdb_changes_since_last_save"), _NAME)],
            ),
        ],
    )
