"""Objectives: good events and bad ones as recording rules, error budgets, and alerts on how fast they burn.

The alerts look at two windows at once, as the SRE workbook does (https://sre.google/workbook/alerting-on-slos/): the long
one says that it matters, the short one that it still goes on. One set of rules serves every objective of every system.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from specs.model import SettingsError, seconds
from specs.monitoring import THRESHOLD, Alert, RecordingRule, RuleGroup
from specs.profile import Objective
from specs.settings import Severity
from specs.system import System

FILE = "slo"
DASHBOARD = "slo"
EVENTS = "slo:events:rate5m"
"""Events a second of an objective, by app, environment, service and slo."""
BAD = "slo:bad_events:rate5m"
"""Those of them that were not good."""
BUDGET = "slo:error_budget"
"""Share of bad events that the objective allows; label `page` says whether a fast burn wakes somebody."""
REMAINING = "slo:error_budget_remaining:30d"
"""Share of the budget of 30 days that is left; negative when it is overspent."""
MINIMUM = 0.01
"""Events a second, on average over an hour, below which nothing is said."""
SLOW = "slo-slow"
"""Group of what looks back for days: it reads averages, and is evaluated less often, since a month of events of every
evaluation would take Prometheus longer than all its other rules together."""
PACE = "2m"
"""How often the slow ones are evaluated, and what they average over."""
AVERAGED = {EVENTS: "slo:events:avg2m", BAD: "slo:bad_events:avg2m"}
"""What is read in place of each evaluation's own."""
_ON = "on (app, environment, service, slo)"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Burn:
    """A pace at which an error budget is spent, and the two windows that it is seen in."""

    long: str
    short: str
    factor: float
    """How many times faster than would just do."""
    gone: str
    """Until when 30 days' budget is spent at this pace."""
    severity: Severity
    for_: str


_BURNS = (
    _Burn(long="1h", short="5m", factor=14.4, gone="two days", severity=Severity.CRITICAL, for_="2m"),
    _Burn(long="6h", short="30m", factor=6, gone="five days", severity=Severity.CRITICAL, for_="15m"),
    _Burn(long="1d", short="2h", factor=3, gone="ten days", severity=Severity.WARNING, for_="1h"),
    _Burn(long="3d", short="6h", factor=1, gone="30 days", severity=Severity.WARNING, for_="3h"),
)


def ratio(window: str) -> str:
    """Name of the series with the share of bad events in `window`."""
    return f"slo:error_ratio:{window}"


def _events(system: System, name: str, objective: Objective, *, file: str) -> tuple[str, str]:
    """PromQL of all events a second, and of the bad ones."""
    by, scope, http = "sum by (app, environment)", system.scope, system.profile.http
    if objective.signal is not None:
        # A moment is an event: one a second, whatever it is about.
        # What is not a number, as a quantile of nothing is, would make every sum over it no number for a month.
        measured = f"({system.signals[objective.signal].expr(scope, keep=('app', 'environment'))} >= -Inf)"
        worst = f"min by (app, environment) ({measured})" if objective.above is not None else ""
        worst = worst or f"max by (app, environment) ({measured})"
        limit = f"< bool {objective.above:g}" if objective.above is not None else f"> bool {objective.below:g}"
        return f"0 * {worst} + 1", f"{worst} {limit}"
    key = f"{file}: objectives.{name}"
    if objective.under is not None:
        histogram = objective.of or (None if http is None else http.duration)
        if histogram is None:
            raise SettingsError(f"{key}.of: required, since the system serves no HTTP (accepted: a histogram)")
        bound = seconds(objective.under)
        declared = system.profile.metrics.get(histogram)
        if declared is not None and bound not in declared.buckets:
            accepted = ", ".join(f"{bucket:g}s" for bucket in declared.buckets)
            raise SettingsError(f"{key}.under: {objective.under} is not a bucket of {histogram} (accepted: {accepted})")
        edge = f"{bound:g}|{bound}".replace(".", "[.]")
        events = f"{by} (rate({histogram}_count{{{scope}}}[5m]))"
        return events, f'{events} - {by} (rate({histogram}_bucket{{le=~"{edge}", {scope}}}[5m]))'
    if http is None:
        raise SettingsError(f"{key}: the system serves no HTTP (accepted: under and of, or signal with a limit)")
    events = f"{by} (rate({http.requests}{{{scope}}}[5m]))"
    return events, f'{by} (rate({http.requests}{{{http.status}=~"5..", {scope}}}[5m])) or 0 * {events}'


