"""What a profile says and nothing knows: signals, metrics, labels, services. What asks for them would never find any."""

import difflib
import re
from collections.abc import Iterator, Mapping

from specs.model import SettingsError, plain
from specs.profile import Kind, Metric, Profile
from specs.signal import BASE, Signal

OWN_ALERTS = frozenset({"Watchdog", "ServiceDown", "SystemDown", "TargetMissing"})
"""Alerts whose names mean something to routes and inhibitions: no profile has any of them."""


def refuse_mistakes(system: str, profile: Profile, signals: Mapping[str, Signal]) -> None:
    """Refuse the profile of `system`, which may refer to `signals`, for what it names and nothing defines.

    Raises SettingsError naming the profile and the key.
    """
    _refuse_unknown_signals(system, profile, signals)
    _refuse_unknown_metrics(system, profile)


def _refuse_unknown_signals(system: str, profile: Profile, signals: Mapping[str, Signal]) -> None:
    """Names of signals, in a profile, that nothing defines; and an alert twice at one level."""
    used = [(f"alerts[{index}].signal", alert.signal) for index, alert in enumerate(profile.alerts)]
    used += [(f"objectives.{name}.signal", each.signal) for name, each in profile.objectives.items() if each.signal]
    used += [(f"kpis[{index}].signal", kpi.signal) for index, kpi in enumerate(profile.kpis)]
    used += [
        (f"dashboards[{at}].panels[{index}].signals", signal)
        for at, board in enumerate(profile.dashboards)
        for index, panel in enumerate(board.panels)
        for signal in panel.signals
    ]
    for key, name in used:
        if name not in signals:
            near = difflib.get_close_matches(name, signals, n=1)
            raise SettingsError(
                f"{system}.yaml: {key}: unknown signal {name} (accepted: {', '.join(sorted(signals))})"
                + (f"; did you mean {near[0]}?" if near else "")
            )
    for at, board in enumerate(profile.dashboards):
        for index, panel in enumerate(board.panels):
            if panel.kind == "heatmap" and not signals[panel.signals[0]].buckets("", window="5m"):
                raise SettingsError(
                    f"{system}.yaml: dashboards[{at}].panels[{index}].signals: {panel.signals[0]} is of no histogram"
                    " (accepted: for a heatmap, a quantile or a mean)"
                )
    for index, alert in enumerate(profile.alerts):
        if alert.name in OWN_ALERTS:
            raise SettingsError(
                f"{system}.yaml: alerts[{index}].name: {alert.name} is the stack's own (accepted: another name; every"
                " target that is down is told already)"
            )
    levels = [(alert.name, alert.severity) for alert in profile.alerts]
    for index, level in enumerate(levels):
        if level in levels[:index]:
            raise SettingsError(
                f"{system}.yaml: alerts[{index}].name: {level[0]} is there twice as {level[1].value}"
                " (accepted: each name once at each severity)"
            )


_EXPORTERS_METRICS = {"node": "node_", "postgres": "pg_", "redis": "redis_", "nginx": "nginx_", "celery": "flower_"}
_EVERYBODYS = ("up", "process_", "probe_", "scrape_")
_TARGETS_LABELS = frozenset({*BASE, "instance", "job", "probe"})
_ASKED = {
    **dict.fromkeys(("value", "ratio", "to", "growth"), Kind.GAUGE),
    **dict.fromkeys(("rate", "increase", "share", "part", "rest"), Kind.COUNTER),
    **dict.fromkeys(("of", "mean"), Kind.HISTOGRAM),
}
"""By the key of a signal: the kind of metric that it asks for."""


def _declared(profile: Profile) -> dict[str, Metric]:
    """Every metric of the system itself: declared, or known by the names of its HTTP metrics and its JSON pages."""
    found = {name: Metric(kind=Kind.GAUGE) for page in profile.json_pages.values() for name in page.metrics}
    if profile.http is not None:
        status = {profile.http.status: ("200", "500"), profile.http.route: ()}
        found[profile.http.requests] = Metric(kind=Kind.COUNTER, labels=status)
        found[profile.http.duration] = Metric(kind=Kind.HISTOGRAM, labels={profile.http.route: ()})
    return found | dict(profile.metrics)


def _asked(profile: Profile) -> Iterator[tuple[str, str, Kind, Signal | None]]:
    """Key, name and kind of every metric that a profile asks for, and the signal that does."""
    for name, signal in profile.signals.items():
        for field, kind in _ASKED.items():
            metric: str | None = getattr(signal, field)
            if metric:
                yield f"signals.{name}.{field}", metric, kind, signal
    for index, alert in enumerate(profile.alerts):
        if alert.traffic_of:
            yield f"alerts[{index}].traffic_of", alert.traffic_of, Kind.COUNTER, None
    for name, objective in profile.objectives.items():
        if objective.of:
            yield f"objectives.{name}.of", objective.of, Kind.HISTOGRAM, None


def _refuse_unknown_metrics(system: str, profile: Profile) -> None:
    """Metrics, labels and services that a profile names and declares nowhere: what asks for them never finds any."""
    declared = _declared(profile)
    for name, metric in list(declared.items()):
        if metric.kind is Kind.HISTOGRAM:
            own = Metric(kind=Kind.COUNTER, labels=metric.labels)
            declared |= {f"{name}_count": own, f"{name}_sum": own}
    prefixes = (*_EVERYBODYS, *(_EXPORTERS_METRICS[name] for name in profile.exporters))
    for key, name, kind, signal in _asked(profile):
        found = declared.get(name)
        if found is None and name.startswith(prefixes):
            continue
        if found is None or found.kind is not kind:
            accepted = sorted(each for each, metric in declared.items() if metric.kind is kind)
            near = difflib.get_close_matches(name, accepted, n=1)
            raise SettingsError(
                f"{system}.yaml: {key}: {name} is not a {kind.value} of the system"
                f" (accepted: one that stands under metrics, like {', '.join(accepted[:5]) or 'none so far'})"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        if signal is not None:
            _refuse_unknown_labels(system, key.rpartition(".")[0], signal, found)
    for name, objective in profile.objectives.items():
        if objective.service is not None and objective.service not in profile.services:
            raise SettingsError(
                f"{system}.yaml: objectives.{name}.service: not a service of the system"
                f" (accepted: {', '.join(profile.services)})"
            )


def _refuse_unknown_labels(system: str, key: str, signal: Signal, metric: Metric) -> None:
    known = {*metric.labels, *_TARGETS_LABELS}
    for label in (*signal.where, *signal.by):
        if label not in known:
            raise SettingsError(
                f"{system}.yaml: {key}: no label {label} (accepted: {', '.join(sorted(known))}, or one more under the"
                " labels of its metric)"
            )
    for label, wanted in signal.where.items():
        values = metric.labels.get(label, ())
        if values and not any(
            (re.fullmatch(wanted.removeprefix("!"), value) is None) is wanted.startswith("!") for value in values
        ):
            raise SettingsError(
                f"{system}.yaml: {key}.where.{label}: no example matches {plain(wanted)} (accepted: what matches one of"
                f" {', '.join(values)}, or one more under the labels of its metric)"
            )
