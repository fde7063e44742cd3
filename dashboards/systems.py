"""Dashboards of the systems: each board of a profile, drawn from the signals that its alerts and objectives use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards import boards, panels
from dashboards.boards import Panel
from dashboards.limits import Limit, Limits
from dashboards.panels import UNITS, Column, Query
from specs.model import SettingsError
from specs.monitoring import Alert, number
from specs.profile import Board
from specs.profile import Panel as Wanted
from specs.signal import SPOKEN, Signal, Unit
from specs.system import SHARED, System, recorded

KEEP = ("environment", "service")
"""What every query keeps beside the labels that its panel tells apart."""
HOSTS: Mapping[str, Mapping[str, bool]] = {
    "host_cpu": {"HighCPUUsage": False},
    "host_memory": {"HighMemoryUsage": False},
    "host_disk": {"DiskSpaceLow": True},
    "host_disk_io": {"HostDiskSaturated": False},
}
"""Alerts of hosts by the signal that they are about; True: the alert is about what is left."""
_FACTORS: Mapping[tuple[Unit, Unit], float] = {
    (Unit.PERCENT, Unit.RATIO): 0.01,
    (Unit.RATIO, Unit.PERCENT): 100,
    (Unit.MILLISECONDS, Unit.SECONDS): 0.001,
    (Unit.SECONDS, Unit.MILLISECONDS): 1000,
}
"""What turns a value of one unit into the same in another."""


@dataclass(frozen=True, kw_only=True)
class _Draws:
    """Draws the panels of one system."""

    system: System
    limits: Mapping[str, tuple[Alert, ...]]
    """Alerts of the system by signal."""
    hosts: Limits

    @property
    def known(self) -> Mapping[str, Signal]:
        """Signals by name."""
        return self.system.signals

    @property
    def scope(self) -> str:
        """Matchers of the system's series in the environments that are chosen."""
        return f'{self.system.scope}, environment=~"$environment"'

    def expr(self, name: str, by: Sequence[str], *, over_time: bool) -> str:
        """PromQL of a signal: of the whole service where it is computed once, else of the chosen instances."""
        signal = self.known[name]
        if name in SHARED and not by:
            return f"{recorded(name)}{{{self.scope}}}"
        follows = (
            over_time
            and signal.window == "5m"
            and signal.kind in {"rate", "quantile", "mean", "share", "part", "promql"}
        )
        return signal.expr(
            f'{self.scope}, instance=~"$instance"',
            keep=KEEP,
            by=tuple(by),
            window="$__rate_interval" if follows else "",
        )

    def queries(self, wanted: Wanted, *, over_time: bool) -> list[Query]:
        """A query for each signal, with a legend that tells its series apart."""
        found: list[Query] = []
        for name in wanted.signals:
            signal = self.known[name]
            labels = [f"{{{{{label}}}}}" for label in dict.fromkeys((*wanted.by, *signal.by))]
            if len(wanted.signals) > 1:
                labels.insert(0, signal.title)
            expr = self.expr(name, wanted.by, over_time=over_time)
            factor = self.factor(name, wanted)
            found.append((f"({expr}) * {factor:g}" if factor != 1 else expr, " ".join(labels) or "{{service}}"))
        return found

    def factor(self, name: str, wanted: Wanted) -> float:
        """What turns a signal's values into the unit of a panel; 1 also where nothing does."""
        return _FACTORS.get((self.known[name].unit, self.unit(wanted)), 1)

    def fits(self, name: str, wanted: Wanted) -> bool:
        """Whether a signal's values can be told in the unit of a panel."""
        pair = self.known[name].unit, self.unit(wanted)
        return pair[0] is pair[1] or pair in _FACTORS

    def limits_of(self, wanted: Wanted) -> tuple[Limit, ...]:
        """Limits of the alerts on the signals of a panel, as far as its unit can tell them."""
        found: dict[Limit, None] = {}
        for name in wanted.signals:
            if not self.fits(name, wanted):
                continue
            for alert in self.limits.get(name, ()):
                if alert.threshold is not None:
                    value = alert.threshold * self.factor(name, wanted)
                    found[Limit(value=value, severity=alert.severity.value, below=alert.below)] = None
            for alert_name, rest in HOSTS.get(name, {}).items():
                found |= dict.fromkeys(self.hosts.of(alert_name, rest=rest))
        return tuple(found)

    def unit(self, wanted: Wanted) -> Unit:
        """The unit of a panel: its first signal's."""
        return self.known[wanted.signals[0]].unit if wanted.signals else Unit.COUNT

    def description(self, wanted: Wanted) -> str:
        """What a panel shows, for those who see it the first time, and which alerts look at it."""
        signals = [self.known[name] for name in wanted.signals]
        texts = (
            [wanted.description]
            if wanted.description
            else [signal.description or self._made_of(signal) for signal in signals]
        )
        if any(name in SHARED for name in wanted.signals) and not wanted.by and wanted.kind != "heatmap":
            texts.append("Of all instances together.")
        for name in wanted.signals:
            follows = SPOKEN[self.known[name].unit][1]
            texts += [
                f"{alert.name} ({alert.severity.value}) fires {'below' if alert.below else 'above'}"
                f" {number(alert.threshold)}{follows}."
                for alert in self.limits.get(name, ())
                if alert.threshold is not None
            ]
        return " ".join(dict.fromkeys(text.strip() for text in texts if text))

    def _made_of(self, signal: Signal) -> str:
        declared = self.system.profile.metrics
        helps = [declared[name].help for name in signal.metrics() if name in declared and declared[name].help]
        measured = " and ".join(dict.fromkeys(signal.metrics()))
        return " ".join(dict.fromkeys(helps)) or (f"{signal.title}, by {measured}." if measured else f"{signal.title}.")

    def links(self, wanted: Wanted) -> list[dashboard.DashboardLink]:
        """From latencies and errors to what was logged meanwhile."""
        telling = {"quantile", "mean", "share"}
        if not any(self.known[name].kind in telling or name.startswith("http_") for name in wanted.signals):
            return []
        return [
            boards.value_link(
                "Log lines of this time",
                f"/d/logs?var-app={self.system.name}&${{environment:queryparam}}&${{__url_time_range}}",
            ),
            boards.value_link(
                "Errors in Explore",
                boards.explore(boards.LOKI, f'{{{self.system.scope}, severity_text=~"ERROR|FATAL"}}'),
            ),
        ]

    def _log_lines(self, wanted: Wanted) -> str:
        return f"{{{self.scope}}} {wanted.logs}".rstrip()

    def _of_logs(self, wanted: Wanted) -> Panel:
        title, description = wanted.title, wanted.description or "Log lines of the system."
        if wanted.kind == "logs":
            return panels.lines(title, description=description, expr=self._log_lines(wanted))
        if wanted.kind == "events":
            return panels.events(title, description=description, expr=self._log_lines(wanted))
        counted = f"sum by (service_name) (count_over_time({self._log_lines(wanted)} [$__auto]))"
        queries = [(counted, "{{service_name}}")]
        return panels.graph(
            title, description=description, unit="short", queries=queries, datasource=boards.LOKI, stacked=True
        )

    def panel(self, wanted: Wanted) -> Panel:  # noqa: PLR0911 - a table of kinds
        """The panel as Grafana draws it."""
        if wanted.kind == "alerts":
            return panels.firing(wanted.title, self.scope, description=wanted.description or "")
        if wanted.logs is not None:
            return self._of_logs(wanted)
        title, description, limits = wanted.title, self.description(wanted), self.limits_of(wanted)
        unit = UNITS[self.unit(wanted)]
        highest = {Unit.RATIO: 1.0, Unit.PERCENT: 100.0}.get(self.unit(wanted))
        match wanted.kind:
            case "number":
                (expr, legend), *more = self.queries(wanted, over_time=False)
                found = panels.number(
                    title,
                    description=description,
                    unit=unit,
                    expr=expr,
                    legend=legend,
                    limits=limits,
                    width=6,
                    height=boards.HEIGHT,
                )
                for index, (other, said) in enumerate(more, start=1):
                    found = found.with_target(panels.query(other, said, panels.ref(index)))
                return found
            case "gauge":
                return panels.dial(
                    title,
                    description=description,
                    unit=unit,
                    queries=self.queries(wanted, over_time=False),
                    limits=limits,
                    highest=highest,
                )
            case "bars":
                return panels.bars(
                    title,
                    description=description,
                    unit=unit,
                    queries=self.queries(wanted, over_time=False),
                    limits=limits,
                    highest=highest,
                )
            case "heatmap":
                expr = self.known[wanted.signals[0]].buckets(
                    f'{self.scope}, instance=~"$instance"', window="$__rate_interval"
                )
                return panels.heat(title, description=description, unit=unit, expr=expr, links=self.links(wanted))
            case "state":
                return panels.state(title, description=description, queries=self.queries(wanted, over_time=True))
            case "top" | "table":
                return self._table(wanted, description, limits)
            case _:
                return panels.graph(
                    title,
                    description=description,
                    unit=unit,
                    queries=self.queries(wanted, over_time=True),
                    limits=limits,
                    links=self.links(wanted),
                    exemplars=any(self.known[name].kind == "quantile" for name in wanted.signals),
                )

    def in_units(self, panel: Panel, wanted: Wanted) -> Panel:
        """`panel`, on which signals that do not fit its unit keep their own."""
        if wanted.kind not in {"table", "top"}:
            for index, name in enumerate(wanted.signals):
                if not self.fits(name, wanted):
                    panel.override_by_query(
                        panels.ref(index),
                        [models.DynamicConfigValue(id_val="unit", value=UNITS[self.known[name].unit])],
                    )
        return panel

    def _table(self, wanted: Wanted, description: str, limits: tuple[Limit, ...]) -> Panel:
        labels = tuple(
            dict.fromkeys((*wanted.by, *(label for name in wanted.signals for label in self.known[name].by)))
        )
        columns: list[Column] = []
        for name in wanted.signals:
            signal, expr = self.known[name], self.expr(name, wanted.by, over_time=False)
            if wanted.kind == "top":
                expr = f"topk(10, {expr})"
            unit = UNITS[signal.unit]
            columns.append(Column(title=signal.title, expr=expr, unit=unit, limits=limits, bar=wanted.kind == "top"))
        return panels.table_of(
            wanted.title,
            description=description,
            columns=columns,
            labels=labels,
            hidden=[label for label in ("environment", "service") if label not in labels],
            sort_by=columns[0].title,
        )

    def status(self) -> Panel:
        """A light for each thing of the system that is up or down: what is checked from outside, and what reports."""
        found: list[Query] = []
        for name, signal in self.known.items():
            if signal.unit is not Unit.STATE or (name == "probe_success" and not self.system.profile.probes):
                continue
            labels = " ".join(f"{{{{{label}}}}}" for label in signal.by)
            legend = "{{service}}" if name == "targets_up" else f"{signal.title} {labels}".rstrip()
            found.append((self.expr(name, (), over_time=False), legend))
        return panels.lights(
            "Status",
            description="Up or down now: every scraped service, and every health check of the system.",
            queries=found,
        )

    def board(self, board: Board, *, first: bool) -> dashboard.Dashboard:
        """The board as a dashboard; the `first` begins with the status of everything."""
        name, series = self.system.name, f"up{{{self.system.scope}}}"
        onto = (
            boards.board(board.title, description=board.description or f"{board.title} of {name}.", tags=[name])
            .uid(self.system.uid(board))
            .with_variable(dashboard.ConstantVariable("app").label("System").value(name))
            .with_variable(boards.environment(series))
            .with_variable(boards.instance(f"up{{{self.scope}}}"))
            .annotation(boards.deployments(name))
            .annotation(boards.alert_marks(self.scope))
            .link(boards.siblings(name, name))
            .link(boards.link_to("Objectives", "/d/slo"))
            .link(boards.link_to("Logs", "/d/logs"))
        )
        items = [self.in_units(self.panel(wanted), wanted) for wanted in board.panels]
        return boards.fill(onto, [self.status(), *items] if first else items)


def render(systems: Sequence[System], alerts: Iterable[Alert], hosts: Limits) -> dict[str, dict[str, Any]]:
    """Every dashboard of `systems` by `<folder>/<uid>.json`, with the limits of `alerts` in it.

    Raises SettingsError when two dashboards of a system share a uid.
    """
    by_system: dict[str, dict[str, list[Alert]]] = {}
    for alert in alerts:
        if alert.of and alert.signal:
            by_system.setdefault(alert.of, {}).setdefault(alert.signal, []).append(alert)
    found: dict[str, dict[str, Any]] = {}
    for system in systems:
        limits = {name: tuple(those) for name, those in by_system.get(system.name, {}).items()}
        draws = _Draws(system=system, limits=limits, hosts=hosts)
        for index, board in enumerate(system.boards):
            path = f"{system.name}/{system.uid(board)}.json"
            if path in found:
                raise SettingsError(
                    f"{system.name}.yaml: dashboards[{index}].uid: {system.uid(board)} is there twice (accepted: each once)"
                )
            found[path] = boards.plain(draws.board(board, first=index == 0).build())
    return found
