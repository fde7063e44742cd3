"""Alerts, recording rules and scrape jobs as values, and how they become Prometheus' YAML."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from specs.model import SettingsError
from specs.settings import KEY, Override, Severity

THRESHOLD = "$threshold"
"""Stands in an alert's expression and texts where its threshold belongs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """A condition somebody is told of."""

    name: str
    expr: str
    """PromQL; THRESHOLD is replaced by the threshold."""
    summary: str
    """One line; may use Prometheus' templates."""
    description: str
    """What was measured, with value and unit."""
    action: str
    """What the person who is told does first: the heart of the runbook page."""
    severity: Severity
    for_: str = "0s"
    threshold: float | None = None
    service: str = ""
    """Label `service`; empty: the target's own label, by the expression."""
    app: str = ""
    """Label `app`; empty: the target's own label, by the expression."""
    dashboard: str = ""
    """uid of the dashboard that shows it."""
    keep_firing_for: str = ""

    def overridden(self, override: Override) -> "Alert":
        """The alert as this stack wants it."""
        return replace(
            self,
            threshold=self.threshold if override.threshold is None else override.threshold,
            for_=self.for_ if override.for_ is None else override.for_,
            severity=self.severity if override.severity is None else override.severity,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingRule:
    """A series that is computed once and queried often."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together: one file under `rules/`."""

    name: str
    alerts: tuple[Alert, ...] = ()
    records: tuple[RecordingRule, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Something to scrape."""

    address: str
    """`host:port`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class ScrapeJob:
    """Targets that are scraped the same way."""

    name: str
    targets: tuple[Target, ...]
    path: str = "/metrics"
    interval: str = ""
    """Empty: the stack's own interval."""
    timeout: str = ""
    through: str = ""
    """Address of an exporter that probes the targets (blackbox, json); empty: targets are scraped themselves."""


class _Dumper(yaml.SafeDumper):
    """YAML for people: texts of several lines as blocks, lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs


_Dumper.add_representer(str, _text)


def to_yaml(value: object) -> str:
    """Stable YAML: keys in the order given, the same bytes for the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def number(value: float) -> str:
    """A threshold as people write it: no exponent, no needless zeros."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def rules_yaml(group: RuleGroup, *, runbooks: str, dashboards: str) -> str:
    """The rule file of `group`. `runbooks` and `dashboards` are the URLs that links start with."""
    rules: list[dict[str, Any]] = [
        {"record": record.record, "expr": record.expr.strip()}
        | ({"labels": dict(record.labels)} if record.labels else {})
        for record in group.records
    ]
    for alert in group.alerts:
        threshold = "" if alert.threshold is None else number(alert.threshold)
        rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expr.strip().replace(THRESHOLD, threshold)}
        if alert.for_ != "0s":
            rule["for"] = alert.for_
        if alert.keep_firing_for:
            rule["keep_firing_for"] = alert.keep_firing_for
        rule["labels"] = {
            "severity": alert.severity.value,
            **({"app": alert.app} if alert.app else {}),
            **({"service": alert.service} if alert.service else {}),
        }
        rule["annotations"] = {
            "summary": alert.summary.replace(THRESHOLD, threshold),
            "description": alert.description.replace(THRESHOLD, threshold),
            "runbook_url": f"{runbooks}/{alert.name}.md",
            "dashboard_url": f"{dashboards}/d/{alert.dashboard or 'observability-stack'}",
        }
        rules.append(rule)
    return to_yaml({"groups": [{"name": group.name, "rules": rules}]})


def override(groups: Iterable[RuleGroup], overrides: Mapping[str, Override], *, file: str) -> tuple[RuleGroup, ...]:
    """`groups` as the stack wants them.

    Raises SettingsError for an override of an alert that does not exist, or of a threshold an alert has not got.
    """
    groups = tuple(groups)
    known = {alert.name: alert for group in groups for alert in group.alerts}
    for name, change in overrides.items():
        key = f"{file}: {KEY}.alerting.overrides.{name}"
        if name not in known:
            raise SettingsError(f"{key}: unknown alert (accepted: {', '.join(sorted(known))})")
        if change.threshold is not None and known[name].threshold is None:
            raise SettingsError(f"{key}.threshold: this alert has no threshold (accepted: for, severity, disabled)")
    return tuple(
        replace(
            group,
            alerts=tuple(
                alert.overridden(overrides[alert.name]) if alert.name in overrides else alert
                for alert in group.alerts
                if not (alert.name in overrides and overrides[alert.name].disabled)
            ),
        )
        for group in groups
    )
