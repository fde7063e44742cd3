"""GlitchTip: error tracking for Sentry's SDKs, with a database and a queue of its own."""

import math
from dataclasses import replace

from specs.exporter import Exporting
from specs.model import seconds
from specs.monitoring import Alert, RuleGroup
from specs.part import Context, Monitoring
from specs.programs import GLITCHTIP, GLITCHTIP_POSTGRES, GLITCHTIP_REDIS
from specs.settings import Severity
from specs.workload import CONFIG, Dials, Outward, Port, Probe, Resources, SecretRef, Volume, Workload

NAME = "glitchtip"
PORT = 8010
"""The image's own is 8000, which applications like as well."""
WORKER = "glitchtip-worker"
WORKER_METRICS = 8011
POSTGRES = "glitchtip-postgres"
POSTGRES_PORT = 5432
REDIS = "glitchtip-redis"
REDIS_PORT = 6379
SECRET_KEY = SecretRef("glitchtip-secret-key", generated=True)
"""What sessions and links of mails are signed with."""
DATABASE_PASSWORD = SecretRef("glitchtip-database-password", generated=True)
REDIS_PASSWORD = SecretRef("glitchtip-redis-password", generated=True)

_SECRETS = {"secrets/key": SECRET_KEY, "secrets/database": DATABASE_PASSWORD, "secrets/redis": REDIS_PASSWORD}

_START = """\
# Starts GlitchTip: `web`, `worker`, or a command of its manage.py.
# Its secrets are files: an environment that is given from outside is shown by `docker inspect`.
set -eu

# The image has no client that could ask; it has Python.
quoted() {
  python -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.stdin.read().strip(), safe=""))'
}

SECRET_KEY="$(cat ../config/secrets/key)"
DATABASE_PASSWORD="$(cat ../config/secrets/database)"
VALKEY_URL="redis://:$(quoted <../config/secrets/redis)@$REDIS_ADDRESS/0"
export SECRET_KEY DATABASE_PASSWORD VALKEY_URL

await() {
  until python -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)' \\
    "${1%:*}" "${1##*:}" 2>/dev/null; do
    echo "waiting for $1"
    sleep 2
  done
}

# The image's own scripts want to be started from here.
cd /code
case "$1" in
web)
  await "$DATABASE_HOST:$DATABASE_PORT"
  await "$REDIS_ADDRESS"
  ./bin/run-migrate.sh
  export SERVER_ROLE=web
  exec ./bin/start.sh
  ;;
worker)
  # It listens once its migrations are done.
  await "$WEB_ADDRESS"
  export SERVER_ROLE=worker
  exec ./bin/start.sh
  ;;
*)
  exec ./manage.py "$@"
  ;;
esac
"""

_START_POSTGRES = """\
# Starts PostgreSQL. The image sets the password when it makes the database, and never again; a stack that was taken down
# and comes back has the old data and a new password.
set -eu

if [ -s "$PGDATA/PG_VERSION" ]; then
  password="$(sed "s/'/''/g" ../config/secrets/database)"
  # Not echo: this shell's takes a backslash for the beginning of something else.
  printf "ALTER ROLE %s PASSWORD '%s'\\n" "$POSTGRES_USER" "$password" |
    postgres --single -D "$PGDATA" postgres >/dev/null
fi
exec docker-entrypoint.sh postgres "$@"
"""

_VALKEY = """\
include ../config/secrets/password.conf
# Nothing is kept: a restart loses seconds of events, and people log in again.
save ""
maxmemory 96mb
# When it is full, what would expire anyway may go, and never a task.
maxmemory-policy volatile-lru
"""


def parts(context: Context) -> tuple[Exporting, ...]:
    """What the stack runs of it, and how that is watched; nothing where the stack does not ask for it."""
    if context.settings.errors.to != "glitchtip":
        return ()
    return (
        Exporting(
            workloads=(_web(context), _worker(context), _postgres(context), _redis(context)),
            monitoring=Monitoring(
                jobs=(context.job(NAME, PORT), context.job(WORKER, WORKER_METRICS)),
                groups=(RuleGroup(name=NAME, alerts=_alerts()),),
            ),
        ),
    )


