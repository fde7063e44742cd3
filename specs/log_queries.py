"""Searches that people need again and again, saved where they find them: panels of the Logs dashboard."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LogQuery:
    """A saved search. `$app` in it is the variable of the dashboard, which may stand for several systems."""

    name: str
    """Unique, for panels' ids."""
    title: str
    description: str
    logql: str


NUMBERS = ' | __error__=""'
"""After a comparison: leaves out lines whose value is no number, any of which would fail a whole metric query, or be
found by a search."""

_STREAMS = '{app=~"$app"}'
# What a line is about may stand in its text, or beside it: in its event, logger or module.
_WORDS = ' | label_format about="{{__line__}} {{.event}} {{.logger}} {{.module}} {{.path}} {{.endpoint}}"'


def _about(pattern: str) -> str:
    return f"{_STREAMS}{_WORDS} | about=~`(?is).*({pattern}).*` | drop about"


QUERIES = (
    LogQuery(
        name="errors",
        title="Errors",
        description="Lines of level ERROR or FATAL.",
        logql='{app=~"$app", severity_text=~"ERROR|FATAL"}',
    ),
    LogQuery(
        name="slow-queries",
        title="Slow Queries",
        description="Database queries that took more than 1000 ms, from applications and from PostgreSQL's own log.",
        logql=f"{_STREAMS} | query_duration_ms > 1000{NUMBERS}",
    ),
    LogQuery(
        name="sms-routing",
        title="SMS Routing",
        description="What was decided about the way of a text message.",
        logql=_about("sms[ _-]?routing"),
    ),
    LogQuery(
        name="oauth",
        title="OAuth",
        description="Logins at other providers and their tokens.",
        logql=_about("oauth"),
    ),
    LogQuery(
        name="authentication",
        title="Authentication",
        description="Logins, successful or not, and sessions.",
        logql=_about("authenticat|log[ _-]?in"),
    ),
    LogQuery(
        name="slow-requests",
        title="Slow Requests",
        description="Requests that took more than 5000 ms, as applications and nginx measure them.",
        logql=f"{_STREAMS} | response_time_ms > 5000{NUMBERS}",
    ),
    LogQuery(
        name="database-connection",
        title="Database Connection",
        description="Connections to databases that were refused, lost, or are all taken.",
        logql=_about(
            "database[ _-]?connection|connection to (server|database)|too many clients|connection slots|QueuePool limit"
        ),
    ),
    LogQuery(
        name="cache-misses",
        title="Cache Misses",
        description="What was not in the cache.",
        logql=_about("cache[ _-]?miss"),
    ),
)
"""In the order of the dashboard."""
