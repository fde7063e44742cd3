"""Who is told of which alert: the tree of routes as a value, its simulation, and the proof that it has no hole."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from specs.model import Duration, LabelName, Model, Name, Pause, SettingsError
from specs.monitoring import Alert
from specs.settings import KEY, Alerting, ByService, Mutes, Severity

DASHBOARDS = "dashboards"
"""Receiver without a channel: dashboards show what it is told."""
NOBODY = "nobody"
"""Receiver without a channel: the default where none is declared and there is no inbox."""
DEAD_MANS_SWITCH = "dead-mans-switch"
WATCHDOG = "Watchdog"
DOWN = "ServiceDown"
"""A target is down: it tells of everything that the target's silence causes."""
ALL_DOWN = "SystemDown"
"""Every target of a service is down: it silences the symptoms, and is told by DOWN."""
WHY_DOWN = "TargetOverLimit"
"""A target that runs counts as down, and this says why: DOWN does not hold it back."""
CHAIN = "Alertmanager.+|PrometheusNotification.+|DeadMansSwitchSilent"
"""Alerts on the chain of alerting itself: the backup hears of them too."""
_NAME_OF_ALERT = r"^[A-Z][A-Za-z0-9]*$"
AlertName = Annotated[str, Field(pattern=_NAME_OF_ALERT, examples=["LowMemory"])]


