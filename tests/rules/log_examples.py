"""Examples of the alerts on log lines: lines, and what an alert makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Equal lines, spread evenly over a time."""

    text: str
    count: int = 1
    first: int = -60
    """Seconds from the moment that examples are about."""
    last: int = -1
    level: str = ""
    service: str = "web"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class LogExample:
    """Lines of one system, and when an alert fires for it."""

    alert: str
    says: str
    """A sentence, in a few words."""
    lines: tuple[Batch, ...]
    at: int = 0
    """When it is looked at, in seconds."""
    value: float | None = None
    """What it measures when it fires; None: it is quiet."""
    service: str = "web"
    """Label `service` that it then has; empty: the alert's own."""
    pending_at: int | None = None
    """An earlier moment at which the condition holds, but not for long enough."""
    resolved_at: int | None = None
    """A later moment at which it is quiet again."""

    @property
    def name(self) -> str:
        """One of a kind."""
        return f"{self.alert}: {self.says}"


def _query(milliseconds: str) -> Batch:
    return Batch(text="SELECT 1", metadata={"query_duration_ms": milliseconds})


def _counted(alert: str, limit: int, batch: Batch, *, service: str = "web") -> tuple[LogExample, ...]:
    """An alert that counts lines of five minutes: one more than its limit, and the limit itself."""

    def lines(count: int) -> tuple[Batch, ...]:
        return (
            Batch(
                text=batch.text,
                count=count,
                level=batch.level,
                metadata=batch.metadata,
                first=batch.first,
                last=batch.last,
            ),
        )

    return (
        LogExample(
            alert=alert,
            says="one line more than the limit",
            lines=lines(limit + 1),
            value=limit + 1,
            service=service,
            resolved_at=300,
        ),
        LogExample(
            alert=alert,
            says="exactly the limit",
            lines=lines(limit) if limit else (Batch(text="nothing of the kind", count=20, level=batch.level),),
        ),
    )


def _telling(alert: str, texts: tuple[str, ...], other: tuple[str, ...]) -> tuple[LogExample, ...]:
    """An alert that a single line raises: every wording, and lines that only sound like it."""
    return (
        *(
            LogExample(alert=alert, says=f"a line says: {text}", lines=(Batch(text=text),), value=1, resolved_at=300)
            for text in texts
        ),
        *(
            LogExample(alert=alert, says=f"it is not this: {text}", lines=(Batch(text=text, count=9),))
            for text in other
        ),
        LogExample(
            alert=alert, says="exactly the limit, which is none", lines=(Batch(text="an ordinary line", count=40),)
        ),
    )


_DENIED = {"log_format": "nginx-access", "status": "403"}


def _served(status: str, count: int) -> Batch:
    return Batch(text=f"GET / {status}", count=count, metadata={"log_format": "nginx-access", "status": status})


SLOW = (
    LogExample(
        alert="SlowQueries",
        says="the slowest of three takes 1200 ms",
        lines=(_query("1200"), _query("150.5"), _query("1001")),
        value=1200,
        resolved_at=300,
    ),
    LogExample(alert="SlowQueries", says="exactly the limit", lines=(_query("1000"),)),
    LogExample(alert="SlowQueries", says="what stands there is no number", lines=(_query("12ms"), _query("slow"))),
    LogExample(
        alert="SlowQueries",
        says="one line of several has a number",
        lines=(_query("9s"), _query("1500"), _query("")),
        value=1500,
        resolved_at=300,
    ),
    LogExample(
        alert="SlowQueries",
        says="a request is slow, no query",
        lines=(Batch(text="GET /", metadata={"duration_ms": "9000", "response_time_ms": "9000"}),),
    ),
    LogExample(
        alert="VerySlowQueries", says="a query takes 5001 ms", lines=(_query("5001"),), value=5001, resolved_at=300
    ),
    LogExample(alert="VerySlowQueries", says="exactly the limit", lines=(_query("5000"), _query("4000"))),
    LogExample(
        alert="LogSlowRequests",
        says="what stands there is no number",
        lines=(Batch(text="GET /chat", count=9, metadata={"response_time_ms": "9s"}),),
    ),
    *_counted("LogSlowRequests", 5, Batch(text="GET /chat", metadata={"response_time_ms": "5001"})),
    LogExample(
        alert="LogSlowRequests",
        says="many requests take five seconds and no more",
        lines=(Batch(text="GET /chat", count=50, metadata={"response_time_ms": "5000"}),),
    ),
)

