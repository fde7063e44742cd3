"""How log lines are written, and the collector's operators that read them.

A format finds the time, the level and whatever is worth a filter; `NORMAL` then makes the same names and units of it
for every format and for OTLP alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specs.settings import LogFormat


def quoted(pattern: str) -> str:
    """A regular expression as a text of the collector's languages, in its quotes."""
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_LEVELS: Mapping[str, tuple[str, ...]] = {
    "debug": ("verbose", "debug1", "debug2", "debug3", "debug4", "debug5"),
    "info": ("information", "notice", "success", "log", "detail", "hint", "statement", "context", "query"),
    "fatal": ("critical", "crit", "alert", "emergency", "emerg", "panic"),
}
"""Levels of applications, PostgreSQL and nginx, beside those that the collector knows itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A way to write log lines."""

    operators: tuple[Mapping[str, Any], ...] = ()
    """What reads a line."""
    starts: str = ""
    """How the first line of a record begins, where a record may have several; empty: each line is one."""
    ending: str
    """How names of its files end in the registry."""


def _matched(pattern: str, *, layout: str, location: str, levels: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """Reads the head of a text line; the line itself stays the message."""
    return {
        "type": "regex_parser",
        "regex": pattern,
        "on_error": "send_quiet",
        "timestamp": {
            "parse_from": "attributes.timestamp",
            "layout_type": "gotime",
            "layout": layout,
            # What names no zone was written by a program of this machine.
            **({"location": location} if location else {}),
        },
        "severity": {"overwrite_text": True, **levels},
        **more,
    }


def _named(name: str) -> dict[str, Any]:
    return {"type": "add", "field": "attributes.log_format", "value": name}


def _levels(**more: object) -> dict[str, Any]:
    return {"parse_from": "attributes.level", "mapping": {name: list(words) for name, words in _LEVELS.items()} | more}


def _time(pattern: str, layout: str, **more: str) -> dict[str, Any]:
    return {
        "type": "time_parser",
        "if": f"attributes.timestamp != nil && attributes.timestamp matches {pattern!r}".replace("'", '"'),
        "parse_from": "attributes.timestamp",
        "layout_type": "gotime",
        "layout": layout,
        "on_error": "send_quiet",
        **more,
    }


_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_JSON = (
    {"type": "json_parser", "parse_from": "body", "parse_to": "attributes", "on_error": "send_quiet"},
    _time(f"{_DAY}T.*(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$", "2006-01-02T15:04:05.999999999Z07:00"),
    # Python's `datetime.utcnow().isoformat()` names no zone.
    _time(f"{_DAY}T[0-9:.]+$", "2006-01-02T15:04:05.999999999", location="UTC"),
    {
        "type": "severity_parser",
        "if": "attributes.level != nil",
        "overwrite_text": True,
        "on_error": "send_quiet",
        **_levels(),
    },
    {
        "type": "trace_parser",
        "if": 'attributes.trace_id matches "^[0-9a-f]{32}$"',
        "trace_id": {"parse_from": "attributes.trace_id"},
        "span_id": {"parse_from": "attributes.span_id"},
        "on_error": "send_quiet",
    },
    {
        "type": "move",
        "if": "attributes.service != nil",
        "from": "attributes.service",
        "to": 'resource["service.name"]',
    },
    {"type": "move", "if": "attributes.message != nil", "from": "attributes.message", "to": "body"},
)

_NGINX_ACCESS = (
    r"^(?P<client_ip>\S+) \S+ (?P<user_id>\S+) \[(?P<timestamp>[^\]]+)\] "
    r'"(?:(?P<method>[A-Z]+) (?P<endpoint>[^" ?]*)[^"]*|[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+|-)'
    r'(?: "[^"]*" "[^"]*")?(?: (?:(?:rt|request_time)=)?"?(?P<request_time>\d+\.\d+)"?)?'
)
_NGINX_ERROR = r"^(?P<timestamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>[a-z]+)\] (?P<pid>\d+)#\d+: "
_POSTGRES = (
    r"^(?P<timestamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [A-Z0-9+-]+) \[(?P<pid>\d+)\] "
    r"(?:(?P<db_user>[^@\s]+)@(?P<db_name>\S+) )?(?P<level>[A-Z]+[1-5]?):\s"
)
_REDIS = r"^(?P<pid>\d+):[XCSM] (?P<timestamp>\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?P<level>[.\-*#]) "

FORMATS: Mapping[LogFormat, Format] = {
    "json": Format(
        operators=_JSON,
        ending=".json",
    ),
    "text": Format(
        # What is indented belongs to the line above: frames of a traceback.
        starts=r"^\S",
        ending=".log",
    ),
    "nginx-access": Format(
        operators=(
            _named("nginx-access"),
            _matched(
                _NGINX_ACCESS,
                layout="02/Jan/2006:15:04:05 -0700",
                location="",
                levels={
                    "parse_from": "attributes.status",
                    "mapping": {"info": ["2xx", "3xx"], "warn": ["4xx"], "error": ["5xx"]},
                },
            ),
        ),
        ending=".nginx-access.log",
    ),
    "nginx-error": Format(
        operators=(
            _named("nginx-error"),
            _matched(_NGINX_ERROR, layout="2006/01/02 15:04:05", location="Local", levels=_levels()),
            {
                "type": "regex_parser",
                "if": "body contains 'upstream: \"'",
                "regex": r'upstream: "(?P<upstream>[^"]+)"',
                "on_error": "send_quiet",
            },
        ),
        starts=r"^\d{4}/\d\d/\d\d ",
        ending=".nginx-error.log",
    ),
    "postgres": Format(
        operators=(
            _named("postgres"),
            _matched(_POSTGRES, layout="2006-01-02 15:04:05.999999999 MST", location="", levels=_levels()),
            {
                "type": "regex_parser",
                "if": 'body contains "duration: "',
                "regex": r"duration: (?P<duration_ms>[0-9.]+) ms",
                "on_error": "send_quiet",
            },
        ),
        starts=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
        ending=".postgres.log",
    ),
    "redis": Format(
        operators=(
            _named("redis"),
            _matched(
                _REDIS,
                layout="_2 Jan 2006 15:04:05.000",
                location="Local",
                levels={
                    "parse_from": "attributes.level",
                    "mapping": {"debug": [".", "-"], "info": ["*"], "warn": ["#"]},
                },
            ),
        ),
        starts=r"^\d+:[XCSM] ",
        ending=".redis.log",
    ),
}

_NAMES = ((1, "TRACE"), (5, "DEBUG"), (9, "INFO"), (13, "WARN"), (17, "ERROR"), (21, "FATAL"))

NORMAL: tuple[str, ...] = (
    # One spelling of a level, whoever wrote it.
    *(
        f'set(log.severity_text, "{name}") where log.severity_number >= {low} and log.severity_number < {low + 4}'
        for low, name in _NAMES
    ),
    'set(log.severity_text, ConvertCase(log.severity_text, "upper")) where log.severity_number == 0',
    # One name and one unit of a time.
    'set(log.attributes["duration_ms"], Double(log.attributes["duration"]) * 1000.0) where log.attributes["duration_ms"] == nil and log.attributes["duration"] != nil and log.attributes["duration_unit"] == "s"',
    'set(log.attributes["duration_ms"], Double(log.attributes["duration"])) where log.attributes["duration_ms"] == nil and log.attributes["duration"] != nil',
    'set(log.attributes["duration_ms"], Double(log.attributes["duration_seconds"]) * 1000.0) where log.attributes["duration_ms"] == nil and log.attributes["duration_seconds"] != nil',
    'set(log.attributes["response_time_ms"], Double(log.attributes["response_time"])) where log.attributes["response_time_ms"] == nil and log.attributes["response_time"] != nil',
    'set(log.attributes["response_time_ms"], Double(log.attributes["request_time"]) * 1000.0) where log.attributes["response_time_ms"] == nil and log.attributes["request_time"] != nil and log.attributes["request_time"] != ""',
    # An application that logs slow queries in words: "Slow query (1.53s): SELECT …".
    r'merge_maps(log.attributes, ExtractPatterns(log.body, "(?i)slow query \\((?P<slow_query_seconds>[0-9.]+) ?s\\)"), "upsert") where log.attributes["duration_ms"] == nil and IsMatch(log.body, "(?i)slow query \\([0-9.]+ ?s\\)")',
    'set(log.attributes["duration_ms"], Double(log.attributes["slow_query_seconds"]) * 1000.0) where log.attributes["slow_query_seconds"] != nil',
    # What took the time was a query.
    'set(log.attributes["query_duration_ms"], log.attributes["duration_ms"]) where log.attributes["duration_ms"] != nil and (log.attributes["log_format"] == "postgres" or log.attributes["collection"] != nil or log.attributes["statement"] != nil or log.attributes["slow_query_seconds"] != nil or IsMatch(log.body, "(?i)slow[ _]query") or (log.attributes["event"] != nil and IsMatch(log.attributes["event"], "(?i)slow[ _]query")))',
    # A traceback is for reading, and found by its words.
    r'set(log.body, Concat([log.body, log.attributes["exception"]], "\n")) where log.attributes["exception"] != nil',
    *(
        f'delete_key(log.attributes, "{name}") where log.attributes["{name}"] == "{nothing}"'
        for name, nothing in (
            ("user_id", "-"),
            ("bytes", "-"),
            ("method", ""),
            ("endpoint", ""),
            ("db_user", ""),
            ("db_name", ""),
        )
    ),
    'delete_key(log.attributes, "level") where log.severity_number > 0',
    'delete_key(log.attributes, "timestamp") where log.time_unix_nano > 0',
    *(
        f'delete_key(log.attributes, "{name}")'
        for name in (
            *("duration", "duration_seconds", "duration_unit", "response_time", "request_time"),
            *("slow_query_seconds", "exception", "log.file.name", "log.file.path"),
        )
    ),
)
"""OTTL that every log record passes, from files and OTLP alike."""
