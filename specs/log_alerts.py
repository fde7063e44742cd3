"""Alerts on log lines, evaluated by Loki's ruler: they hold for every system whose lines reach Loki.

The stack's own lines are left out: they repeat the texts of alerts and queries, and its metrics tell more.
"""

from specs.log_queries import NUMBERS
from specs.monitoring import Alert, RuleGroup
from specs.part import APP
from specs.settings import Severity

_APPS = f'app=~".+", app!="{APP}"'
_ERROR = 'severity_text=~"ERROR|FATAL"'
_ACCESS = ' | log_format="nginx-access"'
_DASHBOARD = "logs"
_SECURITY = "security"


def _lines(pipeline: str = "", *, matching: str = "", window: str = "[5m]") -> str:
    """Lines of each service; `matching` narrows the streams, `pipeline` the lines."""
    streams = f"{_APPS}, {matching}" if matching else _APPS
    counted = f"count_over_time({{{streams}}}{pipeline} | label_format service=service_name {window})"
    return f"sum by (app, environment, service) ({counted})"


def _a_minute(pipeline: str) -> str:
    """Lines a minute of each system."""
    return f"sum by (app, environment) (rate({{{_APPS}}}{pipeline} [5m])) * 60"


def _slowest(field: str) -> str:
    return (
        f"max by (app, environment, service) (max_over_time({{{_APPS}}} | {field} > 0{NUMBERS}"
        f" | label_format service=service_name | unwrap {field}{NUMBERS} [5m]) by (app, environment, service))"
    )


def _quoted(pattern: str) -> str:
    return f" |~ `{pattern}`"


_FAILED_LOGIN = _quoted(
    "(?i)(log[ -]?in (has )?failed|failed log[ -]?in|authentication (has )?fail(ed|ure)"
    "|password authentication failed|invalid (credentials|password|username)|bad credentials)"
)
_PANIC = _quoted(
    r"(^|\W)(panic: |PANIC: |fatal error: |SIGSEGV|SIGABRT|[Ss]egmentation fault|core dumped|exited on signal)"
)
_OUT_OF_MEMORY = _quoted(
    "(?i)(out of memory|OOM command not allowed|oom-kill|MemoryError|OutOfMemoryError|cannot allocate memory)"
)
_DISK_FULL = _quoted("(?i)(no space left on device|disk quota exceeded|disk (is )?full)")
_NO_CONNECTION = _quoted(
    "(?i)(too many clients already|remaining connection slots are reserved|too many connections|QueuePool limit)"
)
_UNREACHABLE = _quoted(
    "(?i)(connection refused|could not connect to server|connection timed out|no route to host|name or service not known"
    "|broken pipe|connection reset by peer)"
)
_CERTIFICATE = _quoted(
    "(?i)(certificate has expired|certificate verify failed|x509: |unable to get local issuer certificate)"
)
_UPSTREAM = _quoted("(upstream|no live upstreams)")
_PERSISTENCE = _quoted(
    "(MISCONF|Can't save in background|Background saving error|Error trying to save the DB|Failed opening the (RDB|AOF)|Background AOF rewrite terminated by signal)"
)

