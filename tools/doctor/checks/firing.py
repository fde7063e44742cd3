"""What fires now, and is told: of whatever the stack watches, itself included."""

from collections.abc import Sequence

from specs import alertmanager
from specs.routing import WATCHDOG
from specs.settings import Severity
from tools.doctor.findings import Finding, listed, ok, warn
from tools.doctor.live import Live

_ACTIVE = {"active": "true", "silenced": "false", "inhibited": "false", "muted": "false"}


async def check(live: Live) -> Sequence[Finding]:
    """Alerts that Alertmanager holds and nothing mutes, but for those that tell nobody."""
    found = await live.json(live.one(alertmanager.NAME), "/api/v2/alerts", _ACTIVE)
    by_severity: dict[str, list[str]] = {}
    for alert in found:
        labels = alert["labels"]
        if labels.get("severity") != Severity.INFO.value and labels["alertname"] != WATCHDOG:
            whose = "/".join(labels[name] for name in ("app", "service") if labels.get(name))
            by_severity.setdefault(str(labels.get("severity", "")), []).append(f"{labels['alertname']} of {whose}")
    return [
        warn(f"{severity}: {listed(sorted(set(names)))}", "do what each one's runbook says")
        for severity, names in sorted(by_severity.items())
    ] or [ok("no alert fires that somebody is told of")]
