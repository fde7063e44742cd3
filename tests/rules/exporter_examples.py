"""Examples of the alerts that exporters bring along."""

from tests.rules.examples import (
    CRITICAL,
    HAIR,
    INFO,
    NO_LIMIT,
    WARNING,
    Example,
    Firing,
    counter,
    gauge,
    labels,
    series,
    tried,
    without,
)

HOST = labels("node", app="shop", job="node")
DISK = HOST | {"device": "/dev/sda", "fstype": "ext4", "mountpoint": "/"}
MEMORY_DISK = HOST | {"device": "tmpfs", "fstype": "tmpfs", "mountpoint": "/memory"}
DATABASE_DISK = HOST | {"device": "/dev/sdb", "fstype": "xfs", "mountpoint": "/var/lib/postgresql/16"}
POSTGRES = labels("postgres", app="shop", job="postgres", instance="db:5432")
DATABASE = POSTGRES | {"datname": "shop"}
REDIS = labels("redis", app="shop", job="redis", instance="cache:6379")
NGINX = labels("nginx", app="shop", job="nginx", instance="front:80")
CELERY = labels("celery", app="shop", job="celery")
PROBE = labels("probe", job="probe", instance="https://shop/", probe="shop")
BLACKBOX = labels("blackbox-exporter")
PAGE = labels("json", app="shop", job="json", instance="http://shop.example.com/health/database")
CADVISOR = labels("cadvisor")
ALL_CONTAINERS = CADVISOR | {"id": "/", "image": "", "name": ""}
CONTAINER = CADVISOR | {"id": "/docker/1f0c", "image": "shop/api:1", "name": "shop-api"}
OTHER_CONTAINER = CADVISOR | {"id": "/docker/77ad", "image": "shop/web:1", "name": "shop-web"}
OF_CONTAINER = without(CONTAINER, "id", "image", "job")

DAY = 86400
MEBIBYTE = 2**20


def _idle(one: str, other: str) -> dict[str, str]:
    """Two cores, and how much each of them idles."""
    return {
        series("node_cpu_seconds_total", HOST, cpu="0", mode="idle"): one,
        series("node_cpu_seconds_total", HOST, cpu="1", mode="idle"): other,
        series("node_cpu_seconds_total", HOST, cpu="0", mode="user"): "0+3x200",
    }


def _busy(severity: dict[str, str], percent: str, limit: str) -> Firing:
    return Firing(
        labels=without(HOST, "job") | severity,
        summary="The CPU of here:1 is busy",
        description=f"{percent}% of the CPU time was not idle (limit {limit}).",
    )


CPU = (
    Example(
        alert="HighCPUUsage",
        says="a core has nothing left and the other a quarter, until the work is done",
        severity="warning",
        # At first 87.5 % are busy, then a half.
        series=_idle("0x60 7.5+7.5x100", "0+3.75x60 232.5+7.5x100"),
        at="11m",
        quiet_at="10m",
        resolved_at="20m",
        fires=(_busy(WARNING, "87.5", "0.8"),),
    ),
    Example(
        alert="HighCPUUsage",
        says="one of two cores is busy",
        severity="warning",
        series=_idle("0+15x120", "0x120"),
        at="25m",
    ),
    Example(
        alert="HighCPUUsage",
        says=HAIR,
        severity="warning",
        series=_idle("0+3.01x120", "0+3.01x120"),
        at="25m",
    ),
    Example(
        alert="HighCPUUsage",
        says="both cores have nothing left for five minutes, and the warning is still to come",
        severity="critical",
        series=_idle("0x40 15+15x100", "0x40 15+15x100"),
        at="5m15s",
        quiet_at="5m",
        resolved_at="16m",
        fires=(_busy(CRITICAL, "100", "0.9"),),
    ),
    Example(
        alert="HighCPUUsage",
        says="both cores have nothing left for longer: both levels, of which the lesser is held back",
        severity="critical",
        series=_idle("0x120", "0x120"),
        at="11m",
        fires=(_busy(WARNING, "100", "0.8"), _busy(CRITICAL, "100", "0.9")),
    ),
    Example(
        alert="HighCPUUsage",
        says=HAIR,
        severity="critical",
        series=_idle("0+1.515x120", "0+1.515x120"),
        at="25m",
        fires=(_busy(WARNING, "89.9", "0.8"),),
    ),
)

