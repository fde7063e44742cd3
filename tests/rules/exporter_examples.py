"""Examples of the alerts that exporters bring along."""

from tests.rules.examples import Example, Firing, labels, series, without

CRITICAL = {"severity": "critical"}
WARNING = {"severity": "warning"}

HOST = labels("node-exporter")
DISK = HOST | {"device": "/dev/sda", "fstype": "ext4", "mountpoint": "/"}
MEMORY_DISK = HOST | {"device": "tmpfs", "fstype": "tmpfs", "mountpoint": "/memory"}
POSTGRES = labels("postgres", app="shop", job="postgres-exporter", instance="db:5432")
REDIS = labels("redis", app="shop", job="redis-exporter", instance="cache:6379")
NGINX = labels("nginx", app="shop", job="nginx-exporter", instance="front:80")
CELERY = labels("celery", app="shop", job="celery")
PROBE = labels("probe", job="probe", instance="https://shop/", probe="shop")
PAGE = labels("json", app="shop", job="json", instance="http://shop/health")

DAY = 86400

OF_NODE = (
    Example(
        alert="HostCPUSaturated",
        says="two cores have nothing left, for ten minutes",
        series={
            series("node_cpu_seconds_total", HOST, cpu="0", mode="idle"): "0x120",
            series("node_cpu_seconds_total", HOST, cpu="1", mode="idle"): "0x120",
            series("node_cpu_seconds_total", HOST, cpu="0", mode="user"): "0+15x120",
            series("node_cpu_seconds_total", HOST, cpu="1", mode="user"): "0+15x120",
        },
        at="10m15s",
        quiet_at="10m",
        fires=(
            Firing(
                labels=without(HOST, "job") | WARNING,
                summary="CPU of here:1 is nearly used up",
                description="100% of the CPU time was not idle (limit 0.9).",
            ),
        ),
    ),
    Example(
        alert="HostCPUSaturated",
        says="one of two cores is busy",
        series={
            series("node_cpu_seconds_total", HOST, cpu="0", mode="idle"): "0+15x120",
            series("node_cpu_seconds_total", HOST, cpu="1", mode="idle"): "0x120",
        },
        at="25m",
    ),
    Example(
        alert="HostCPUSaturated",
        says="a hair below the limit",
        series={series("node_cpu_seconds_total", HOST, cpu="0", mode="idle"): "0+1.51x120"},
        at="25m",
    ),
    Example(
        alert="HostMemoryLow",
        says="five hundredths are left",
        series={
            series("node_memory_MemAvailable_bytes", HOST): "5x60",
            series("node_memory_MemTotal_bytes", HOST): "100x60",
        },
        at="10m",
        quiet_at="9m45s",
        fires=(
            Firing(
                labels=HOST | WARNING,
                summary="Memory of here:1 is nearly used up",
                description="95% of the memory is not available (limit 0.9).",
            ),
        ),
    ),
    Example(
        alert="HostMemoryLow",
        says="exactly the limit",
        series={
            series("node_memory_MemAvailable_bytes", HOST): "100x80",
            series("node_memory_MemTotal_bytes", HOST): "1000x80",
        },
        at="15m",
    ),
    Example(
        alert="HostDiskFull",
        says="a disk has a twentieth left, and a file system in memory nothing",
        series={
            series("node_filesystem_avail_bytes", DISK): "5x60",
            series("node_filesystem_size_bytes", DISK): "100x60",
            series("node_filesystem_avail_bytes", MEMORY_DISK): "0x60",
            series("node_filesystem_size_bytes", MEMORY_DISK): "100x60",
        },
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(labels=DISK | CRITICAL, summary="/ of here:1 is nearly full", description="5% is free (limit 0.1)."),
        ),
    ),
    Example(
        alert="HostDiskFull",
        says="exactly the limit",
        series={
            series("node_filesystem_avail_bytes", DISK): "10x60",
            series("node_filesystem_size_bytes", DISK): "100x60",
        },
        at="10m",
    ),
    Example(
        alert="HostDiskWillFill",
        says="it loses a hundredth each minute and has less than two fifths",
        series={
            series("node_filesystem_avail_bytes", DISK): "100000-1000x100",
            series("node_filesystem_size_bytes", DISK): "100000x100",
        },
        step="1m",
        at="91m",
        quiet_at="90m",
        fires=(
            Firing(
                labels=DISK | WARNING,
                summary="/ of here:1 fills within four hours",
                description="At the pace of the last hour there would be -225.6kiB left in four hours.",
            ),
        ),
    ),
    Example(
        alert="HostDiskWillFill",
        says="it is small but does not grow",
        series={
            series("node_filesystem_avail_bytes", DISK): "20x200",
            series("node_filesystem_size_bytes", DISK): "100x200",
        },
        step="1m",
        at="150m",
    ),
    Example(
        alert="HostDiskWillFill",
        says="exactly the limit of free space, whatever the pace",
        series={
            series("node_filesystem_avail_bytes", DISK): "100-1x60 40x40",
            series("node_filesystem_size_bytes", DISK): "100x110",
        },
        step="1m",
        at="99m",
    ),
)