ERRORS = (
    LogExample(
        alert="LogErrorBurst",
        says="51 errors of two levels within five minutes",
        lines=(Batch(text="it failed", count=50, level="ERROR"), Batch(text="it died", level="FATAL")),
        at=60,
        pending_at=0,
        value=51,
        resolved_at=300,
    ),
    LogExample(
        alert="LogErrorBurst",
        says="exactly the limit",
        lines=(Batch(text="it failed", count=50, level="ERROR"),),
        at=60,
    ),
    LogExample(
        alert="LogErrorBurst",
        says="warnings are no errors",
        lines=(Batch(text="it nearly failed", count=200, level="WARN"),),
        at=60,
    ),
    *_counted(
        "LogTracebacks", 10, Batch(text="Request failed\nTraceback (most recent call last):\n  File", level="ERROR")
    ),
    *_telling(
        "LogPanics",
        (
            "panic: runtime error: index out of range",
            "fatal error: all goroutines are asleep - deadlock!",
            "2026-01-15 10:30:45.123 UTC [71] PANIC: could not write to file",
            "worker process 71 exited on signal 11",
            "Segmentation fault (core dumped)",
        ),
        ("don't panic, all is well", "the signal is strong"),
    ),
    *_telling(
        "LogOutOfMemory",
        (
            "MemoryError",
            "java.lang.OutOfMemoryError: Java heap space",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "ERROR:  out of memory",
            "fork: Cannot allocate memory",
        ),
        ("memory usage is 40%",),
    ),
    *_telling(
        "LogDiskFull",
        ("OSError: [Errno 28] No space left on device", "Disk quota exceeded"),
        ("disk usage is 40%",),
    ),
    *_telling(
        "LogCertificateErrors",
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired",
            "x509: certificate signed by unknown authority",
        ),
        ("certificate was renewed",),
    ),
    *_counted("LogConnectionErrors", 10, Batch(text="dial tcp 10.0.0.1:6379: connect: connection refused")),
    LogExample(
        alert="LogsStopped",
        says="a line a minute for an hour, then none",
        lines=(Batch(text="beat", count=61, first=-4200, last=-1260), Batch(text="beat", first=60, last=60)),
        at=0,
        pending_at=-120,
        value=61,
        resolved_at=75,
    ),
    LogExample(
        alert="LogsStopped",
        says="exactly the limit: too few to call it steady",
        lines=(Batch(text="beat", count=60, first=-4200, last=-1260),),
    ),
    LogExample(
        alert="LogsStopped",
        says="it goes on, but slowly",
        lines=(Batch(text="beat", count=61, first=-4200, last=-1260), Batch(text="beat", first=-600, last=-600)),
    ),
)

_LOGIN = Batch(text="login failed for u-1", first=-295)

SECURITY = (
    *(
        LogExample(
            alert="LogFailedLogins",
            says=f"51 of these in five minutes: {text}",
            lines=(Batch(text=text, count=51, first=-295),),
            value=10.2,
            service="",
            resolved_at=300,
        )
        for text in (
            "login failed for u-1",
            "Failed login attempt",
            "authentication failed",
            "authentication failure",
            "Invalid credentials",
            'FATAL:  password authentication failed for user "bob"',
        )
    ),
    LogExample(
        alert="LogFailedLogins",
        says="exactly the limit",
        lines=(Batch(text="login failed for u-1", count=50, first=-295),),
    ),
    LogExample(
        alert="LogFailedLogins",
        says="logins that work",
        lines=(Batch(text="login of u-1", count=500), Batch(text="authentication succeeded", count=500)),
    ),
    LogExample(
        alert="LogAccessDenied",
        says="301 requests are turned away in five minutes",
        lines=(
            Batch(text="GET /admin 403", count=151, first=-295, metadata=_DENIED),
            Batch(text="GET /admin 401", count=150, first=-295, metadata=_DENIED | {"status": "401"}),
        ),
        value=60.2,
        service="",
        resolved_at=300,
    ),
    LogExample(
        alert="LogAccessDenied",
        says="exactly the limit",
        lines=(Batch(text="GET /admin 403", count=300, first=-295, metadata=_DENIED),),
    ),
    LogExample(
        alert="LogAccessDenied",
        says="what is not there is no secret",
        lines=(Batch(text="GET /x 404", count=900, first=-295, metadata=_DENIED | {"status": "404"}),),
    ),
)

PARTS = (
    *_telling(
        "LogConnectionsExhausted",
        (
            "FATAL:  sorry, too many clients already",
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "QueuePool limit of size 5 overflow 10 reached, connection timed out",
        ),
        ("connection pool has 5 free",),
    ),
    *_counted(
        "LogPostgresFatal", 5, Batch(text="FATAL:  terminating", level="FATAL", metadata={"log_format": "postgres"})
    ),
    LogExample(
        alert="LogPostgresFatal",
        says="an application's fatal lines are its own",
        lines=(Batch(text="it died", count=30, level="FATAL"),),
    ),
    *_telling("LogDeadlocks", ("ERROR:  deadlock detected",), ("no deadlock was found",)),
    *_counted(
        "LogNginxUpstreamErrors",
        10,
        Batch(
            text="[error] 31#31: *7 connect() failed (111: Connection refused) while connecting to upstream",
            level="ERROR",
            metadata={"log_format": "nginx-error"},
        ),
    ),
    LogExample(
        alert="LogNginxUpstreamErrors",
        says="warnings about upstreams",
        lines=(
            Batch(
                text="[warn] a response is buffered to a file while reading upstream",
                count=90,
                level="WARN",
                metadata={"log_format": "nginx-error"},
            ),
        ),
    ),
    LogExample(
        alert="LogNginxServerErrors",
        says="3 of 40 requests end in a server error",
        lines=(_served("200", 37), _served("500", 1), _served("502", 2)),
        at=120,
        pending_at=0,
        value=0.075,
        resolved_at=300,
    ),
    LogExample(
        alert="LogNginxServerErrors",
        says="exactly the limit",
        lines=(_served("200", 38), _served("500", 2)),
        at=120,
    ),
    LogExample(
        alert="LogNginxServerErrors",
        says="too few requests to say anything, though all fail",
        lines=(_served("500", 30),),
        at=120,
    ),
    *_telling(
        "LogRedisPersistence",
        (
            "1:M 15 Jan 2026 10:30:45.123 # Can't save in background: fork: Cannot allocate memory",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "1:M 15 Jan 2026 10:30:45.123 # Background saving error",
        ),
        ("1:M 15 Jan 2026 10:30:45.123 * Background saving terminated with success",),
    ),
)

EXAMPLES = (*SLOW, *ERRORS, *SECURITY, *PARTS)