def records(system: System) -> RuleGroup:
    """The events of every objective of `system`.

    Raises SettingsError naming the profile and the key of an objective that its metrics cannot tell.
    """
    found: list[RecordingRule] = []
    for name, objective in system.profile.objectives.items():
        events, bad = _events(system, name, objective, file=f"{system.name}.yaml")
        told = {"service": objective.service or system.profile.first, "slo": name}
        found += [
            RecordingRule(record=EVENTS, expr=events, labels=told),
            RecordingRule(record=BAD, expr=bad, labels=told),
            RecordingRule(
                record=BUDGET,
                # Every sample of a budget belongs to an environment, and so does its alert.
                expr=f'0 * count by (app, environment) ({EVENTS}{{{system.scope}, slo="{name}"}})'
                f" + {1 - objective.percent / 100:.10g}",
                labels={**told, "page": "true" if objective.page else "false", "objective": objective.title},
            ),
        ]
    for kpi in system.profile.kpis:
        measured = system.signals[kpi.signal].expr(system.scope, keep=("app", "environment"))
        label = {"kpi": kpi.title}
        found += [
            RecordingRule(record="kpi:value", expr=f"sum by (app, environment) ({measured})", labels=label),
            RecordingRule(
                record="kpi:target",
                expr=f"0 * count by (app, environment) (up{{{system.scope}}}) + {kpi.target:g}",
                labels=label,
            ),
        ]
    return RuleGroup(name="objectives", file=system.name, records=tuple(found))


def _ratios(windows: Sequence[str], events: str, bad: str) -> list[RecordingRule]:
    return [
        RecordingRule(
            record=ratio(window), expr=f"sum_over_time({bad}[{window}]) / (sum_over_time({events}[{window}]) > 0)"
        )
        for window in windows
    ]


def _soon() -> tuple[RecordingRule, ...]:
    return (
        RecordingRule(record=ratio("5m"), expr=f"{BAD} / ({EVENTS} > 0)"),
        *_ratios(("30m", "1h", "6h"), EVENTS, BAD),
    )


def _late() -> tuple[RecordingRule, ...]:
    averages = [
        RecordingRule(record=averaged, expr=f"avg_over_time({series}[{PACE}])") for series, averaged in AVERAGED.items()
    ]
    left = f"1 - {ratio('30d')} / {_ON} group_left () max by (app, environment, service, slo) ({BUDGET})"
    return (
        *averages,
        *_ratios(("2h", "1d", "3d", "30d"), AVERAGED[EVENTS], AVERAGED[BAD]),
        RecordingRule(record=REMAINING, expr=left),
    )


def _burning(burn: _Burn) -> Alert:
    budget = f'{BUDGET}{{page="true"}}' if burn.severity is Severity.CRITICAL else BUDGET
    allowed = f"{_ON} group_left (objective) ({THRESHOLD} * {budget})"
    return Alert(
        name="ErrorBudgetBurn",
        level=burn.long,
        expr=f"""
{ratio(burn.long)} > {allowed}
and {_ON} {ratio(burn.short)} > {_ON} group_left () ({THRESHOLD} * {BUDGET})
and {_ON} avg_over_time({EVENTS}[1h]) > {MINIMUM}""",
        threshold=burn.factor,
        for_=burn.for_,
        severity=burn.severity,
        summary="{{ $labels.app }} burns the error budget of {{ $labels.slo }}",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the events of {burn.long} were not good"
            f" ({{{{ $labels.objective }}}}); at this pace the budget of 30 days is gone within {burn.gone}."
        ),
        action=(
            "Open the SLO dashboard: which objective, since when. Then the system's own dashboard for the route or the"
            " dependency that fails, and what was deployed at that time."
        ),
        dashboard=DASHBOARD,
    )


_UNMEASURED = Alert(
    name="ObjectiveUnmeasured",
    expr=f"{EVENTS} unless {_ON} {BAD}",
    for_="15m",
    severity=Severity.WARNING,
    summary="Nothing says which events of {{ $labels.app }} are bad for {{ $labels.slo }}",
    description=(
        "{{ $value | humanize }} events a second are counted for {{ $labels.slo }}, and none can be told good from bad:"
        " its error budget cannot burn."
    ),
    action=(
        "Compare the objective's `under` with the buckets that the application really exposes (its /metrics): one must"
        " end exactly there. Change the application's buckets, or the objective."
    ),
    dashboard=DASHBOARD,
)


def groups() -> tuple[RuleGroup, ...]:
    """Ratios, budgets and alerts of every objective of every system."""
    # A group's rules are evaluated in their order: the alerts see the ratios of the same moment.
    pages, tickets = (
        tuple(_burning(burn) for burn in _BURNS if (burn.severity is Severity.CRITICAL) is page)
        for page in (True, False)
    )
    return (
        RuleGroup(name=FILE, records=_soon(), alerts=(*pages, _UNMEASURED)),
        RuleGroup(name=SLOW, file=FILE, interval=PACE, records=_late(), alerts=tickets),
    )