def _alerts() -> tuple[Alert, ...]:
    by = "by (app, environment, service, instance"
    return (
        Alert(
            name="GlitchTipRequestsFailing",
            # Events come in by a way that is not counted here: this is about the pages and the API.
            expr=f"""
sum {by}) (rate(django_http_responses_total_by_status_total{{service="{NAME}", status=~"5.."}}[5m]))
/ (sum {by}) (rate(django_http_responses_total_by_status_total{{service="{NAME}"}}[5m])) > 0)
> $threshold""",
            threshold=0.1,
            for_="10m",
            severity=Severity.WARNING,
            summary="GlitchTip answers with errors",
            description="{{ $value | humanizePercentage }} of the answers of its pages and API are server errors (limit $threshold).",
            action="Read the log of glitchtip. Its database and its queue come first: see whether both run.",
        ),
        Alert(
            name="GlitchTipEventsWaiting",
            expr=f'sum {by}, queue) (vtasks_queue_depth{{service="{WORKER}"}}) > $threshold',
            threshold=1000,
            for_="10m",
            severity=Severity.WARNING,
            summary="GlitchTip does not keep up with what it is sent",
            description="{{ $value }} tasks wait in the queue {{ $labels.queue }} (limit $threshold).",
            action="See in GlitchTip which project sends so much, and whether the worker's log has errors. Lower that project's sample rate, or give the worker more memory.",
        ),
        Alert(
            name="GlitchTipTasksFailing",
            expr=f'sum {by}, task_name) (increase(vtasks_tasks_processed_total{{service="{WORKER}", status="failure"}}[15m])) > $threshold',
            threshold=5,
            for_="5m",
            severity=Severity.WARNING,
            summary="GlitchTip fails to process {{ $labels.task_name }}",
            description="{{ $value | humanize }} of these tasks failed in 15 minutes (limit $threshold): what they were about is lost.",
            action="The log of glitchtip-worker has the exception of each. A full disk of glitchtip-postgres is the usual reason.",
        ),
        Alert(
            name="GlitchTipWorkerStuck",
            # It has something to do every minute, at any hour: it looks for issues that somebody wants to be told of.
            expr=f'sum {by}) (rate(vtasks_tasks_processed_total{{service="{WORKER}"}}[15m])) == 0',
            for_="5m",
            severity=Severity.CRITICAL,
            summary="GlitchTip's worker does nothing",
            description="It processed {{ $value }} tasks a second for 15 minutes: no error becomes an issue, and nobody is told.",
            action="Restart glitchtip-worker after a look at its log; see whether glitchtip-redis answers.",
        ),
    )


