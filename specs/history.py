"""The alert history: every notification that Alertmanager sends, to whom, and what became of it.

Alertmanager records its events itself. On a process stack they are lines of its output, which the collector follows
and supervisor rotates; elsewhere it posts them to the collector.
"""

from typing import Any

from specs.log_formats import quoted
from specs.part import APP, Context
from specs.programs import ALERTMANAGER, COLLECTOR

SERVICE = "alert-history"
SELECTOR = f'{{app="{APP}", service_name="{SERVICE}"}}'
"""Its stream in Loki."""
PORT = 8088
"""Where the collector takes events, on runtimes without files in common."""
_PATH = "/alert-history"

ALERTMANAGER_ARGS = ("--enable-feature=event-recorder",)
"""What Alertmanager must be started with."""


def alertmanager_config(context: Context) -> dict[str, Any]:
    """What Alertmanager's configuration needs beside receivers and routes."""
    if context.on_one_machine:
        return {"event_recorder": {"stdout_outputs": [{}]}}
    url = f"http://{context.addresses.dial(COLLECTOR.name, PORT)}{_PATH}"
    return {"event_recorder": {"webhook_outputs": [{"url": url, "max_retries": 10}]}}


_EVENT = 'body startsWith "{\\"@timestamp\\""'
_FAILURE = 'body matches "msg=\\"Notify (for alerts failed|attempt failed)"'

NOT_AN_EVENT = {"type": "filter", "expr": _EVENT}
"""Drops events from Alertmanager's other output: the history has them."""


def file_receiver() -> dict[str, Any]:
    """Follows what Alertmanager says of notifications in its output."""
    return {
        "include": [f"../../{ALERTMANAGER.name}/log/*.log"],
        "start_at": "beginning",
        "storage": "file_storage",
        "poll_interval": "500ms",
        "operators": [{"type": "filter", "expr": f"not ({_EVENT} or {_FAILURE})"}],
    }


def webhook_receiver(context: Context) -> dict[str, Any]:
    """Takes the events that Alertmanager posts. Only the collector's full distribution has it, as its image does."""
    return {"endpoint": context.addresses.listen(PORT), "path": _PATH}


def _extract(pattern: str, condition: str = "") -> str:
    found = f'merge_maps(log.attributes, ExtractPatterns(log.body, {quoted(pattern)}), "upsert")'
    return found + (f" where {condition}" if condition else "")


def _label(name: str, attribute: str) -> str:
    """A label of the (first) alert of an event, and of the group of a failure."""
    return _extract(rf'"key":\s*"{name}",\s*"value":\s*"(?P<{attribute}>[^"]*)"', 'IsMatch(log.body, "^\\\\{")')


def _grouped(name: str, attribute: str) -> str:
    return _extract(
        rf'[{{ ]{name}=\\"(?P<{attribute}>[^"\\]*)', 'IsMatch(log.body, "Notify (for alerts|attempt) failed")'
    )


_OUTCOMES = {
    "notification": "delivered",
    "silenceMutedAlert": "silenced",
    "inhibitionMutedAlert": "inhibited",
}
_LABELS = (
    ("alertname", "alertname"),
    ("app", "alert_app"),
    ("service", "alert_service"),
    ("severity", "alert_severity"),
)

STATEMENTS: tuple[str, ...] = (
    f'set(resource.attributes["app"], "{APP}")',
    f'set(resource.attributes["service.name"], "{SERVICE}")',
    'delete_key(log.attributes, "log.file.name")',
    # What posted events come with: the collector's own receiver, which is nobody who is told.
    'delete_key(scope.attributes, "receiver")',
    'delete_key(scope.attributes, "source")',
    _extract(r'^\{"@timestamp":\s*"(?P<at>[^"]+)"'),
    'set(log.time, Time(log.attributes["at"], "%Y-%m-%dT%H:%M:%SZ")) where log.attributes["at"] != nil',
    'delete_key(log.attributes, "at")',
    _extract(r'"data":\s*\{\s*"(?P<event>\w+)"'),
    _extract(r'"receiverName":\s*"(?P<receiver>[^"]*)"'),
    _extract(r'"integration":\s*\{\s*"name":\s*"(?P<integration>[^"]*)"'),
    _extract(r'"reason":\s*"NOTIFY_REASON_(?P<reason>\w+)"'),
    *(_label(name, attribute) for name, attribute in _LABELS),
    *(_grouped(name, attribute) for name, attribute in _LABELS),
    _extract(
        r'err="?(?P<receiver>[^/"]+)/(?P<integration>[a-z0-9_]+)\[\d+\]: ',
        'IsMatch(log.body, "Notify for alerts failed")',
    ),
    _extract(r' receiver="?(?P<receiver>[^" ]+)', 'IsMatch(log.body, "Notify attempt failed")'),
    _extract(r" integration=(?P<integration>[a-z0-9_]+)\[", 'IsMatch(log.body, "Notify attempt failed")'),
    *(
        f'set(log.attributes["outcome"], "{outcome}") where log.attributes["event"] == "{event}"'
        for event, outcome in _OUTCOMES.items()
    ),
    'set(log.attributes["outcome"], "failed") where IsMatch(log.body, "Notify for alerts failed")',
    'set(log.attributes["outcome"], "retried") where IsMatch(log.body, "Notify attempt failed")',
    'set(log.severity_text, "INFO")',
    "set(log.severity_number, 9)",
    'set(log.severity_text, "ERROR") where log.attributes["outcome"] == "failed"',
    'set(log.severity_number, 17) where log.attributes["outcome"] == "failed"',
)
"""OTTL that turns an event, or a line about a failure, into a line of the history."""


def statements(context: Context) -> tuple[str, ...]:
    """The OTTL for this stack. Of several Alertmanagers each says of itself that a silence or another alert muted one,
    and only the first one is asked; who was told is said by the one that did it."""
    if context.scale.alertmanager == 1:
        return STATEMENTS
    later = quoted(r'"clusterPosition":\s*[1-9]')
    echo = f'IsMatch(log.attributes["event"], "MutedAlert$") and IsMatch(log.body, {later})'
    return (*STATEMENTS, f'delete_key(log.attributes, "outcome") where {echo}')


PANEL = (
    f'{SELECTOR} | outcome != ""'
    ' | line_format "{{.outcome}}: {{.alertname}} of {{.alert_app}}'
    # Whoever was kept from hearing of it has no name.
    '{{with .receiver}} to {{.}}{{end}}{{with .integration}} by {{.}}{{end}} {{.reason}}"'
)
"""Every notification, to whom, and its outcome, for a panel of log lines."""
COUNTS = f'sum by (receiver, integration, outcome) (count_over_time({SELECTOR} | outcome != "" [$__range]))'
"""How many notifications each receiver got, for a table."""