OF_POSTGRES = (
    Example(
        alert="PostgresDown",
        says="no login for a minute",
        series={series("pg_up", POSTGRES): "0x20"},
        at="1m",
        quiet_at="45s",
        fires=(
            Firing(
                labels=POSTGRES | CRITICAL,
                summary="PostgreSQL db:5432 does not answer",
                description="The exporter cannot log in to db:5432 (pg_up is 0).",
            ),
        ),
    ),
    Example(alert="PostgresDown", says="it answers", series={series("pg_up", POSTGRES): "1x20"}, at="4m"),
    Example(
        alert="PostgresConnectionsSaturated",
        says="two databases take ninety of a hundred connections",
        series={
            series("pg_stat_database_numbackends", POSTGRES, datname="a", datid="1"): "60x40",
            series("pg_stat_database_numbackends", POSTGRES, datname="b", datid="2"): "30x40",
            series("pg_settings_max_connections", POSTGRES, server="db:5432"): "100x40",
        },
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(
                labels=without(POSTGRES, "job") | WARNING,
                summary="PostgreSQL db:5432 runs out of connections",
                description="90% of max_connections is in use (limit 0.8).",
            ),
        ),
    ),
    Example(
        alert="PostgresConnectionsSaturated",
        says="exactly the limit",
        series={
            series("pg_stat_database_numbackends", POSTGRES, datname="a", datid="1"): "80x40",
            series("pg_settings_max_connections", POSTGRES, server="db:5432"): "100x40",
        },
        at="8m",
    ),
    Example(
        alert="PostgresExporterFailing",
        says="a query of the exporter fails",
        series={series("pg_exporter_last_scrape_error", POSTGRES): "1x60"},
        at="10m",
        quiet_at="9m45s",
        fires=(
            Firing(
                labels=POSTGRES | WARNING,
                summary="Metrics of PostgreSQL db:5432 are incomplete",
                description="The exporter's last scrape failed in part (pg_exporter_last_scrape_error is 1).",
            ),
        ),
    ),
    Example(
        alert="PostgresExporterFailing",
        says="every query works (the boundary)",
        series={series("pg_exporter_last_scrape_error", POSTGRES): "0x60"},
        at="15m",
    ),
)

OF_REDIS = (
    Example(
        alert="RedisDown",
        says="no answer for a minute",
        series={series("redis_up", REDIS): "0x20"},
        at="1m",
        quiet_at="45s",
        fires=(
            Firing(
                labels=REDIS | CRITICAL,
                summary="Redis cache:6379 does not answer",
                description="The exporter gets no answer to INFO from cache:6379 (redis_up is 0).",
            ),
        ),
    ),
    Example(alert="RedisDown", says="it answers", series={series("redis_up", REDIS): "1x20"}, at="4m"),
    Example(
        alert="RedisMemoryNearlyFull",
        says="nineteen twentieths of maxmemory are used",
        series={series("redis_memory_used_bytes", REDIS): "95x40", series("redis_memory_max_bytes", REDIS): "100x40"},
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(
                labels=REDIS | WARNING,
                summary="Redis cache:6379 nearly fills its memory",
                description="95% of maxmemory is used (limit 0.9).",
            ),
        ),
    ),
    Example(
        alert="RedisMemoryNearlyFull",
        says="exactly the limit",
        series={series("redis_memory_used_bytes", REDIS): "90x40", series("redis_memory_max_bytes", REDIS): "100x40"},
        at="8m",
    ),
    Example(
        alert="RedisMemoryNearlyFull",
        says="there is no maxmemory",
        series={series("redis_memory_used_bytes", REDIS): "90x40", series("redis_memory_max_bytes", REDIS): "0x40"},
        at="8m",
    ),
    Example(
        alert="RedisRejectsConnections",
        says="clients are turned away",
        series={series("redis_rejected_connections_total", REDIS): "0+1x40"},
        at="5m",
        fires=(
            Firing(
                labels=REDIS | WARNING,
                summary="Redis cache:6379 turns clients away",
                description="20 connections were refused in 5 minutes: maxclients is reached.",
            ),
        ),
    ),
    Example(
        alert="RedisRejectsConnections",
        says="nobody was turned away of late (the boundary)",
        series={series("redis_rejected_connections_total", REDIS): "4x40"},
        at="8m",
    ),
)

