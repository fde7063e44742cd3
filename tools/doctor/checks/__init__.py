"""Every check by its name, in the order that people read them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from tools.doctor.checks import (
    alerting,
    certificates,
    clock,
    config,
    disk,
    files,
    firing,
    grafana,
    orphans,
    parts,
    retention,
    rules,
    targets,
    telemetry,
)
from tools.doctor.findings import Finding
from tools.doctor.live import Live

Check = Callable[[Live], Awaitable[Sequence[Finding]]]

CHECKS: Mapping[str, Check] = {
    "parts": parts.check,
    "files": files.check,
    "config": config.check,
    "targets": targets.check,
    "rules": rules.check,
    "alerting": alerting.check,
    "firing": firing.check,
    "logs": telemetry.logs,
    "traces": telemetry.traces,
    "datasources": grafana.datasources_answer,
    "dashboards": grafana.dashboards_are_there,
    "retention": retention.check,
    "disk": disk.check,
    "certificates": certificates.check,
    "clock": clock.check,
    "orphans": orphans.check,
}
