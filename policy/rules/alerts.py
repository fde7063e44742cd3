"""Every alert has a runbook and somebody who is told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import yaml

from .exposed import files
from .model import Config, Resource, Rule, Violation, mapping, maps
from .routing import Routing, routing

_URGENT = frozenset({"critical", "warning"})
_SEVERITIES = frozenset({*_URGENT, "info"})
# libyaml reads the same in a tenth of the time.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class _Alert:
    resource: Resource
    file: str
    rule: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.rule["alert"])


@lru_cache(maxsize=256)
def _read(text: str) -> Mapping[str, Any]:
    try:
        return mapping(cast("object", yaml.load(text, Loader=_Loader)))  # noqa: S506 - a safe one
    except yaml.YAMLError:
        return {}


def _alerts(resources: Sequence[Resource]) -> Iterator[_Alert]:
    """Alerts of rule files, Prometheus' and Loki's."""
    for resource in resources:
        for file in files(resource):
            if "groups:" in file.text and "alert:" in file.text:
                groups = maps(_read(file.text).get("groups"))
                for rule in (rule for group in groups for rule in maps(group.get("rules"))):
                    if "alert" in rule:
                        yield _Alert(resource, file.where, rule)


def _routings(resources: Sequence[Resource]) -> Iterator[Routing]:
    """The routes of every Alertmanager."""
    for resource in resources:
        for file in files(resource):
            if "receivers:" in file.text and "route:" in file.text:
                content = _read(file.text)
                if "receiver" in mapping(content.get("route")):
                    yield routing(content)


def _check(resources: Sequence[Resource], _: Config) -> Iterator[Violation]:
    alerts, routings = tuple(_alerts(resources)), tuple(_routings(resources))
    if alerts and not routings:
        yield Violation(None, f"{len(alerts)} alerts, and no Alertmanager whose routes say who is told")
    for missing in sorted({name for found in routings for name in found.undefined}):
        yield Violation(None, f"a route leads to the receiver {missing}, which there is none of")
    said: set[tuple[str, str, str]] = set()
    for alert in alerts:
        for message in _wrong(alert, routings):
            # Replicas have the same rules.
            if (alert.file, alert.name, message) not in said:
                said.add((alert.file, alert.name, message))
                yield Violation(alert.resource, f"{alert.file}: alert {alert.name} {message}")


def _wrong(alert: _Alert, routings: Sequence[Routing]) -> Iterator[str]:
    if not str(mapping(alert.rule.get("annotations")).get("runbook_url") or "").strip():
        yield "has no runbook_url"
    labels = {str(key): str(value) for key, value in mapping(alert.rule.get("labels")).items()}
    severity = labels.get("severity", "")
    if severity not in _SEVERITIES:
        yield f"has no severity (accepted: {', '.join(sorted(_SEVERITIES))})"
    elif severity in _URGENT:
        for found in routings:
            lost = found.untold({**labels, "alertname": alert.name})
            if lost:
                yield f"({severity}) tells nobody{lost}"


ALERTS = Rule(
    name="alerts",
    title="Every alert has a runbook, and each that is not merely for information a receiver that notifies.",
    remedy="Give the alert an action (its runbook page follows), and name receivers in alerting.routes or default.",
    stack=_check,
)