OF_NGINX = (
    Example(
        alert="NginxDown",
        says="no status page for a minute",
        series={series("nginx_up", NGINX): "0x20"},
        at="1m",
        quiet_at="45s",
        fires=(
            Firing(
                labels=NGINX | CRITICAL,
                summary="nginx front:80 does not answer",
                description="The exporter cannot read the status page of front:80 (nginx_up is 0).",
            ),
        ),
    ),
    Example(alert="NginxDown", says="it answers", series={series("nginx_up", NGINX): "1x20"}, at="4m"),
    Example(
        alert="NginxDropsConnections",
        says="two connections a second are accepted and not handled",
        series={
            series("nginx_connections_accepted", NGINX): "0+45x60",
            series("nginx_connections_handled", NGINX): "0+15x60",
        },
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=NGINX | WARNING,
                summary="nginx front:80 drops connections",
                description="2 accepted connections a second are not handled.",
            ),
        ),
    ),
    Example(
        alert="NginxDropsConnections",
        says="every connection is handled (the boundary)",
        series={
            series("nginx_connections_accepted", NGINX): "7+30x60",
            series("nginx_connections_handled", NGINX): "7+30x60",
        },
        at="15m",
    ),
)

OF_CELERY = (
    Example(
        alert="CeleryWorkerDown",
        says="a worker is silent for two minutes",
        series={
            series("flower_worker_online", CELERY, worker="a@here"): "0x20",
            series("flower_worker_online", CELERY, worker="b@here"): "1x20",
        },
        at="2m",
        quiet_at="1m45s",
        fires=(
            Firing(
                labels=CELERY | CRITICAL | {"worker": "a@here"},
                summary="Celery worker a@here is gone",
                description="a@here sent no heartbeat any more (flower_worker_online is 0).",
            ),
        ),
    ),
    Example(
        alert="CeleryWorkerDown",
        says="every worker is there",
        series={series("flower_worker_online", CELERY, worker="a@here"): "1x20"},
        at="4m",
    ),
    Example(
        alert="CeleryTasksFailing",
        says="half of a task's runs fail, on two workers",
        series={
            series("flower_events_total", CELERY, task="pay", type="task-failed", worker="a"): "0+1x60",
            series("flower_events_total", CELERY, task="pay", type="task-succeeded", worker="b"): "0+1x60",
            series("flower_events_total", CELERY, task="pay", type="task-received", worker="b"): "0+9x60",
            series("flower_events_total", CELERY, task="mail", type="task-succeeded", worker="b"): "0+1x60",
        },
        at="10m",
        quiet_at="5m",
        fires=(
            Firing(
                labels=without(CELERY, "job") | WARNING | {"task": "pay"},
                summary="Celery task pay fails",
                description="50% of its runs failed (limit 0.1).",
            ),
        ),
    ),
    Example(
        alert="CeleryTasksFailing",
        says="exactly the limit",
        series={
            series("flower_events_total", CELERY, task="pay", type="task-failed", worker="a"): "0+1x60",
            series("flower_events_total", CELERY, task="pay", type="task-succeeded", worker="a"): "0+9x60",
        },
        at="15m",
    ),
    Example(
        alert="CeleryTasksFailing",
        says="nothing runs",
        series={series("flower_events_total", CELERY, task="pay", type="task-failed", worker="a"): "4x60"},
        at="15m",
    ),
)

OF_PROBES = (
    Example(
        alert="ProbeFailed",
        says="no answer for two minutes",
        series={series("probe_success", PROBE): "0x20"},
        at="2m",
        quiet_at="1m45s",
        fires=(
            Firing(
                labels=PROBE | CRITICAL,
                summary="shop does not answer",
                description="https://shop/ has not answered as it should for 2 minutes (probe_success is 0).",
            ),
        ),
    ),
    Example(alert="ProbeFailed", says="it answers", series={series("probe_success", PROBE): "1x20"}, at="4m"),
    Example(
        alert="CertificateExpiring",
        says="it ends in ten days",
        series={series("probe_ssl_earliest_cert_expiry", PROBE): f"{10 * DAY + 4500}x80"},
        step="1m",
        at="75m",
        quiet_at="59m",
        fires=(
            Firing(
                labels=PROBE | WARNING,
                summary="The certificate of shop ends soon",
                description="10 days are left (limit 14).",
            ),
        ),
    ),
    Example(
        alert="CertificateExpiring",
        says="exactly the limit at every evaluation",
        series={series("probe_ssl_earliest_cert_expiry", PROBE): f"{14 * DAY}+15x320"},
        at="75m",
    ),
    Example(
        alert="JsonPageUnreadable",
        says="no JSON for five minutes",
        series={series("up", PAGE): "0x30"},
        at="5m",
        quiet_at="4m45s",
        fires=(
            Firing(
                labels=PAGE | WARNING,
                summary="The JSON page http://shop/health cannot be read",
                description="The exporter got no JSON from http://shop/health for 5 minutes (up is 0).",
            ),
        ),
    ),
    Example(alert="JsonPageUnreadable", says="it can be read", series={series("up", PAGE): "1x30"}, at="7m"),
)

EXAMPLES = (*OF_NODE, *OF_POSTGRES, *OF_REDIS, *OF_NGINX, *OF_CELERY, *OF_PROBES)