OF_NODE = (
    *CPU,
    *tried(
        "HighMemoryUsage",
        {
            series("node_memory_MemAvailable_bytes", HOST): gauge(5, 15, 50),
            series("node_memory_MemTotal_bytes", HOST): gauge(100),
        },
        Firing(
            labels=HOST | WARNING,
            summary="The memory of here:1 is nearly used up",
            description="95% of the memory is not available (limit 0.85).",
        ),
        wait="10m",
    ),
    *tried(
        "DiskSpaceLow",
        {
            series("node_filesystem_avail_bytes", DISK): gauge(5, 15, 50),
            series("node_filesystem_size_bytes", DISK): gauge(100),
            series("node_filesystem_avail_bytes", MEMORY_DISK): gauge(0),
            series("node_filesystem_size_bytes", MEMORY_DISK): gauge(100),
        },
        Firing(labels=DISK | WARNING, summary="/ of here:1 is nearly full", description="5% is free (limit 0.15)."),
        wait="5m",
    ),
    *tried(
        "DatabaseDiskFull",
        {
            series("node_filesystem_avail_bytes", DATABASE_DISK): gauge(5, 10, 50),
            series("node_filesystem_size_bytes", DATABASE_DISK): gauge(100),
            series("node_filesystem_avail_bytes", DISK): gauge(5),
            series("node_filesystem_size_bytes", DISK): gauge(100),
        },
        Firing(
            labels=DATABASE_DISK | CRITICAL,
            summary="The database's filesystem /var/lib/postgresql/16 of here:1 is nearly full",
            description="5% is free (limit 0.1); a database stops writing when nothing is.",
        ),
        wait="5m",
    ),
    Example(
        alert="DatabaseDiskFull",
        says="the size is known of another mount point only",
        series={
            series("node_filesystem_avail_bytes", DATABASE_DISK): "5x60",
            series("node_filesystem_size_bytes", DISK): "100x60",
        },
        at="10m",
    ),
    Example(
        alert="DiskWillFill",
        says="it loses a hundredth each minute and has less than two fifths, until something is freed",
        series={
            series("node_filesystem_avail_bytes", DISK): "100000-1000x95 60000x60",
            series("node_filesystem_size_bytes", DISK): "100000x160",
        },
        step="1m",
        at="91m",
        quiet_at="90m",
        resolved_at="97m",
        fires=(
            Firing(
                labels=DISK | WARNING,
                summary="/ of here:1 fills within four hours",
                description="At the pace of the last hour there would be -225.6kiB left in four hours.",
            ),
        ),
    ),
    Example(
        alert="DiskWillFill",
        says="it is small but does not grow",
        series={
            series("node_filesystem_avail_bytes", DISK): "20x200",
            series("node_filesystem_size_bytes", DISK): "100x200",
        },
        step="1m",
        at="150m",
    ),
    Example(
        alert="DiskWillFill",
        says="exactly the limit of free space, whatever the pace",
        series={
            series("node_filesystem_avail_bytes", DISK): "100-1x60 40x40",
            series("node_filesystem_size_bytes", DISK): "100x110",
        },
        step="1m",
        at="99m",
    ),
    *tried(
        "HostInodesLow",
        {
            series("node_filesystem_files_free", DISK): gauge(5, 10, 50),
            series("node_filesystem_files", DISK): gauge(100),
        },
        Firing(
            labels=DISK | WARNING,
            summary="/ of here:1 runs out of inodes",
            description="5% of the inodes are free (limit 0.1), however much space is left.",
        ),
        wait="5m",
    ),
    Example(
        alert="HostInodesLow",
        says="a filesystem that counts no inodes",
        series={
            series("node_filesystem_files_free", DISK): "0x60",
            series("node_filesystem_files", DISK): "0x60",
        },
        at="10m",
    ),
    Example(
        alert="HostFilesystemReadOnly",
        says="a disk failed, and was mended",
        series={series("node_filesystem_readonly", DISK): "0x8 1x8 0x20"},
        at="3m15s",
        quiet_at="3m",
        resolved_at="6m",
        fires=(
            Firing(
                labels=DISK | CRITICAL,
                summary="/ of here:1 became read-only",
                description="The filesystem could be written within the last day and cannot any more (readonly is 1).",
            ),
        ),
    ),
    Example(
        alert="HostFilesystemReadOnly",
        says="it never was written to",
        series={series("node_filesystem_readonly", DISK): "1x60"},
        at="10m",
    ),
    *tried(
        "HostDiskSaturated",
        {
            series("node_disk_io_time_seconds_total", HOST, device="sda"): counter(13.5, 10.5, 1.5),
            series("node_disk_io_time_seconds_total", HOST, device="loop0"): counter(15),
        },
        Firing(
            labels=HOST | WARNING | {"device": "sda"},
            summary="Disk sda of here:1 is busy",
            description="It was busy 90% of the time (limit 0.7).",
        ),
        wait="15m",
        window="5m",
    ),
    *tried(
        "HostIOPressure",
        {series("node_pressure_io_stalled_seconds_total", HOST): counter(7.5, 4.5, 0)},
        Firing(
            labels=HOST | WARNING,
            summary="Everything on here:1 waits for its disks",
            description="Nothing could run but wait for disks in 50% of the time (limit 0.3).",
        ),
        wait="15m",
        window="5m",
    ),
    *tried(
        "HostMemoryPressure",
        {series("node_pressure_memory_waiting_seconds_total", HOST): counter(3, 1.5, 0)},
        Firing(
            labels=HOST | WARNING,
            summary="Processes of here:1 wait for memory",
            description="Something waited for memory in 20% of the time (limit 0.1).",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "HostSwapping",
        {
            series("node_vmstat_pswpin", HOST): counter(15000, 7500, 0),
            series("node_vmstat_pswpout", HOST): counter(15000, 7500, 0),
        },
        Firing(
            labels=HOST | WARNING,
            summary="here:1 swaps",
            description="2k pages a second go to and from swap (limit 1000).",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "HostOutOfMemoryKill",
        {series("node_vmstat_oom_kill", HOST): counter(1, 0, 0)},
        Firing(
            labels=HOST | WARNING,
            summary="The kernel of here:1 killed a process for want of memory",
            description="40 processes were killed in 10 minutes.",
        ),
        window="10m",
    ),
    *tried(
        "HostNetworkErrors",
        {
            series("node_network_receive_errs_total", HOST, device="eth0"): counter(30, 6, 0),
            series("node_network_transmit_errs_total", HOST, device="eth0"): counter(0),
            series("node_network_receive_packets_total", HOST, device="eth0"): counter(300),
            series("node_network_transmit_packets_total", HOST, device="eth0"): counter(300),
        },
        Firing(
            labels=HOST | WARNING | {"device": "eth0"},
            summary="Network interface eth0 of here:1 has errors",
            description="5% of its packets had an error (limit 0.01).",
        ),
        wait="10m",
        window="5m",
    ),
    Example(
        alert="HostNetworkErrors",
        says="every packet has an error, but there is hardly any",
        series={
            series(f"node_network_{name}_total", HOST, device="eth0"): "0+1x100"
            for name in ("receive_errs", "transmit_errs", "receive_packets", "transmit_packets")
        },
        at="20m",
    ),
    *tried(
        "HostConnectionTrackingNearlyFull",
        {
            series("node_nf_conntrack_entries", HOST): gauge(90, 80, 10),
            series("node_nf_conntrack_entries_limit", HOST): gauge(100),
        },
        Firing(
            labels=HOST | WARNING,
            summary="here:1 tracks nearly as many connections as it can",
            description="90% of the table is taken (limit 0.8); new connections are dropped when it is full.",
        ),
        wait="5m",
    ),
    *tried(
        "HostFileDescriptorsLow",
        {series("node_filefd_allocated", HOST): gauge(90, 80, 10), series("node_filefd_maximum", HOST): gauge(100)},
        Firing(
            labels=HOST | WARNING,
            summary="here:1 runs out of file descriptors",
            description="90% of the host's file descriptors are taken (limit 0.8).",
        ),
        wait="5m",
    ),
    *tried(
        "HostClockSkewed",
        {series("node_timex_offset_seconds", HOST): gauge(-2, -0.05, 0.001)},
        Firing(
            labels=HOST | WARNING,
            summary="The clock of here:1 is wrong",
            description="It is 2s off (limit 0.05 s): tokens, certificates and traces suffer first.",
        ),
        wait="10m",
    ),
    *tried(
        "HostClockNotSynchronised",
        {
            series("node_timex_maxerror_seconds", HOST): gauge(16, 15.99, 0.5),
            series("node_timex_sync_status", HOST): gauge(0, 0, 1),
        },
        Firing(
            labels=HOST | INFO,
            summary="Nothing sets the clock of here:1",
            description="It may be 16s wrong, and drifts (limit 16 s).",
        ),
        wait="10m",
        border=HAIR,
    ),
    Example(
        alert="HostRebooted",
        says="it was started again an hour after its first start",
        series={series("node_boot_time_seconds", HOST): "1000x20 4600x200"},
        at="6m",
        quiet_at="5m",
        resolved_at="36m",
        fires=(
            Firing(
                labels=HOST | INFO,
                summary="here:1 was started again",
                description="It started 1h 0m 0s later than the start that was known half an hour ago.",
            ),
        ),
    ),
    Example(
        alert="HostRebooted",
        says="its clock was set by a minute (the boundary)",
        series={series("node_boot_time_seconds", HOST): "1000x20 1060x100"},
        at="10m",
    ),
    *tried(
        "HostRaidDegraded",
        {
            series("node_md_disks", HOST, device="md0", state="failed"): gauge(1, 0),
            series("node_md_disks", HOST, device="md0", state="active"): gauge(1),
        },
        Firing(
            labels=HOST | CRITICAL | {"device": "md0", "state": "failed"},
            summary="RAID md0 of here:1 lost a disk",
            description="1 of its disks failed: the next one may take the contents along.",
        ),
        wait="1m",
    ),
    *tried(
        "HostMemoryFaulty",
        {series("node_edac_uncorrectable_errors_total", HOST, controller="0"): counter(1, 0, 0)},
        Firing(
            labels=HOST | CRITICAL | {"controller": "0"},
            summary="The memory of here:1 has errors that it cannot correct",
            description="60 errors in an hour on controller 0.",
        ),
        window="1h",
        step="1m",
    ),
)

STATEMENT = DATABASE | {"user": "app", "queryid": "42"}
TABLE = DATABASE | {"schemaname": "public", "relname": "orders"}


OF_POSTGRES = (
    *tried(
        "PostgresDown",
        {series("pg_up", POSTGRES): gauge(0, 1)},
        Firing(
            labels=POSTGRES | CRITICAL,
            summary="PostgreSQL db:5432 does not answer",
            description="The exporter cannot log in to db:5432 (pg_up is 0).",
        ),
        wait="1m",
        border=NO_LIMIT,
    ),
    *tried(
        "PostgresConnectionsSaturated",
        {
            series("pg_stat_database_numbackends", POSTGRES, datname="a", datid="1"): gauge(60, 50, 10),
            series("pg_stat_database_numbackends", POSTGRES, datname="b", datid="2"): gauge(30),
            series("pg_settings_max_connections", POSTGRES, server="db:5432"): gauge(100),
        },
        Firing(
            labels=without(POSTGRES, "job") | WARNING,
            summary="PostgreSQL db:5432 runs out of connections",
            description="90% of max_connections is in use (limit 0.8).",
        ),
        wait="5m",
    ),
    *tried(
        "PostgresExporterFailing",
        {series("pg_exporter_last_scrape_error", POSTGRES): gauge(1, 0)},
        Firing(
            labels=POSTGRES | WARNING,
            summary="Metrics of PostgreSQL db:5432 are incomplete",
            description="The exporter's last scrape failed in part (pg_exporter_last_scrape_error is 1).",
        ),
        wait="10m",
    ),
    *tried(
        "PostgresCollectorFailing",
        {
            series("pg_scrape_collector_success", POSTGRES, collector="stat_statements"): gauge(0, 1),
            series("pg_scrape_collector_success", POSTGRES, collector="wal"): gauge(1),
        },
        Firing(
            labels=POSTGRES | WARNING | {"collector": "stat_statements"},
            summary="The exporter cannot read stat_statements of PostgreSQL db:5432",
            description="What it measures of stat_statements is missing (success is 0).",
        ),
        wait="15m",
        border=NO_LIMIT,
    ),
    Example(
        alert="PostgresRestarted",
        says="it was started again an hour after its first start",
        series={series("pg_postmaster_start_time_seconds", POSTGRES): "1000x20 4600x200"},
        at="6m",
        quiet_at="5m",
        resolved_at="36m",
        fires=(
            Firing(
                labels=POSTGRES | INFO,
                summary="PostgreSQL db:5432 was started again",
                description="It started 1h 0m 0s later than the start that was known half an hour ago.",
            ),
        ),
    ),
    Example(
        alert="PostgresRestarted",
        says="its clock was set by ten seconds (the boundary)",
        series={series("pg_postmaster_start_time_seconds", POSTGRES): "1000x20 1010x100"},
        at="10m",
    ),
    *tried(
        "PostgresReplicationLagging",
        {series("pg_replication_lag_seconds", POSTGRES): gauge(90, 60, 0)},
        Firing(
            labels=POSTGRES | WARNING,
            summary="The replica PostgreSQL db:5432 is behind",
            description="It is 1m 30s behind its primary (limit 60 s).",
        ),
        wait="5m",
    ),
    *tried(
        "PostgresReplicationSlotInactive",
        {series("pg_replication_slots_active", POSTGRES, slot_name="copy", database="shop"): gauge(0, 1)},
        Firing(
            labels=POSTGRES | WARNING | {"slot_name": "copy", "database": "shop"},
            summary="Nobody reads replication slot copy of PostgreSQL db:5432",
            description="The server keeps all WAL for it until somebody does, and fills its disk (active is 0).",
        ),
        wait="30m",
        border=NO_LIMIT,
    ),
    *tried(
        "PostgresArchivingFailing",
        {series("pg_stat_archiver_failed_count", POSTGRES): counter(1, 0, 0)},
        Firing(
            labels=POSTGRES | WARNING,
            summary="PostgreSQL db:5432 cannot archive its WAL",
            description="60 attempts failed in 15 minutes: backups end where it began, and WAL fills the disk.",
        ),
        wait="15m",
        window="15m",
    ),
    *tried(
        "PostgresWraparoundNear",
        {series("pg_database_wraparound_age_datfrozenxid_seconds", DATABASE): gauge(1.5e9, 1e9, 2e8)},
        Firing(
            labels=DATABASE | CRITICAL,
            summary="Database shop of PostgreSQL db:5432 runs out of transaction ids",
            description=(
                "Its oldest row is 1.5G transactions old (limit 1000000000);"
                " at 2.1 billion the server stops taking writes."
            ),
        ),
        wait="15m",
    ),
    *tried(
        "PostgresDeadlocks",
        {series("pg_stat_database_deadlocks", DATABASE): counter(1, 0, 0)},
        Firing(
            labels=DATABASE | WARNING,
            summary="Transactions of shop on PostgreSQL db:5432 lock each other out",
            description="20 deadlocks in 5 minutes; one transaction of each was ended.",
        ),
        window="5m",
    ),
    *tried(
        "PostgresTransactionLong",
        {
            series("pg_stat_activity_max_tx_duration", DATABASE, state="active", usename="a"): gauge(3600, 1800, 0),
            series("pg_stat_activity_max_tx_duration", DATABASE, state="active", usename="b"): gauge(1),
            series("pg_stat_activity_max_tx_duration", DATABASE, state="idle", usename="a"): gauge(9999),
        },
        Firing(
            labels=without(DATABASE, "job") | WARNING,
            summary="A transaction on shop of PostgreSQL db:5432 takes very long",
            description="The oldest has run for 1h 0m 0s (limit 1800 s), and holds back vacuum.",
        ),
        wait="5m",
    ),
    *tried(
        "PostgresTransactionIdle",
        {
            series("pg_stat_activity_max_tx_duration", DATABASE, state="idle in transaction"): gauge(600, 300, 0),
            series("pg_stat_activity_max_tx_duration", DATABASE, state="active"): gauge(9999),
        },
        Firing(
            labels=without(DATABASE, "job") | WARNING,
            summary="A client of shop on PostgreSQL db:5432 leaves its transaction open",
            description="It has been idle inside a transaction for up to 10m 0s (limit 300 s), and keeps its locks.",
        ),
        wait="5m",
    ),
    *tried(
        "PostgresRollbacksHigh",
        {
            series("pg_stat_database_xact_commit", DATABASE, datid="1"): counter(90, 270, 300),
            series("pg_stat_database_xact_rollback", DATABASE, datid="1"): counter(30, 30, 0),
        },
        Firing(
            labels=without(DATABASE, "job") | WARNING,
            summary="Many transactions of shop on PostgreSQL db:5432 are undone",
            description="25% of the transactions end in a rollback (limit 0.1).",
        ),
        wait="10m",
        window="5m",
    ),
    Example(
        alert="PostgresRollbacksHigh",
        says="every transaction is undone, but there is hardly any",
        series={
            series("pg_stat_database_xact_commit", DATABASE, datid="1"): "5x200",
            series("pg_stat_database_xact_rollback", DATABASE, datid="1"): "0+1x200",
        },
        at="30m",
    ),
    *tried(
        "PostgresCacheHitsLow",
        {
            series("pg_stat_database_blks_hit", DATABASE, datid="1"): counter(3000, 5400, 6000),
            series("pg_stat_database_blks_read", DATABASE, datid="1"): counter(3000, 600, 0),
        },
        Firing(
            labels=without(DATABASE, "job") | WARNING,
            summary="shop on PostgreSQL db:5432 reads much from disk",
            description="50% of the blocks were in shared_buffers (limit 0.9).",
        ),
        wait="30m",
        window="15m",
    ),
    Example(
        alert="PostgresCacheHitsLow",
        says="nothing is in the cache, but hardly anything is read",
        series={
            series("pg_stat_database_blks_hit", DATABASE, datid="1"): "5x300",
            series("pg_stat_database_blks_read", DATABASE, datid="1"): "0+15x300",
        },
        at="60m",
    ),
    *tried(
        "PostgresTemporaryFiles",
        {series("pg_stat_database_temp_bytes", DATABASE, datid="1"): counter(15 * 20 * MEBIBYTE, 15e7, 0)},
        Firing(
            labels=without(DATABASE, "job") | WARNING,
            summary="Queries of shop on PostgreSQL db:5432 do not fit into memory",
            description="They write 20MiB a second to temporary files (limit 10000000 bytes).",
        ),
        wait="15m",
        window="15m",
    ),
    *tried(
        "PostgresDeadRows",
        {
            series("pg_stat_user_tables_n_dead_tup", TABLE): gauge(100000, 40000, 0),
            series("pg_stat_user_tables_n_live_tup", TABLE): gauge(100000, 160000, 200000),
        },
        Firing(
            labels=TABLE | WARNING,
            summary="Vacuum does not keep up with table orders of PostgreSQL db:5432",
            description="50% of the rows of shop.orders are dead (limit 0.2).",
        ),
        wait="1h",
        step="1m",
    ),
    Example(
        alert="PostgresDeadRows",
        says="a small table, all dead",
        series={
            series("pg_stat_user_tables_n_dead_tup", TABLE): "99x100",
            series("pg_stat_user_tables_n_live_tup", TABLE): "1x100",
        },
        step="1m",
        at="90m",
    ),
    *tried(
        "PostgresStatementSlow",
        {
            series("pg_stat_statements_seconds_total", STATEMENT): counter(30, 15, 1),
            series("pg_stat_statements_calls_total", STATEMENT): counter(15),
        },
        Firing(
            labels=without(STATEMENT, "job") | WARNING,
            summary="A statement on shop of PostgreSQL db:5432 is slow",
            description="Statement 42 takes 2s on average (limit 1 s).",
        ),
        wait="10m",
        window="10m",
    ),
    Example(
        alert="PostgresStatementSlow",
        says="it is slow, but seldom",
        series={
            series("pg_stat_statements_seconds_total", STATEMENT): "0+5x200",
            series("pg_stat_statements_calls_total", STATEMENT): "0+0.1x200",
        },
        at="40m",
    ),
)

MASTER = {"master_host": "first", "master_port": "6379"}
REPLICA = {"slave_ip": "10.0.0.2", "slave_port": "6379", "slave_state": "online"}

OF_REDIS = (
    *tried(
        "RedisDown",
        {series("redis_up", REDIS): gauge(0, 1)},
        Firing(
            labels=REDIS | CRITICAL,
            summary="Redis cache:6379 does not answer",
            description="The exporter gets no answer to INFO from cache:6379 (redis_up is 0).",
        ),
        wait="1m",
        border=NO_LIMIT,
    ),
    *tried(
        "RedisMemoryNearlyFull",
        {
            series("redis_memory_used_bytes", REDIS): gauge(95, 90, 50),
            series("redis_memory_max_bytes", REDIS): gauge(100),
        },
        Firing(
            labels=REDIS | WARNING,
            summary="Redis cache:6379 nearly fills its memory",
            description="95% of maxmemory is used (limit 0.9).",
        ),
        wait="5m",
    ),
    Example(
        alert="RedisMemoryNearlyFull",
        says="there is no maxmemory",
        series={series("redis_memory_used_bytes", REDIS): "90x40", series("redis_memory_max_bytes", REDIS): "0x40"},
        at="8m",
    ),
    *tried(
        "RedisRejectsConnections",
        {series("redis_rejected_connections_total", REDIS): counter(1, 0, 0)},
        Firing(
            labels=REDIS | WARNING,
            summary="Redis cache:6379 turns clients away",
            description="20 connections were refused in 5 minutes: maxclients is reached.",
        ),
        window="5m",
    ),
    *tried(
        "RedisClientsNearlyFull",
        {
            series("redis_connected_clients", REDIS): gauge(90, 80, 10),
            series("redis_config_maxclients", REDIS): gauge(100),
        },
        Firing(
            labels=REDIS | WARNING,
            summary="Redis cache:6379 has nearly as many clients as it takes",
            description="90% of maxclients are connected (limit 0.8).",
        ),
        wait="5m",
    ),
    *tried(
        "RedisEvictsKeys",
        {series("redis_evicted_keys_total", REDIS): counter(60, 15, 0)},
        Firing(
            labels=REDIS | WARNING,
            summary="Redis cache:6379 throws keys away",
            description="4 keys a second are evicted before they expire (limit 1).",
        ),
        wait="10m",
        window="5m",
    ),
    *tried(
        "RedisHitRatioLow",
        {
            series("redis_keyspace_hits_total", REDIS): counter(30, 60, 100),
            series("redis_keyspace_misses_total", REDIS): counter(90, 60, 10),
        },
        Firing(
            labels=without(REDIS, "job") | WARNING,
            summary="Redis cache:6379 seldom has what it is asked for",
            description="25% of the keys that were asked for were there (limit 0.5).",
        ),
        wait="15m",
        window="10m",
    ),
    Example(
        alert="RedisHitRatioLow",
        says="every question misses, but there is hardly any",
        series={
            series("redis_keyspace_hits_total", REDIS): "5x200",
            series("redis_keyspace_misses_total", REDIS): "0+1x200",
        },
        at="40m",
    ),
    *tried(
        "RedisReplicationBroken",
        {series("redis_master_link_up", REDIS, **MASTER): gauge(0, 1)},
        Firing(
            labels=REDIS | CRITICAL | MASTER,
            summary="The replica Redis cache:6379 lost its master",
            description="It gets no changes from first:6379 (link up is 0), and answers with what was.",
        ),
        wait="2m",
        border=NO_LIMIT,
    ),
    *tried(
        "RedisReplicaLagging",
        {series("redis_connected_slave_lag_seconds", REDIS, **REPLICA): gauge(90, 30, 1)},
        Firing(
            labels=REDIS | WARNING | REPLICA,
            summary="A replica of Redis cache:6379 is behind",
            description="10.0.0.2 was last heard of 1m 30s ago (limit 30 s).",
        ),
        wait="5m",
    ),
    *tried(
        "RedisSnapshotFailed",
        {series("redis_rdb_last_bgsave_status", REDIS): gauge(0, 1)},
        Firing(
            labels=REDIS | CRITICAL,
            summary="Redis cache:6379 cannot save its snapshot",
            description=(
                "The last one failed (status is 0): by its defaults the server refuses writes until one succeeds."
            ),
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "RedisAppendFailed",
        {series("redis_aof_last_write_status", REDIS): gauge(0, 1)},
        Firing(
            labels=REDIS | CRITICAL,
            summary="Redis cache:6379 cannot write its append-only file",
            description="The last write failed (status is 0): what changes now would be lost by a restart.",
        ),
        wait="1m",
        border=NO_LIMIT,
    ),
    *tried(
        "RedisAppendRewriteFailed",
        {series("redis_aof_last_bgrewrite_status", REDIS): gauge(0, 1)},
        Firing(
            labels=REDIS | WARNING,
            summary="Redis cache:6379 cannot shorten its append-only file",
            description="The last rewrite failed (status is 0): the file grows until the disk is full.",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "RedisSlowCommands",
        {series("redis_slowlog_last_id", REDIS): counter(1, 0.25, 0)},
        Firing(
            labels=REDIS | WARNING,
            summary="Redis cache:6379 has slow commands",
            description="40 commands came into its slow log in 10 minutes (limit 10).",
        ),
        wait="5m",
        window="10m",
    ),
    *tried(
        "RedisClientsBlocked",
        {series("redis_blocked_clients", REDIS): gauge(300, 200, 8)},
        Firing(
            labels=REDIS | WARNING,
            summary="Very many clients wait for Redis cache:6379",
            description="300 clients are blocked in a command (limit 200).",
        ),
        wait="15m",
    ),
    *tried(
        "RedisMemoryFragmented",
        {
            series("redis_mem_fragmentation_ratio", REDIS): gauge(2, 1.5, 1),
            series("redis_memory_used_bytes", REDIS): gauge(512 * MEBIBYTE),
        },
        Firing(
            labels=REDIS | INFO,
            summary="Redis cache:6379 takes much more memory than it uses",
            description="The process has 2 times the memory of its keys (limit 1.5).",
        ),
        wait="30m",
    ),
    Example(
        alert="RedisMemoryFragmented",
        says="a small server",
        series={
            series("redis_mem_fragmentation_ratio", REDIS): "9x200",
            series("redis_memory_used_bytes", REDIS): f"{MEBIBYTE}x200",
        },
        at="40m",
    ),
    Example(
        alert="RedisRestarted",
        says="it was started again",
        series={series("redis_uptime_in_seconds", REDIS): "1000+15x20 5+15x200"},
        at="6m",
        quiet_at="5m",
        resolved_at="21m",
        fires=(
            Firing(
                labels=REDIS | INFO,
                summary="Redis cache:6379 was started again",
                description="It started 1 times in 15 minutes.",
            ),
        ),
    ),
    Example(
        alert="RedisRestarted",
        says="it has only run (the boundary)",
        series={series("redis_uptime_in_seconds", REDIS): "0+15x100"},
        at="20m",
    ),
)

OF_NGINX = (
    *tried(
        "NginxDown",
        {series("nginx_up", NGINX): gauge(0, 1)},
        Firing(
            labels=NGINX | CRITICAL,
            summary="nginx front:80 does not answer",
            description="The exporter cannot read the status page of front:80 (nginx_up is 0).",
        ),
        wait="1m",
        border=NO_LIMIT,
    ),
    *tried(
        "NginxDropsConnections",
        {
            series("nginx_connections_accepted", NGINX): counter(45, 30),
            series("nginx_connections_handled", NGINX): counter(15, 30),
        },
        Firing(
            labels=NGINX | WARNING,
            summary="nginx front:80 drops connections",
            description="2 accepted connections a second are not handled.",
        ),
        wait="5m",
        window="5m",
    ),
    *tried(
        "NginxAnswersPilingUp",
        {series("nginx_connections_writing", NGINX): gauge(300, 200, 5)},
        Firing(
            labels=NGINX | WARNING,
            summary="nginx front:80 has very many requests at work",
            description="300 requests are being answered at once (limit 200).",
        ),
        wait="5m",
    ),
    *tried(
        "NginxIdleConnectionsHigh",
        {series("nginx_connections_waiting", NGINX): gauge(9000, 5000, 50)},
        Firing(
            labels=NGINX | WARNING,
            summary="nginx front:80 keeps very many idle connections",
            description=(
                "9000 clients keep a connection without a request (limit 5000); they count against worker_connections."
            ),
        ),
        wait="10m",
    ),
    Example(
        alert="NginxTrafficStopped",
        says="ten requests a second an hour ago, none since, and some again",
        series={series("nginx_http_requests_total", NGINX): "0+600x70 42000x30 42600+600x60"},
        step="1m",
        at="90m",
        quiet_at="80m",
        resolved_at="105m",
        fires=(
            Firing(
                labels=NGINX | WARNING,
                summary="Nobody asks nginx front:80 for anything any more",
                description="0 requests a second arrive; an hour ago it were more than 5.",
            ),
        ),
    ),
    Example(
        alert="NginxTrafficStopped",
        says="five requests a second an hour ago (the boundary)",
        series={series("nginx_http_requests_total", NGINX): "0+300x70 21000x60"},
        step="1m",
        at="90m",
    ),
    Example(
        alert="NginxTrafficStopped",
        says="it never had any traffic",
        series={series("nginx_http_requests_total", NGINX): "4x120"},
        step="1m",
        at="110m",
    ),
    Example(
        alert="NginxRestarted",
        says="it was started again",
        series={series("nginx_connections_accepted", NGINX): "1000+15x20 5+15x200"},
        at="6m",
        quiet_at="5m",
        resolved_at="21m",
        fires=(
            Firing(
                labels=NGINX | INFO,
                summary="nginx front:80 was started again",
                description="It started 1 times in 15 minutes; a reload does not count.",
            ),
        ),
    ),
    Example(
        alert="NginxRestarted",
        says="it has only run (the boundary)",
        series={series("nginx_connections_accepted", NGINX): "0+15x100"},
        at="20m",
    ),
)


def _events(kind: str, task: str = "pay", worker: str = "a@here") -> str:
    return series("flower_events_total", CELERY, type=f"task-{kind}", task=task, worker=worker)


def _online(worker: str) -> str:
    return series("flower_worker_online", CELERY, worker=worker)


def _gone(worker: str) -> Firing:
    return Firing(
        labels=CELERY | WARNING | {"worker": worker},
        summary=f"Celery worker {worker} is gone",
        description=(
            f"{worker} was there half an hour ago (flower_worker_online was 1), sends no heartbeat any more,"
            " and there are fewer workers than then."
        ),
    )


def _deserted(flower: dict[str, str]) -> Firing:
    return Firing(
        labels=flower | CRITICAL,
        summary="No Celery worker of shop is there",
        description=(
            f"flower {flower['instance']} answers (up is 1), and no worker sends it a heartbeat: tasks only queue up."
        ),
    )


REGISTERED = CELERY | {"job": "applications", "instance": "there:1"}
TASK = without(CELERY, "job") | {"task": "pay"}

OF_CELERY = (
    Example(
        alert="CeleryWorkerDown",
        says="one of two is killed, so that flower forgets it; half an hour later that is how it is",
        series={_online("a@here"): "1x40 stale _x60", _online("b@here"): "1x100"},
        step="1m",
        at="47m",
        quiet_at="45m",
        resolved_at="72m",
        fires=(_gone("a@here"),),
    ),
    Example(
        alert="CeleryWorkerDown",
        says="one of two says goodbye, and comes back",
        series={_online("a@here"): "1x40 0x1 stale _x7 1x40", _online("b@here"): "1x100"},
        step="1m",
        at="47m",
        quiet_at="45m",
        resolved_at="52m",
        fires=(_gone("a@here"),),
    ),
    Example(
        alert="CeleryWorkerDown",
        says="a rollout gives both another name, one after the other",
        series={
            _online("a@old"): "1x40 0x1 stale _x60",
            _online("b@old"): "1x43 0x1 stale _x60",
            _online("a@new"): "_x41 1x60",
            _online("b@new"): "_x44 1x60",
        },
        step="1m",
        at="60m",
    ),
    Example(
        alert="CeleryWorkerDown",
        says="all are gone, which CeleryNoWorkers tells",
        series={_online("a@here"): "1x40 0x60", _online("b@here"): "1x40 0x60"},
        step="1m",
        at="60m",
    ),
    Example(
        alert="CeleryNoWorkers",
        says="one says goodbye, the other is killed, so that flower forgets both, and one comes back",
        series={
            series("up", CELERY): "1x80",
            _online("a@here"): "1x19 0x7 stale _x12 1x40",
            _online("b@here"): "1x19 stale _x60",
        },
        at="7m",
        quiet_at="6m45s",
        resolved_at="10m30s",
        fires=(_deserted(CELERY),),
    ),
    Example(
        alert="CeleryNoWorkers",
        says="a flower that registered itself never saw a worker",
        series={series("up", REGISTERED): "1x40", series("up", CELERY): "1x40", _online("a@here"): "1x40"},
        at="5m",
        fires=(_deserted(REGISTERED),),
    ),
    Example(
        alert="CeleryNoWorkers",
        says="one of two workers is there",
        series={series("up", CELERY): "1x40", _online("a@here"): "0x40", _online("b@here"): "1x40"},
        at="9m",
    ),
    Example(
        alert="CeleryNoWorkers",
        says="flower itself is down, which ServiceDown tells",
        series={series("up", CELERY): "0x40"},
        at="9m",
    ),
    *tried(
        "CeleryTasksFailing",
        {
            _events("failed"): counter(1, 1, 0),
            _events("succeeded", worker="b@here"): counter(1, 9, 1),
            _events("received"): counter(9),
            _events("succeeded", task="mail"): counter(1),
        },
        Firing(
            labels=TASK | WARNING,
            summary="Celery task pay fails",
            description="50% of its runs failed (limit 0.1).",
        ),
        wait="5m",
        window="5m",
    ),
    Example(
        alert="CeleryTasksFailing",
        says="nothing runs",
        series={_events("failed"): "4x60"},
        at="15m",
    ),
    *tried(
        "CeleryTasksRetried",
        {_events("retried"): counter(1, 1, 0), _events("succeeded"): counter(1, 3, 1)},
        Firing(
            labels=TASK | WARNING,
            summary="Celery task pay is tried again and again",
            description="50% of its runs end in another try (limit 0.25).",
        ),
        wait="10m",
        window="10m",
    ),
    *tried(
        "CeleryTasksSlow",
        {
            series("flower_task_runtime_seconds_bucket", CELERY, task="pay", worker="a@here", le="30"): counter(
                80, 95, 100
            ),
            series("flower_task_runtime_seconds_bucket", CELERY, task="pay", worker="a@here", le="60"): counter(100),
            series("flower_task_runtime_seconds_bucket", CELERY, task="pay", worker="a@here", le="+Inf"): counter(100),
        },
        Firing(
            labels=TASK | WARNING,
            summary="Celery task pay is slow",
            description="The 95th percentile of its runtime is 52.5s (limit 30 s).",
        ),
        wait="10m",
        window="10m",
    ),
    *tried(
        "CeleryTasksWaiting",
        {
            series("flower_task_prefetch_time_seconds", CELERY, task="pay", worker="a@here"): gauge(90, 60, 0),
            series("flower_task_prefetch_time_seconds", CELERY, task="pay", worker="b@here"): gauge(1),
        },
        Firing(
            labels=TASK | WARNING,
            summary="Celery task pay waits for a free worker",
            description="It was with a worker for 1m 30s before it began (limit 60 s).",
        ),
        wait="10m",
    ),
    *tried(
        "CeleryTasksQueued",
        {
            series("flower_worker_prefetched_tasks", CELERY, task="pay", worker="a@here"): gauge(100, 50, 0),
            series("flower_worker_prefetched_tasks", CELERY, task="mail", worker="a@here"): gauge(50),
        },
        Firing(
            labels=without(CELERY, "job") | WARNING | {"worker": "a@here"},
            summary="Tasks pile up at Celery worker a@here",
            description="150 tasks were fetched and have not begun (limit 100).",
        ),
        wait="10m",
    ),
    *tried(
        "CeleryQueueGrowing",
        {_events("received"): counter(45, 22.4, 15), _events("succeeded"): counter(15)},
        Firing(
            labels=without(CELERY, "job") | WARNING,
            summary="More Celery tasks of shop come than are done",
            description="2 tasks a second more arrive than end (limit 0.5).",
        ),
        wait="15m",
        window="30m",
        border=HAIR,
    ),
    Example(
        alert="CeleryTasksStuck",
        says="two tasks are at work, and none ends for an hour",
        series={
            series("flower_worker_number_of_currently_executing_tasks", CELERY, worker="a@here"): "2x200",
            _events("succeeded"): "7x90 8+1x100",
        },
        step="1m",
        at="31m",
        quiet_at="30m",
        resolved_at="94m",
        fires=(
            Firing(
                labels=without(CELERY, "job") | WARNING,
                summary="Celery tasks of shop begin and do not end",
                description="2 tasks are at work, and none has ended for half an hour.",
            ),
        ),
    ),
    Example(
        alert="CeleryTasksStuck",
        says="one task ends now and then (the boundary is none)",
        series={
            series("flower_worker_number_of_currently_executing_tasks", CELERY, worker="a@here"): "2x200",
            _events("failed"): "0+0.05x200",
        },
        step="1m",
        at="120m",
    ),
    Example(
        alert="CeleryTasksStuck",
        says="nothing is at work",
        series={
            series("flower_worker_number_of_currently_executing_tasks", CELERY, worker="a@here"): "0x200",
            _events("succeeded"): "7x200",
        },
        step="1m",
        at="120m",
    ),
    *tried(
        "CeleryTasksRejected",
        {_events("rejected"): counter(1, 0, 0), _events("revoked"): counter(1, 0.165, 0)},
        Firing(
            labels=TASK | WARNING,
            summary="Celery workers turn task pay away",
            description="120 were rejected or revoked in 15 minutes (limit 10).",
        ),
        wait="5m",
        window="15m",
        border=HAIR,
    ),
)


def _expiring(severity: dict[str, str], limit: int) -> Firing:
    return Firing(
        labels=PROBE | severity,
        summary="The certificate of shop ends soon",
        description=f"2 days are left (limit {limit}).",
    )


OF_PROBES = (
    *tried(
        "ProbeFailed",
        {series("probe_success", PROBE): gauge(0, 1)},
        Firing(
            labels=PROBE | CRITICAL,
            summary="shop does not answer",
            description="https://shop/ has not answered as it should for 2 minutes (probe_success is 0).",
        ),
        wait="2m",
        border=NO_LIMIT,
    ),
    *tried(
        "ProbeStatusBad",
        {series("probe_http_status_code", PROBE): gauge(503, 399, 200)},
        Firing(
            labels=PROBE | WARNING,
            summary="shop answers with status 503",
            description="https://shop/ answers, but with HTTP status 503 (limit 400).",
        ),
        wait="2m",
        border=HAIR,
    ),
    Example(
        alert="ProbeStatusBad",
        says="it does not answer at all",
        series={series("probe_http_status_code", PROBE): "0x40"},
        at="9m",
    ),
    *tried(
        "ProbeSlow",
        {series("probe_duration_seconds", PROBE): gauge(3, 2, 0.1), series("probe_success", PROBE): gauge(1)},
        Firing(
            labels=PROBE | WARNING,
            summary="shop answers slowly",
            description="https://shop/ takes 3s to answer (limit 2 s).",
        ),
        wait="5m",
    ),
    Example(
        alert="ProbeSlow",
        says="it timed out, which ProbeFailed tells",
        series={series("probe_duration_seconds", PROBE): "10x60", series("probe_success", PROBE): "0x60"},
        at="10m",
    ),
    Example(
        alert="ProbeFlapping",
        says="it comes and goes six times, and stays",
        series={series("probe_success", PROBE): "1x3 0x3 1x3 0x3 1x3 0x3 1x200"},
        at="7m",
        quiet_at="5m",
        resolved_at="37m",
        fires=(
            Firing(
                labels=PROBE | WARNING,
                summary="shop comes and goes",
                description="https://shop/ changed 6 times between answering and not in half an hour (limit 5).",
            ),
        ),
    ),
    Example(
        alert="ProbeFlapping",
        says="five changes (the boundary)",
        series={series("probe_success", PROBE): "1x3 0x3 1x3 0x3 1x3 0x100"},
        at="15m",
    ),
    Example(
        alert="CertificateExpiring",
        says="it ends in ten days, until it is renewed",
        severity="warning",
        series={series("probe_ssl_earliest_cert_expiry", PROBE): f"{2 * DAY + 10 * DAY + 4500}x80 {90 * DAY}x20"},
        step="1m",
        at="75m",
        quiet_at="59m",
        resolved_at="85m",
        fires=(
            Firing(
                labels=PROBE | WARNING,
                summary="The certificate of shop ends soon",
                description="12 days are left (limit 14).",
            ),
        ),
    ),
    Example(
        alert="CertificateExpiring",
        says="exactly the limit at every evaluation",
        severity="warning",
        series={series("probe_ssl_earliest_cert_expiry", PROBE): f"{14 * DAY}+15x320"},
        at="75m",
    ),
    Example(
        alert="CertificateExpiring",
        says="it ends in two days, until it is renewed",
        severity="critical",
        series={series("probe_ssl_earliest_cert_expiry", PROBE): f"{2 * DAY + 4500}x80 {90 * DAY}x20"},
        step="1m",
        at="75m",
        quiet_at="59m",
        resolved_at="85m",
        fires=(_expiring(WARNING, 14), _expiring(CRITICAL, 3)),
    ),
    Example(
        alert="CertificateExpiring",
        says="exactly the limit at every evaluation",
        severity="critical",
        series={series("probe_ssl_earliest_cert_expiry", PROBE): f"{3 * DAY}+15x320"},
        at="75m",
        fires=(
            Firing(
                labels=PROBE | WARNING,
                summary="The certificate of shop ends soon",
                description="3 days are left (limit 14).",
            ),
        ),
    ),
    *tried(
        "BlackboxConfigReloadFailed",
        {series("blackbox_exporter_config_last_reload_successful", BLACKBOX): gauge(0, 1)},
        Firing(
            labels=BLACKBOX | WARNING,
            summary="The blackbox exporter runs on an old configuration",
            description="The last reload of here:1 failed (successful is 0).",
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    *tried(
        "JsonPageUnreadable",
        {series("scrape_samples_scraped", PAGE): gauge(0, 1), series("up", PAGE): gauge(1)},
        Firing(
            labels=PAGE | WARNING,
            summary="The JSON page http://shop.example.com/health/database lacks numbers",
            description=(
                "http://shop.example.com/health/database has answered for 5 minutes,"
                " but with only 0 of the numbers that the settings name."
            ),
        ),
        wait="5m",
        border=NO_LIMIT,
    ),
    Example(
        alert="JsonPageUnreadable",
        says="it does not answer, which ServiceDown tells",
        series={series("scrape_samples_scraped", PAGE): "0x60", series("up", PAGE): "0x60"},
        at="14m",
    ),
    *tried(
        "JsonPageSlow",
        {series("scrape_duration_seconds", PAGE): gauge(8, 5, 0.1)},
        Firing(
            labels=PAGE | WARNING,
            summary="The JSON page http://shop.example.com/health/database is slow",
            description=(
                "Reading http://shop.example.com/health/database takes 8s (limit 5 s);"
                " after the timeout its metrics are missing."
            ),
        ),
        wait="5m",
    ),
)

OF_CONTAINERS = (
    *tried(
        "ContainerMemoryNearlyFull",
        {
            series("container_memory_working_set_bytes", CONTAINER): gauge(95, 90, 50),
            series("container_spec_memory_limit_bytes", CONTAINER): gauge(100),
            # No limit, and the host as a whole.
            series("container_memory_working_set_bytes", OTHER_CONTAINER): gauge(95),
            series("container_spec_memory_limit_bytes", OTHER_CONTAINER): gauge(0),
            series("container_memory_working_set_bytes", ALL_CONTAINERS): gauge(95),
            series("container_spec_memory_limit_bytes", ALL_CONTAINERS): gauge(100),
        },
        Firing(
            labels=OF_CONTAINER | WARNING,
            summary="Container shop-api nearly fills its memory",
            description="95% of its limit is in use (limit 0.9); beyond it the kernel kills it.",
        ),
        wait="10m",
    ),
    *tried(
        "ContainerOutOfMemoryKill",
        {
            series("container_oom_events_total", CONTAINER): counter(1, 0, 0),
            series("container_oom_events_total", OTHER_CONTAINER): counter(0),
        },
        Firing(
            labels=OF_CONTAINER | WARNING,
            summary="The kernel killed a process of container shop-api for want of memory",
            description="40 processes were killed in 10 minutes.",
        ),
        window="10m",
    ),
    *tried(
        "ContainerThrottled",
        {
            series("container_cpu_cfs_throttled_periods_total", CONTAINER): counter(120, 75, 15),
            series("container_cpu_cfs_periods_total", CONTAINER): counter(150),
        },
        Firing(
            labels=OF_CONTAINER | WARNING,
            summary="Container shop-api waits for its share of the CPU",
            description="It was held back in 80% of the periods in which it ran (limit 0.5).",
        ),
        wait="15m",
        window="5m",
    ),
    Example(
        alert="ContainerThrottled",
        says="it is held back in each of very few periods",
        series={
            series("container_cpu_cfs_throttled_periods_total", CONTAINER): "0+15x160",
            series("container_cpu_cfs_periods_total", CONTAINER): "0+15x160",
        },
        at="35m",
    ),
    Example(
        alert="ContainerRestarting",
        says="it was started three times, and stays up",
        series={series("container_start_time_seconds", CONTAINER): "0x4 60x4 120x4 180x100"},
        at="4m",
        quiet_at="2m45s",
        resolved_at="18m30s",
        fires=(
            Firing(
                labels=OF_CONTAINER | WARNING,
                summary="Container shop-api is started again and again",
                description="It was started 3 times in 15 minutes (limit 2).",
            ),
        ),
    ),
    Example(
        alert="ContainerRestarting",
        says="it was started twice (the boundary)",
        series={series("container_start_time_seconds", CONTAINER): "0x4 60x4 120x100"},
        at="10m",
    ),
    Example(
        alert="ContainerRestarting",
        says="others took its place three times, as a deployment does",
        series={
            series("container_start_time_seconds", CONTAINER, id=f"/docker/{index}"): f"_x{index * 4} {index}x4"
            for index in range(1, 4)
        },
        at="4m",
    ),
    *tried(
        "ContainerUnhealthy",
        {
            series("container_health_state", CONTAINER): gauge(0, 1),
            # It has no health check.
            series("container_health_state", OTHER_CONTAINER): gauge(-1),
        },
        Firing(
            labels=OF_CONTAINER | WARNING,
            summary="Container shop-api says of itself that it is not healthy",
            description="Its health check has not succeeded for 10 minutes (state is 0).",
        ),
        wait="10m",
        border=NO_LIMIT,
    ),
    *tried(
        "ContainersUnknown",
        {series("container_scrape_error", CADVISOR): gauge(1, 0)},
        Firing(
            labels=CADVISOR | WARNING,
            summary="cAdvisor cannot say which containers there are",
            description="Its last look at the containers failed (error is 1): alerts on containers are blind.",
        ),
        wait="5m",
    ),
)

EXAMPLES = (*OF_NODE, *OF_POSTGRES, *OF_REDIS, *OF_NGINX, *OF_CELERY, *OF_PROBES, *OF_CONTAINERS)