class SystemRoutes(Model):
    """Who is told of a system's alerts, where that is not what the stack says. Receivers and mute times are named here
    and declared by the stack."""

    default: Name | None = None
    """Told of everything but `info` that nothing below names; none: as the stack says."""
    severities: Mapping[Severity, tuple[Name, ...]] = Field(default_factory=dict[Severity, tuple[str, ...]])
    """Receivers for a severity."""
    services: ByService = Field(default_factory=dict[str, tuple[str, ...]])
    """Receivers for the label `service`, told as well as the stack's own for it and those of the severity; `info`
    excepted."""
    backup: Name | None = None
    """Told as well when alerting itself is broken."""
    continue_after_critical: bool = False
    """Whether `default` is told of critical alerts too, after their own receivers."""
    group_by: tuple[LabelName, ...] | None = None
    """Labels whose equal values make alerts one notification; none: as the stack says."""
    wait: Pause | None = None
    """How long the first notification of a group waits for more alerts; none: as the stack says."""
    interval: Duration | None = None
    """How long a group's next notification waits when alerts join or leave; none: as the stack says."""
    repeat: Duration | None = None
    """How long until an unchanged group is told again; none: as the stack says."""
    mute: Mutes = Field(default_factory=dict[Severity, tuple[str, ...]])
    """Mute times in which a severity is told to nobody; never of `critical`."""
    silences: Mapping[AlertName, tuple[AlertName, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """By the name of an alert: others that say the same of the same instance, and are not told beside it."""

    @property
    def routed(self) -> bool:
        """Whether anything is routed otherwise than the stack says."""
        return self.model_copy(update={"silences": {}, "backup": None}) != SystemRoutes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Matcher:
    """A condition on one label, as Alertmanager has it: a label that is not there is empty, expressions are whole."""

    label: str
    value: str
    operator: Literal["=", "!=", "=~", "!~"] = "="

    def __str__(self) -> str:
        return f'{self.label} {self.operator} "{self.value}"'

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` meet the condition."""
        found = labels.get(self.label, "")
        same = found == self.value if self.operator in {"=", "!="} else bool(re.fullmatch(self.value, found))
        return same == (self.operator in {"=", "=~"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A node of Alertmanager's tree."""

    receiver: str = ""
    """Empty: the parent's."""
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    """Whether routes that follow see the alert too."""
    group_by: tuple[str, ...] = ()
    wait: str = ""
    interval: str = ""
    repeat: str = ""
    mute: tuple[str, ...] = ()
    """Names of mute times."""
    routes: tuple["Route", ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inhibition:
    """Alerts that are not told while another one fires."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]
    """Labels that both have with the same value; a label that neither has is equal."""
    told_by: str = ""
    """The alert that tells of the cause; empty: the source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Everything that decides who is told."""

    root: Route
    inhibitions: tuple[Inhibition, ...]
    declared: tuple[str, ...]
    """Receivers of the stack file."""
    silent: frozenset[str]
    """Receivers without a channel."""

    @property
    def services(self) -> tuple[str, ...]:
        """Values of the label `service` that some route asks for."""
        asked = [matcher for route in walk(self.root) for matcher in route.matchers if matcher.label == "service"]
        return tuple(dict.fromkeys(matcher.value for matcher in asked))


def walk(route: Route) -> Iterator[Route]:
    """`route` and every route below it."""
    yield route
    for inner in route.routes:
        yield from walk(inner)


# The tree.

# What is wrong with alerting itself is told in any case.
_NEVER = f"{DOWN}|{ALL_DOWN}|{WHY_DOWN}|{WATCHDOG}|{CHAIN}"

INHIBITIONS = (
    Inhibition(
        name="critical-over-lesser",
        source=(Matcher(label="severity", value=Severity.CRITICAL),),
        target=(Matcher(label="severity", operator="=~", value=f"{Severity.WARNING}|{Severity.INFO}"),),
        # Two hosts of a service, and two objectives, each have a trouble of their own: `instance` and `slo` tell them
        # apart. Alerts that have neither label are equal in both.
        equal=("alertname", "cluster", "environment", "app", "service", "instance", "slo"),
    ),
    Inhibition(
        name="system-down",
        source=(Matcher(label="alertname", value=ALL_DOWN),),
        target=(Matcher(label="alertname", operator="!~", value=_NEVER),),
        equal=("cluster", "environment", "app", "service"),
        told_by=DOWN,
    ),
    Inhibition(
        name="target-down",
        source=(Matcher(label="alertname", value=DOWN),),
        target=(
            Matcher(label="alertname", operator="!~", value=_NEVER),
            # Without it, alerts on no instance at all would be those of a target that has lost its label.
            Matcher(label="instance", operator="!=", value=""),
        ),
        equal=("cluster", "environment", "app", "service", "instance"),
    ),
)
"""Inhibitions of every stack."""


def _same(app: str, source: str, others: Sequence[str]) -> Inhibition:
    return Inhibition(
        name=f"{app}-{source}",
        source=(Matcher(label="app", value=app), Matcher(label="alertname", value=source)),
        target=(Matcher(label="alertname", operator="=~", value="|".join(others)),),
        equal=("cluster", "environment", "app", "instance"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scope:
    """Who is told of the alerts below one node, by names of receivers that exist."""

    default: str
    severities: Mapping[Severity, tuple[str, ...]]
    services: Mapping[str, tuple[str, ...]]
    mute: Mapping[Severity, tuple[str, ...]]

    def leaves(self, *matchers: Matcher, also: tuple[str, ...] = (), only: Severity | None = None) -> Iterator[Route]:
        """A route for each receiver of each severity, where that is not simply the default."""
        for severity in Severity if only is None else (only,):
            # What pages nobody is no news for a team that is told as well.
            more = () if severity is Severity.INFO else also
            named, mute = self.severities.get(severity, ()), self.mute.get(severity, ())
            if not (more or named or mute):
                continue
            receivers = tuple(dict.fromkeys((*more, *(named or (self.default,)))))
            for index, receiver in enumerate(receivers):
                yield Route(
                    receiver=receiver,
                    matchers=(*matchers, Matcher(label="severity", value=severity)),
                    continues=index + 1 < len(receivers),
                    mute=mute,
                )

    def routes(self) -> Iterator[Route]:
        """Routes of services, then those of severities."""
        for service, receivers in self.services.items():
            yield Route(matchers=(Matcher(label="service", value=service),), routes=tuple(self.leaves(also=receivers)))
        yield from self.leaves()


Named = Callable[[str, str], str]
"""Gives the receiver that a name stands for; the second argument is the system whose profile has it, or nothing."""


def tree(alerting: Alerting, systems: Mapping[str, SystemRoutes], *, default: str, named: Named) -> Tree:
    """The tree of a stack with the routes of its systems.

    `default` takes what no route does; `named` gives the receiver that a name stands for, and is told where it stands
    (the system, or nothing for the stack).
    """

    def each(names: Iterable[str], system: str = "") -> tuple[str, ...]:
        return tuple(dict.fromkeys(named(name, system) for name in names))

    stack = _Scope(
        default=default,
        severities={
            Severity.INFO: (DASHBOARDS,),
            **{severity: each(names) for severity, names in alerting.routes.items()},
        },
        services={service: each(names) for service, names in alerting.services.items()},
        mute=alerting.mute,
    )
    backups = [*([("", alerting.backup)] if alerting.backup else [])]
    backups += [(name, routes.backup) for name, routes in systems.items() if routes.backup]
    also = tuple(dict.fromkeys(named(receiver, name) for name, receiver in backups))
    chain = stack.leaves(Matcher(label="alertname", operator="=~", value=CHAIN), also=also, only=Severity.CRITICAL)
    grouping = alerting.grouping
    root = Route(
        receiver=default,
        group_by=grouping.by,
        wait=grouping.wait,
        interval=grouping.interval,
        repeat=grouping.repeat,
        routes=(
            Route(
                receiver=DEAD_MANS_SWITCH,
                matchers=(Matcher(label="alertname", value=WATCHDOG),),
                group_by=("alertname",),
                wait="0s",
                interval="1m",
                # Alertmanager drops a repeat that comes earlier than this; a little under the group interval makes
                # every beat count.
                repeat="50s",
            ),
            *(chain if also else ()),
            *(_system(name, routes, stack, each) for name, routes in systems.items() if routes.routed),
            *stack.routes(),
        ),
    )
    same = [
        _same(name, source, others) for name, routes in systems.items() for source, others in routes.silences.items()
    ]
    return Tree(
        root=root,
        inhibitions=(*INHIBITIONS, *same),
        declared=tuple(alerting.receivers),
        silent=frozenset({DASHBOARDS, NOBODY}),
    )


def _system(
    name: str, routes: SystemRoutes, stack: _Scope, each: Callable[[Iterable[str], str], tuple[str, ...]]
) -> Route:
    (default,) = each([routes.default], name) if routes.default else (stack.default,)
    # A default of the system's own takes the place of the stack's routes, but pages nobody for an info.
    usual = {Severity.INFO: stack.severities[Severity.INFO]} if routes.default else stack.severities
    severities = {**usual, **{severity: each(names, name) for severity, names in routes.severities.items()}}
    critical = severities.get(Severity.CRITICAL, ())
    if routes.continue_after_critical and critical:
        severities[Severity.CRITICAL] = tuple(dict.fromkeys((*critical, default)))
    scope = _Scope(
        default=default,
        severities=severities,
        # A profile adds to those whom the stack tells of a service: it cannot take the security team out.
        services={
            service: tuple(
                dict.fromkeys((*stack.services.get(service, ()), *each(routes.services.get(service, ()), name)))
            )
            for service in (*stack.services, *(service for service in routes.services if service not in stack.services))
        },
        mute={**stack.mute, **routes.mute},
    )
    return Route(
        receiver=default,
        matchers=(Matcher(label="app", value=name),),
        group_by=routes.group_by or (),
        wait=routes.wait or "",
        interval=routes.interval or "",
        repeat=routes.repeat or "",
        routes=tuple(scope.routes()),
    )


# The simulation.


def _found(route: Route, labels: Mapping[str, str], receiver: str) -> Iterator[tuple[tuple[Route, ...], str]]:
    """The ways to the nodes that take an alert, each with its receiver."""
    receiver = route.receiver or receiver
    matched = False
    for inner in route.routes:
        if all(matcher.matches(labels) for matcher in inner.matchers):
            matched = True
            yield from (((route, *way), name) for way, name in _found(inner, labels, receiver))
            if not inner.continues:
                return
    if not matched:
        yield (route,), receiver


def ways(root: Route, labels: Mapping[str, str]) -> list[tuple[tuple[Route, ...], str]]:
    """The nodes that take an alert with `labels`, each with those above it (`root` first) and its receiver."""
    return list(_found(root, labels, ""))


def told(root: Route, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Receivers of an alert with `labels`, in the order of the tree."""
    return tuple(receiver for _, receiver in ways(root, labels))


def silenced(
    inhibitions: Iterable[Inhibition], firing: Sequence[Mapping[str, str]], labels: Mapping[str, str]
) -> tuple[str, ...]:
    """Names of the inhibitions by which an alert with `labels` is not told while all of `firing` fire."""
    return tuple(
        rule.name
        for rule in inhibitions
        if _matches(rule.target, labels)
        and any(
            _matches(rule.source, source)
            and all(source.get(label, "") == labels.get(label, "") for label in rule.equal)
            # What is source and target at once is not silenced by its like.
            and not (_matches(rule.source, labels) and _matches(rule.target, source))
            for source in firing
        )
    )


def _matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


# The proof.


def occurrences(alerts: Iterable[Alert], *, apps: Sequence[str], services: Sequence[str]) -> Iterator[dict[str, str]]:
    """The labels with which `alerts` can come, as far as routes ask for them.

    An alert whose app is its target's own comes with each of `apps`, and one whose service is its target's own with each
    of `services` and with one that no route asks for.
    """
    for alert in alerts:
        own = alert.app or alert.of
        for app in (own,) if own else apps:
            for service in (alert.service,) if alert.service else ("", *services):
                yield {
                    "alertname": alert.name,
                    "severity": alert.severity.value,
                    "app": app,
                    **({"service": service} if service else {}),
                }


class _Simulation:
    """Who is told, remembered by the labels that routes ask for: many alerts come with the same."""

    def __init__(self, root: Route) -> None:
        self._root = root
        self._ways: dict[tuple[object, ...], list[tuple[tuple[Route, ...], str]]] = {}
        asked = [matcher for route in walk(root) for matcher in route.matchers]
        self._named = tuple(dict.fromkeys(matcher for matcher in asked if matcher.label == "alertname"))
        self._labels = tuple(dict.fromkeys(matcher.label for matcher in asked if matcher.label != "alertname"))

    def ways(self, labels: Mapping[str, str]) -> list[tuple[tuple[Route, ...], str]]:
        key = (*(labels.get(label) for label in self._labels), *(matcher.matches(labels) for matcher in self._named))
        found = self._ways.get(key)
        if found is None:
            found = self._ways[key] = list(_found(self._root, labels, ""))
        return found

    def told(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(receiver for _, receiver in self.ways(labels))

    def reached(self) -> set[int]:
        return {id(route) for ways in self._ways.values() for way, _ in ways for route in way}


def _words(labels: Mapping[str, str]) -> str:
    of = "/".join(labels[label] for label in ("app", "service") if labels.get(label))
    return f"{labels['alertname']} ({labels['severity']}) of {of}"


def prove(tree: Tree, alerts: Iterable[Mapping[str, str]]) -> list[str]:
    """What is wrong with who is told, a line each; nothing when every alert reaches somebody, nobody is told twice,
    nothing is declared in vain, and no inhibition hides a page."""
    if tree.root.receiver in tree.silent:
        return ["no receivers are declared, so nobody is told of anything (accepted: receivers, and one as default)"]
    alerts = list(alerts)
    simulation = _Simulation(tree.root)
    defects: list[str] = []
    for labels in alerts:
        receivers = simulation.told(labels)
        if labels["severity"] != Severity.INFO and tree.silent.issuperset(receivers):
            defects.append(f"{_words(labels)} reaches nobody (accepted: a receiver for it, or a default)")
        twice = sorted({name for name in receivers if receivers.count(name) > 1})
        defects += [f"{_words(labels)} is told twice to {name} (accepted: once)" for name in twice]
    defects += _in_vain(tree, simulation)
    services = tree.services
    of_app: dict[str, list[Mapping[str, str]]] = {}
    for labels in alerts:
        of_app.setdefault(labels["app"], []).append(labels)
    for rule in tree.inhibitions:
        # Most inhibitions of many systems are about one of them.
        app = next((matcher.value for matcher in rule.source if matcher.label == "app"), "")
        defects += _hidden(rule, of_app.get(app, []) if app else alerts, simulation, services)
    return list(dict.fromkeys(defects))


def _in_vain(tree: Tree, simulation: _Simulation) -> Iterator[str]:
    reached = simulation.reached()
    used = {route.receiver for route in walk(tree.root) if id(route) in reached or not route.matchers}
    for receiver in tree.declared:
        if receiver not in used:
            yield f"receiver {receiver} is never told of anything (accepted: a route to it, or no such receiver)"

    def below(route: Route, path: tuple[Matcher, ...]) -> Iterator[str]:
        path += route.matchers
        if id(route) not in reached:
            if route.receiver not in tree.silent:
                yield f"no alert reaches the route {{{', '.join(map(str, path))}}} (accepted: routes that alerts can reach)"
            return
        for inner in route.routes:
            yield from below(inner, path)

    yield from below(tree.root, ())


_Alert = Mapping[str, str]


def _pages(
    rule: Inhibition, alerts: Sequence[_Alert], services: Sequence[str]
) -> Iterator[tuple[_Alert, list[_Alert]]]:
    """Every page that `rule` can silence, with the alerts that tell of its cause."""
    equal = tuple(label for label in rule.equal if label in {"alertname", "app", "service"})
    # Where an alert comes from is not among its labels here: each could have an instance.
    target = tuple(matcher for matcher in rule.target if matcher.label in {"alertname", "app", "service", "severity"})

    def place(labels: _Alert, *but: str) -> tuple[str, ...]:
        # Services that no route asks for are one and the same.
        known = {**labels, "service": labels["service"] if labels.get("service") in services else ""}
        return tuple(known[label] for label in equal if label not in but)

    sources: dict[tuple[str, ...], list[_Alert]] = {}
    tellers: dict[tuple[str, ...], list[_Alert]] = {}
    for labels in alerts:
        if _matches(rule.source, labels):
            sources.setdefault(place(labels), []).append(labels)
        if labels["alertname"] == rule.told_by:
            tellers.setdefault(place(labels, "alertname"), []).append(labels)
    for labels in alerts:
        if labels["severity"] != Severity.CRITICAL or not _matches(target, labels):
            continue
        both = _matches(rule.source, labels)
        found = [source for source in sources.get(place(labels), ()) if not (both and _matches(target, source))]
        if found:
            yield labels, tellers.get(place(labels, "alertname"), []) if rule.told_by else found


def _hidden(
    rule: Inhibition, alerts: Sequence[_Alert], simulation: _Simulation, services: Sequence[str]
) -> Iterator[str]:
    """Pages that `rule` can hide from somebody who is not told of the cause."""
    for labels, tellers in _pages(rule, alerts, services):
        hides = f"inhibition {rule.name} hides {_words(labels)}"
        if not tellers:
            yield f"{hides}, and there is no {rule.told_by} that tells of it (accepted: {rule.told_by} for that service)"
        for teller in tellers:
            missing = sorted({*simulation.told(labels)} - {*simulation.told(teller)})
            if missing:
                yield (
                    f"{hides} from {', '.join(missing)}, whom {_words(teller)} does not reach"
                    " (accepted: a cause that is told to all whom its symptom is told to)"
                )


def refuse_defects(file: str, tree: Tree, alerts: Iterable[Mapping[str, str]]) -> None:
    """Refuse a stack, read from `file`, in which somebody would not be told.

    Raises SettingsError, a line for each defect.
    """
    defects = prove(tree, alerts)
    if defects:
        raise SettingsError("\n".join(f"{file}: {KEY}.alerting: {defect}" for defect in defects))
