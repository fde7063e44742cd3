"""How lines that containers write to their output are read, where kubelets keep them.

The time of a line is when the container's runtime took it: unlike what stands in lines, that has a zone, and no line is
from another day than its neighbours. Formats are found by how lines begin, since one file is anything's.
"""

from collections.abc import Mapping
from typing import Any

from specs import telemetry
from specs.discovery import NODE_NAMESPACE
from specs.log_formats import FORMATS, quoted
from specs.part import Context
from specs.settings import LogFormat

LOGS = "/var/log/pods"
"""Where kubelets keep what containers write, as <namespace>_<pod>_<uid>/<container>/<restarts>.log."""
_OLDEST = "1h"
"""How far behind the newest line of a stream Loki takes one: half of its `max_chunk_age`."""
_KNOWN_BY_HEAD: tuple[LogFormat, ...] = ("nginx-access", "nginx-error", "postgres", "redis")
_TIMES = ("time_parser",)
_LEVEL = r'(?:^|[\s{,"])level"?[=:]\s*"?(?P<level>[a-zA-Z]+)'
_KLOG = r"^(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d"
"""How parts of Kubernetes begin a line."""


def _begins(pattern: str) -> str:
    return f"body matches {quoted(pattern)}"


def _timeless(step: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in step.items() if key != "timestamp"}


def _json() -> list[dict[str, Any]]:
    # A pod is what its labels say, whatever it writes.
    of_others = ("service.name",)
    return [
        {"if": _begins(r"^[ \t]*\{"), **_timeless(step)}
        for step in FORMATS["json"].operators
        if step["type"] not in _TIMES and not any(name in str(step.get("to")) for name in of_others)
    ]


def _known(name: LogFormat) -> list[dict[str, Any]]:
    """Reads the lines of a format: the first step marks them by how they begin."""
    mark, *steps = FORMATS[name].operators
    (head, *_) = (step["regex"] for step in steps if step["type"] == "regex_parser")
    marked = f'attributes.log_format == "{name}"'
    return [
        {**mark, "if": f"attributes.level == nil and {_begins(head)}"},
        *({**_timeless(step), "if": f"{marked} and {step['if']}" if "if" in step else marked} for step in steps),
    ]


def _leveled(pattern: str, **severity: Any) -> dict[str, Any]:
    """Reads the level of a line that is of no format."""
    return {
        "type": "regex_parser",
        "if": f"attributes.level == nil and attributes.log_format == nil and {_begins(pattern)}",
        "regex": pattern,
        "on_error": "send_quiet",
        "severity": {"parse_from": "attributes.level", **severity},
    }


def receiver(context: Context, agent: str) -> dict[str, Any]:
    """Follows the output of every container of the node but `agent`'s own, which would be told of itself forever."""
    own = f"{context.settings.kubernetes.namespace}{NODE_NAMESPACE}_{agent}-*"
    return {
        # Also the one that was rotated last: it may have lines that are unread.
        "include": [f"{LOGS}/*/*/*.log", f"{LOGS}/*/*/*.log.????????-??????"],
        "exclude": [f"{LOGS}/{own}/*/*"],
        "include_file_path": True,
        "start_at": "beginning",
        "storage": "file_storage",
        "poll_interval": "1s",
        # A line that the runtime cut may end anywhere.
        "preserve_trailing_whitespaces": True,
        # What is not taken, for want of memory, is read again.
        "retry_on_failure": {"enabled": True, **telemetry.FOREVER},
        "operators": [
            {"type": "container"},
            {"type": "filter", "expr": f'timestamp < now() - duration("{_OLDEST}")'},
            {
                # What is indented belongs to the line above: frames of a traceback.
                "type": "recombine",
                "combine_field": "body",
                "is_first_entry": _begins(r"^[^\s]"),
                "source_identifier": 'attributes["log.file.path"]',
                "force_flush_period": "1s",
                "max_log_size": "1MiB",
            },
            *_json(),
            *(step for name in _KNOWN_BY_HEAD for step in _known(name)),
            _leveled(_LEVEL, overwrite_text=True),
            _leveled(_KLOG, mapping={"info": "I", "warn": "W", "error": "E", "fatal": "F"}),
            {"type": "remove", "if": "attributes.logtag != nil", "field": "attributes.logtag"},
        ],
    }