GROUP = RuleGroup(
    name="logs",
    alerts=(
        Alert(
            name="SlowQueries",
            expr=f"{_slowest('query_duration_ms')} > $threshold",
            threshold=1000,
            severity=Severity.WARNING,
            summary="{{ $labels.app }} has slow queries",
            description="The slowest query that {{ $labels.service }} logged in 5 minutes took {{ $value | humanize }} ms (limit $threshold ms).",
            action="Open the slow queries of the Logs dashboard: the line has the statement or the collection. Look at its plan and at missing indexes; what was deployed before it began?",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="VerySlowQueries",
            expr=f"{_slowest('query_duration_ms')} > $threshold",
            threshold=5000,
            severity=Severity.CRITICAL,
            summary="{{ $labels.app }} has queries of many seconds",
            description="The slowest query that {{ $labels.service }} logged in 5 minutes took {{ $value | humanize }} ms (limit $threshold ms).",
            action="Find the query in the Logs dashboard and see whether it still runs and holds locks; end it if it does, then mend its plan.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogSlowRequests",
            expr=f"{_lines(' | response_time_ms > 5000' + NUMBERS)} > $threshold",
            threshold=5,
            severity=Severity.WARNING,
            summary="Requests to {{ $labels.service }} of {{ $labels.app }} take more than 5 seconds",
            description="{{ $value | humanize }} requests in 5 minutes took more than 5000 ms (limit $threshold requests).",
            action="Open the slow requests of the Logs dashboard and follow one request id to its trace: which part takes the time?",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogErrorBurst",
            expr=f"{_lines(matching=_ERROR)} > $threshold",
            threshold=50,
            for_="1m",
            severity=Severity.WARNING,
            summary="{{ $labels.service }} of {{ $labels.app }} logs many errors",
            description="{{ $value | humanize }} lines of level ERROR or FATAL in 5 minutes (limit $threshold lines).",
            action="Read the errors in the Logs dashboard: are they one and the same, since when, and what was deployed or stopped then?",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogFailedLogins",
            expr=f"{_a_minute(_FAILED_LOGIN)} > $threshold",
            threshold=10,
            service=_SECURITY,
            severity=Severity.WARNING,
            summary="Many logins to {{ $labels.app }} fail",
            description="{{ $value | humanize }} failed logins a minute over 5 minutes (limit $threshold a minute).",
            action="See in the lines whether it is one address or one account: block the address or lock the account. Many of both at once point to a broken login.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogAccessDenied",
            expr=f"""{_a_minute(_ACCESS + ' | status=~"401|403"')} > $threshold""",
            threshold=60,
            service=_SECURITY,
            severity=Severity.WARNING,
            summary="{{ $labels.app }} turns many requests away",
            description="{{ $value | humanize }} requests a minute were answered 401 or 403 over 5 minutes (limit $threshold a minute).",
            action="Group the lines by client address and path: one address that tries many paths is a scan, many addresses on one path a permission that broke.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogTracebacks",
            expr=f"{_lines(' |= `Traceback (most recent call last)`')} > $threshold",
            threshold=10,
            severity=Severity.WARNING,
            summary="{{ $labels.service }} of {{ $labels.app }} runs into exceptions",
            description="{{ $value | humanize }} tracebacks in 5 minutes (limit $threshold tracebacks).",
            action="Read the last frame of the traceback and look at what was deployed before the first of them.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogPanics",
            expr=f"{_lines(_PANIC)} > $threshold",
            threshold=0,
            severity=Severity.CRITICAL,
            summary="{{ $labels.service }} of {{ $labels.app }} crashed",
            description="{{ $value | humanize }} lines in 5 minutes tell of a panic or a crash (limit $threshold lines).",
            action="Does the program run again? Keep the stack trace, and go back to the version before if it came with a deploy.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogOutOfMemory",
            expr=f"{_lines(_OUT_OF_MEMORY)} > $threshold",
            threshold=0,
            severity=Severity.CRITICAL,
            summary="{{ $labels.service }} of {{ $labels.app }} is out of memory",
            description="{{ $value | humanize }} lines in 5 minutes tell that memory ran out (limit $threshold lines).",
            action="Compare the memory of the process with its limit: a leak grows for hours, a big request jumps. Restart it, then give it more or ask less of it.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogDiskFull",
            expr=f"{_lines(_DISK_FULL)} > $threshold",
            threshold=0,
            severity=Severity.CRITICAL,
            summary="{{ $labels.service }} of {{ $labels.app }} cannot write: no space",
            description="{{ $value | humanize }} lines in 5 minutes tell that a disk or a quota is full (limit $threshold lines).",
            action="Find the file system in the line, and free space on it: old logs and backups first.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogConnectionsExhausted",
            expr=f"{_lines(_NO_CONNECTION)} > $threshold",
            threshold=0,
            severity=Severity.CRITICAL,
            summary="{{ $labels.service }} of {{ $labels.app }} has no free database connection",
            description="{{ $value | humanize }} lines in 5 minutes tell of refused or exhausted connections (limit $threshold lines).",
            action="Look for sessions that are idle in a transaction and end them; then compare pool sizes of all replicas with max_connections.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogConnectionErrors",
            expr=f"{_lines(_UNREACHABLE)} > $threshold",
            threshold=10,
            severity=Severity.WARNING,
            summary="{{ $labels.service }} of {{ $labels.app }} cannot reach what it needs",
            description="{{ $value | humanize }} lines in 5 minutes tell of connections that were refused, reset or timed out (limit $threshold lines).",
            action="The line names the address. Does what listens there run, and is the way to it open?",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogCertificateErrors",
            expr=f"{_lines(_CERTIFICATE)} > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="{{ $labels.service }} of {{ $labels.app }} does not trust a certificate",
            description="{{ $value | humanize }} lines in 5 minutes tell of an expired or unknown certificate (limit $threshold lines).",
            action="Find out from the line whose certificate it is; renew it, or bring the authority that signed it to the caller.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogPostgresFatal",
            expr=f"""{_lines(' | log_format="postgres"', matching='severity_text="FATAL"')} > $threshold""",
            threshold=5,
            severity=Severity.WARNING,
            summary="PostgreSQL of {{ $labels.app }} ends sessions",
            description="{{ $value | humanize }} lines of level FATAL or PANIC in 5 minutes (limit $threshold lines).",
            action="The line says why a session was refused or ended: passwords, limits, a restart, damaged files.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogDeadlocks",
            expr=f"{_lines(' |= `deadlock detected`')} > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="Transactions of {{ $labels.app }} block each other",
            description="{{ $value | humanize }} deadlocks in 5 minutes (limit $threshold).",
            action="The lines after it name both statements: have them take their locks in the same order.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogNginxUpstreamErrors",
            expr=f"""{_lines(' | log_format="nginx-error"' + _UPSTREAM, matching=_ERROR)} > $threshold""",
            threshold=10,
            severity=Severity.WARNING,
            summary="nginx of {{ $labels.app }} gets no answer from what stands behind it",
            description="{{ $value | humanize }} errors about upstreams in 5 minutes (limit $threshold).",
            action="The line names the upstream: does it run, does it answer in time, does it listen where nginx expects it?",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogNginxServerErrors",
            expr=f"""
{_lines(_ACCESS + ' | status=~"5.."')}
/ ({_lines(_ACCESS)} > 30)
> $threshold""",
            threshold=0.05,
            for_="2m",
            severity=Severity.WARNING,
            summary="nginx of {{ $labels.app }} answers with server errors",
            description="{{ $value | humanizePercentage }} of the requests in 5 minutes were answered 5xx (limit $threshold as a share).",
            action="502 and 504 mean that what stands behind nginx is gone or slow, 500 that it failed: read its own log next.",
            dashboard=_DASHBOARD,
        ),
        Alert(
            name="LogRedisPersistence",
            expr=f"{_lines(_PERSISTENCE)} > $threshold",
            threshold=0,
            severity=Severity.CRITICAL,
            summary="Redis of {{ $labels.app }} cannot save its data",
            description="{{ $value | humanize }} lines in 5 minutes tell that saving failed (limit $threshold lines).",
            action="Look at free disk and at free memory for the fork; until a save works, a restart loses data and Redis may refuse writes.",
            dashboard=_DASHBOARD,
        ),
    ),
)

SLOW = RuleGroup(
    name="logs-slow",
    file=GROUP.name,
    # It reads more than an hour of lines each time.
    interval="1m",
    alerts=(
        Alert(
            name="LogsStopped",
            # Only what logged steadily is missed: a line a minute for an hour.
            expr=f"""
({_lines(window="[1h] offset 15m")} > $threshold)
unless {_lines(window="[15m]")}""",
            threshold=60,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.service }} of {{ $labels.app }} stopped logging",
            description="{{ $value | humanize }} lines came in the hour before (at least $threshold make it steady), none in the last 15 minutes.",
            action="Does the program run? If it does: is its file still written, still matched by the collector's globs, and readable for it?",
            dashboard=_DASHBOARD,
        ),
    ),
)