def _environment(context: Context) -> dict[str, str]:
    """What the web server and the worker are told."""
    dial = context.addresses.dial
    database, _, port = dial(POSTGRES, POSTGRES_PORT).rpartition(":")
    days = math.ceil(seconds(context.settings.retention.log_archive) / 86400)
    return {
        "DATABASE_HOST": database,
        "DATABASE_PORT": port,
        "DATABASE_NAME": NAME,
        "DATABASE_USER": NAME,
        "REDIS_ADDRESS": dial(REDIS, REDIS_PORT),
        "WEB_ADDRESS": dial(NAME, PORT),
        # Stands in the DSNs that it shows, and in links of mails.
        "GLITCHTIP_DOMAIN": f"http://{context.addresses.outside(NAME, PORT)}",
        "GLITCHTIP_RETENTION_DAYS": str(days),
        "ENABLE_USER_REGISTRATION": "false",
        "ENABLE_ORGANIZATION_CREATION": "false",
        # Mails are printed to the log, until somebody names a server.
        "EMAIL_URL": "consolemail://",
        # The stack has Loki for logs and probes for uptime: these would cost memory and answer nothing new.
        "GLITCHTIP_ENABLE_LOGS": "false",
        "GLITCHTIP_ENABLE_UPTIME": "false",
        "ENABLE_OBSERVABILITY_API": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _web(context: Context) -> Workload:
    return Workload(
        name=NAME,
        program=context.program(GLITCHTIP),
        summary="errors of applications: pages, API, and where Sentry's SDKs send to",
        ports=(Port(name="http", number=PORT, published=True),),
        args=(f"{CONFIG}/start.sh", "web"),
        environment={**_environment(context), "GRANIAN_PORT": str(PORT)},
        files={"start.sh": _START},
        secrets=_SECRETS,
        # The first start makes a few hundred tables.
        probe=Probe(port="http", path="/_health/", start_seconds=300),
        resources=Resources(memory="512Mi", cpu="100m"),
        extras=(Outward(),),
    )


def _worker(context: Context) -> Workload:
    return Workload(
        name=WORKER,
        program=context.program(GLITCHTIP),
        summary="makes issues of events, and sends GlitchTip's own notifications",
        ports=(Port(name="metrics", number=WORKER_METRICS),),
        args=(f"{CONFIG}/start.sh", "worker"),
        environment={**_environment(context), "VTASKS_METRICS_PORT": str(WORKER_METRICS)},
        files={"start.sh": _START},
        secrets=_SECRETS,
        # It waits for the web server's first start.
        probe=Probe(port="metrics", path="/metrics", start_seconds=360),
        resources=Resources(memory="512Mi", cpu="100m"),
        extras=(Dials((443,), "webhooks that people enter in GlitchTip"),),
        page="/metrics",
    )


def _postgres(context: Context) -> Workload:
    return Workload(
        name=POSTGRES,
        program=context.program(GLITCHTIP_POSTGRES),
        summary="GlitchTip's database",
        ports=(Port(name="postgres", number=POSTGRES_PORT),),
        args=(
            f"{CONFIG}/start.sh",
            # Parallel queries share memory by /dev/shm, of which a container has 64 MiB.
            "-c",
            "max_parallel_workers_per_gather=0",
        ),
        environment={
            # Below the volume's own directory, where a file system may keep files of its own.
            "PGDATA": "./postgres",
            "POSTGRES_USER": NAME,
            "POSTGRES_PASSWORD_FILE": f"{CONFIG}/secrets/database",
        },
        files={"start.sh": _START_POSTGRES},
        secrets={"secrets/database": DATABASE_PASSWORD},
        # By TCP: while the database is made, a server answers on the socket, which goes away again.
        probe=Probe(
            port="postgres",
            command=("pg_isready", "--quiet", "--host=127.0.0.1", f"--username={NAME}"),
            start_seconds=120,
        ),
        resources=Resources(memory="512Mi", cpu="100m"),
        volume=Volume("10Gi"),
        scratch=("/var/run/postgresql",),
    )


def _redis(context: Context) -> Workload:
    return Workload(
        name=REDIS,
        program=context.program(GLITCHTIP_REDIS),
        summary="GlitchTip's queue and sessions (Valkey)",
        ports=(Port(name="redis", number=REDIS_PORT),),
        args=("valkey-server", f"{CONFIG}/valkey.conf"),
        files={"valkey.conf": _VALKEY},
        secrets={
            "secrets/password": REDIS_PASSWORD,
            "secrets/password.conf": replace(REDIS_PASSWORD, template="requirepass $secret\n"),
        },
        probe=Probe(
            port="redis",
            command=("sh", "-c", f'REDISCLI_AUTH="$(cat {CONFIG}/secrets/password)" valkey-cli ping | grep -q PONG'),
        ),
        resources=Resources(memory="128Mi", cpu="50m"),
    )
