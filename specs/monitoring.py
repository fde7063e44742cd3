"""Alerts, recording rules and scrape jobs as values, and how they become Prometheus' YAML."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson
import yaml

from specs.model import SettingsError
from specs.settings import KEY, Override, Severity
from specs.workload import ApiRule

ENVIRONMENT = "environment"
"""Stands in the place of a system in the names of alerts that are of none."""
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
    of: str = ""
    """System whose profile it is from; empty: it is about whatever its expression finds."""
    level: str = ""
    """Tells alerts of one name and app apart, as the label `level`; empty: their severity does."""
    signal: str = ""
    """Signal of the system `of` whose panels show the threshold; empty: none."""
    below: bool = False
    """Whether the signal is well above the threshold, and not below it."""

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
    """Rules that are evaluated together."""

    name: str
    file: str = ""
    """Name of the file under `rules/` that it shares with others; empty: the group's own name."""
    interval: str = ""
    """How often it is evaluated; empty: as often as everything of the stack."""
    alerts: tuple[Alert, ...] = ()
    records: tuple[RecordingRule, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Something to scrape."""

    address: str
    """`host:port`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class Discovery:
    """Targets that a cluster's API server lists, in the words of Prometheus' `kubernetes_sd_configs`."""

    role: Literal["pod", "node", "endpointslice", "service"]
    namespaces: tuple[str, ...] = ()
    """Where to look; none: in every namespace."""
    relabel: tuple[Mapping[str, Any], ...] = ()
    """What is kept, and what its labels become: `relabel_configs`."""
    drop: tuple[Mapping[str, Any], ...] = ()
    """What samples are kept: `metric_relabel_configs`."""
    by_token: bool = False
    """Whether the target is scraped by TLS with the cluster's authority, and told Prometheus' token."""
    rights: tuple[ApiRule, ...] = ()
    """What the token must allow for the target to answer."""
    server_name: str = ""
    """What the target's certificate is for, where that is not its address."""
    verified: bool = True
    """Whether the target's certificate must be of the cluster's authority."""
    dated: bool = False
    """Whether samples bear times of their own; their series then end, too, when they are told no more."""
    honor_labels: bool = False
    """Whether labels of the samples win over those of the target."""


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
    discovery: "Discovery | None" = None
    """What else is scraped: what a cluster's API server lists."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What every sample of a discovered target carries; targets have labels of their own."""
    fleeting: bool = False
    """Whether its targets come and go with a cluster's nodes: one that does not answer is told of as its node's trouble
    (KubeletDown, DaemonSetPodsMissing), which is no reason to wake anybody, and not as ServiceDown."""


# libyaml writes the same bytes in a twentieth of the time; it is part of PyYAML's wheels.
class _Dumper(yaml.CSafeDumper):
    """YAML for people: texts of several lines as blocks."""


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs


_Dumper.add_representer(str, _text)
# Dashboards of many systems are most of what is written, and json's encoder was a third of the time that rendering took.
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def to_yaml(value: object) -> str:
    """Stable YAML: keys in the order given, the same bytes for the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def to_json(value: object) -> str:
    """JSON of a line for each value, keys in order: a change shows as the lines that it is."""
    return orjson.dumps(value, option=_JSON).decode()


def number(value: float) -> str:
    """A threshold as people write it: no exponent, no needless zeros."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def _rules(group: RuleGroup, *, runbooks: str, dashboards: str) -> list[dict[str, Any]]:
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
            **({"level": alert.level} if alert.level else {}),
        }
        rule["annotations"] = {
            "summary": alert.summary.replace(THRESHOLD, threshold),
            "description": alert.description.replace(THRESHOLD, threshold),
            "runbook_url": f"{runbooks}/{alert.name}.md",
            "dashboard_url": f"{dashboards}/d/{alert.dashboard or 'observability-stack'}",
        }
        rules.append(rule)
    return rules


def rule_files(groups: Iterable[RuleGroup], *, runbooks: str, dashboards: str) -> dict[str, str]:
    """The rule files of `groups`, `<file>.yml` → text. `runbooks` and `dashboards` are the URLs that links start with."""
    files: dict[str, list[dict[str, Any]]] = {}
    for group in groups:
        rules = _rules(group, runbooks=runbooks, dashboards=dashboards)
        if rules:
            pace = {"interval": group.interval} if group.interval else {}
            files.setdefault(f"{group.file or group.name}.yml", []).append({"name": group.name, **pace, "rules": rules})
    return {name: to_yaml({"groups": found}) for name, found in files.items()}


def _overridden(alert: Alert, overrides: Mapping[str, Override]) -> Alert | None:
    """`alert` with every override that names it, the narrower after the wider; None when the last word is to leave it
    out."""
    disabled = False
    for key in override_keys(alert):
        if key in overrides:
            alert = alert.overridden(overrides[key])
            disabled = overrides[key].disabled
    return None if disabled else alert


def override_keys(alert: Alert) -> tuple[str, ...]:
    """What an override may call `alert`, the widest first: `[system/]name[@level]`, or `environment/…` for one that is
    of no system's profile."""
    levels = ("", f"@{alert.level or alert.severity.value}")
    return tuple(f"{system}{alert.name}{level}" for system in ("", f"{alert.of or ENVIRONMENT}/") for level in levels)


def _shortest(alert: Alert, known: Mapping[str, Sequence[Alert]]) -> str:
    """The widest name that an override may have and still be about this alert's limit alone."""
    return next(
        key
        for key in override_keys(alert)
        if len({(each.of, each.level or each.severity.value) for each in known[key]}) == 1
    )


def override(groups: Iterable[RuleGroup], overrides: Mapping[str, Override], *, file: str) -> tuple[RuleGroup, ...]:
    """`groups` as the stack wants them.

    Raises SettingsError for an override of an alert that does not exist, or of a threshold an alert has not got.
    """
    groups = tuple(groups)
    known: dict[str, list[Alert]] = {}
    for group in groups:
        for alert in group.alerts:
            for key in override_keys(alert):
                known.setdefault(key, []).append(alert)
    for name, change in overrides.items():
        key = f"{file}: {KEY}.alerting.overrides.{name}"
        if name not in known:
            names = sorted(key for key in known if not re.search("[/@]", key))
            near = difflib.get_close_matches(name, known, n=3) or names[:3]
            raise SettingsError(
                f"{key}: unknown alert (accepted: [<system>/]<alert>[@<severity>] with one of the {len(names)} alerts of"
                f" docs/runbooks, like {', '.join(near)})"
            )
        if change.threshold is None:
            continue
        if all(alert.threshold is None for alert in known[name]):
            raise SettingsError(f"{key}.threshold: this alert has no threshold (accepted: for, severity, disabled)")
        # Limits of several rules may be of different units: each is set by a name of its own.
        if len({(alert.of, alert.level or alert.severity.value) for alert in known[name]}) > 1:
            own = sorted(dict.fromkeys(_shortest(alert, known) for alert in known[name]))
            raise SettingsError(f"{key}.threshold: this alert has several limits (accepted: {', '.join(own)})")
    return tuple(
        replace(
            group,
            alerts=tuple(kept for alert in group.alerts if (kept := _overridden(alert, overrides)) is not None),
        )
        for group in groups
    )
