"""Who is told: the tree that settings and profiles amount to, its simulation, and what its proof refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from specs import alertmanager, routing
from specs.model import SettingsError, parse
from specs.monitoring import Alert
from specs.routing import Inhibition, Matcher, Route, SystemRoutes, Tree, occurrences, prove, silenced, told
from specs.settings import KEY, Severity
from tests.specs.support import EVERY_RECEIVER, FILE, complaint, context, stack

HOOK = {"webhook": {"url": "http://hooks.example.com/"}}
INBOX = "http://127.0.0.1:9099"
FOUR: Mapping[str, Any] = {
    "receivers": dict.fromkeys(("pagerduty", "email", "slack", "security-team"), HOOK),
    "routes": {"critical": ["pagerduty", "email", "slack"], "warning": ["slack"]},
    "services": {"security": ["security-team"]},
    "default": "slack",
    "backup": "email",
}


def _routes(**routes: object) -> SystemRoutes:
    return parse(SystemRoutes, routes, file="shop.yaml", key="routes")


def _tree(alerting: Mapping[str, Any], inbox: str | None = None, **systems: SystemRoutes) -> Tree:
    return alertmanager.tree(context(alerting=alerting), inbox, systems)


def _told(tree: Tree, **labels: str) -> tuple[str, ...]:
    return told(tree.root, {"alertname": "Trouble", "app": "shop", **labels})


def _defects(tree: Tree, *alerts: Mapping[str, str]) -> list[str]:
    return prove(tree, [{"alertname": "Trouble", "app": "shop", **labels} for labels in alerts])


EACH = tuple({"severity": severity.value} for severity in Severity)
ALL = (
    *EACH,
    *({**labels, "service": "security"} for labels in EACH),
    {"alertname": "AlertmanagerNotificationsFailing", "app": "observability", "severity": "critical"},
    {"alertname": "Watchdog", "app": "observability", "severity": "info"},
)


# The environment's own routes.


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "critical"}, ("pagerduty", "email", "slack")),
        ({"severity": "warning"}, ("slack",)),
        ({"severity": "info"}, ("dashboards",)),
        ({"severity": "critical", "service": "security"}, ("security-team", "pagerduty", "email", "slack")),
        ({"severity": "warning", "service": "security"}, ("security-team", "slack")),
        ({"severity": "info", "service": "security"}, ("dashboards",)),
        ({"severity": "none"}, ("slack",)),
        ({}, ("slack",)),
        ({"severity": "critical", "alertname": "PrometheusNotificationsFailing"}, ("email", "pagerduty", "slack")),
        ({"severity": "info", "alertname": "Watchdog"}, ("dead-mans-switch",)),
    ],
)
def test_the_stack_tells(labels: dict[str, str], receivers: tuple[str, ...]) -> None:
    """Proves who is told by severity, that a service's team is told as well, that an info pages nobody, and that the
    backup hears when alerting itself is broken."""
    assert _told(_tree(FOUR), **labels) == receivers
    assert _defects(_tree(FOUR), *ALL) == []


def test_a_backup_that_no_route_has() -> None:
    """Proves that a backup beside the usual receivers hears of the chain of alerting, and of nothing else."""
    tree = _tree({"receivers": {"chat": HOOK, "mail": HOOK}, "default": "chat", "backup": "mail"})

    assert _told(tree, alertname="AlertmanagerNotificationsFailing", severity="critical") == ("mail", "chat")
    assert _told(tree, alertname="AlertmanagerNotificationsFailing", severity="warning") == ("chat",)
    assert _told(tree, severity="critical") == ("chat",)


# Systems.


def test_a_system_without_routes_has_none() -> None:
    """Proves that a profile that says nothing of routes changes nothing."""
    assert _tree(FOUR, shop=SystemRoutes()) == _tree(FOUR)


def test_a_default_takes_everything_but_info() -> None:
    """Proves that a system with a default alone is told there, in its own groups, and still pages nobody for an
    info."""
    routes = _routes(default="email", group_by=["alertname", "severity"], wait="10s", interval="1m", repeat="1h")
    tree = _tree(FOUR, shop=routes)
    (node,) = [route for route in tree.root.routes if Matcher(label="app", value="shop") in route.matchers]

    assert [_told(tree, **labels) for labels in EACH] == [("email",), ("email",), ("dashboards",)]
    assert (node.group_by, node.wait, node.interval, node.repeat) == (("alertname", "severity"), "10s", "1m", "1h")
    assert _told(tree, severity="critical", service="security") == ("security-team", "email")
    assert _told(tree, severity="critical", app="other") == ("pagerduty", "email", "slack")


def test_severities_and_services_of_a_system() -> None:
    """Proves that what a profile names goes there, and what it does not goes where the stack says."""
    tree = _tree(FOUR, shop=_routes(severities={"critical": ["email"]}, services={"money": ["security-team"]}))

    assert [_told(tree, **labels) for labels in EACH] == [("email",), ("slack",), ("dashboards",)]
    assert _told(tree, severity="warning", service="money") == ("security-team", "slack")
    assert _told(tree, severity="warning", service="security") == ("security-team", "slack")
    assert _told(tree, severity="warning", service="money", app="other") == ("slack",)


def test_a_profile_cannot_take_a_team_out() -> None:
    """Proves that those whom a profile names for a service are told beside those of the stack."""
    tree = _tree(FOUR, shop=_routes(services={"security": ["email", "security-team"]}))

    assert _told(tree, severity="warning", service="security") == ("security-team", "email", "slack")


@pytest.mark.parametrize(
    ("goes_on", "receivers"), [(False, ("pagerduty", "slack")), (True, ("pagerduty", "slack", "email"))]
)
def test_going_on_after_critical(goes_on: bool, receivers: tuple[str, ...]) -> None:
    """Proves that a profile can have its default told of critical alerts too, each receiver once."""
    severities = {"critical": ["pagerduty", "slack"]}
    tree = _tree(FOUR, shop=_routes(default="email", severities=severities, continue_after_critical=goes_on))

    assert _told(tree, severity="critical") == receivers
    assert _told(tree, severity="warning") == ("email",)


def test_backup_of_a_system() -> None:
    """Proves that the backup of a profile hears when alerting is broken, once, and needs no routes beside it."""
    tree = _tree(FOUR, shop=_routes(backup="security-team"), other=_routes(backup="email"))

    assert _told(tree, alertname="AlertmanagerNotificationsFailing", app="observability", severity="critical") == (
        "email",
        "security-team",
        "pagerduty",
        "slack",
    )
    assert [route for route in tree.root.routes if route.matchers[0].label == "app"] == []


# Names.


def test_a_stand_in_takes_the_place_of_names() -> None:
    """Proves that several names of profiles that one receiver stands in for are told once, and declared names stay."""
    alerting = {"receivers": {"team": HOOK, "email": HOOK}, "default": "team", "stand_in": "team"}
    routes = _routes(
        default="email", severities={"critical": ["pager", "chat"]}, services={"security": ["security-team"]}
    )
    tree = _tree(alerting, shop=routes)

    assert _told(tree, severity="critical") == ("team",)
    assert _told(tree, severity="critical", service="security") == ("team",)
    assert _told(tree, severity="warning") == ("email",)
    assert _told(tree, severity="warning", service="security") == ("team", "email")


def test_without_receivers_names_are_pages_of_the_inbox() -> None:
    """Proves that a process stack without receivers makes each name a webhook to its inbox."""
    alerting = {"routes": {"critical": ["pagerduty"]}, "default": "slack"}
    config, secrets = alertmanager.configuration(
        context(alerting=alerting), INBOX, {"shop": _routes(default="team-email")}
    )

    pages = [receiver["name"] for receiver in config["receivers"] if "webhook_configs" in receiver]
    assert pages == ["slack", "team-email", "pagerduty", "dead-mans-switch"]
    assert config["receivers"][0] == {
        "name": "slack",
        "webhook_configs": [{"url": f"{INBOX}/alerts", "send_resolved": True}],
    }
    assert [receiver for receiver in config["receivers"] if len(receiver) == 1] == [{"name": "dashboards"}]
    assert secrets == {}


def test_a_name_that_nobody_declares() -> None:
    """Proves that a profile's receiver without a stand-in is refused, naming stack file, key and profile."""
    with pytest.raises(SettingsError) as refused:
        _tree({"receivers": {"chat": HOOK, "mail": HOOK}, "default": "chat"}, shop=_routes(default="team-email"))

    assert str(refused.value) == (
        f"{FILE}: {KEY}.alerting.receivers.team-email: required by the routes of shop.yaml, but missing"
        " (accepted: a receiver of that name, or one of chat, mail as stand_in for what profiles name)"
    )


def test_a_stack_in_containers_needs_receivers() -> None:
    """Proves that without an inbox a name needs a receiver."""
    assert complaint(runtime="docker", alerting={"routes": {"critical": ["pager"]}}) == (
        f'{FILE}: {KEY}.alerting.routes.critical[0]: "pager" is not a receiver'
        " (accepted: none, since no receivers are declared)"
    )


# Mute times.

NIGHTS = {"nights": [{"from": "20:00", "to": "07:00", "location": "Europe/Berlin"}]}


def test_mute_times() -> None:
    """Proves that a severity is muted on every way it can be told, a system's own times instead of the stack's, and
    times over midnight are two of Alertmanager's."""
    times = {**NIGHTS, "weekends": [{"weekdays": ["saturday", "sunday"]}, {"from": "22:00"}]}
    alerting = {**FOUR, "mute_times": times, "mute": {"warning": ["nights"]}}
    config, _ = alertmanager.configuration(
        context(alerting=alerting), None, {"shop": _routes(mute={"warning": ["weekends"]})}
    )
    muted: list[tuple[str, list[str]]] = []

    def collect(route: dict[str, Any], app: str) -> None:
        app = next((text for text in route.get("matchers", ()) if text.startswith("app")), app)
        if "mute_time_intervals" in route:
            muted.append((f"{app} {route['matchers'][-1]} {route['receiver']}".strip(), route["mute_time_intervals"]))
        for inner in route.get("routes", ()):
            collect(inner, app)

    collect(config["route"], "")
    assert muted == [
        ('app = "shop" severity = "warning" security-team', ["weekends"]),
        ('app = "shop" severity = "warning" slack', ["weekends"]),
        ('app = "shop" severity = "warning" slack', ["weekends"]),
        ('severity = "warning" security-team', ["nights"]),
        ('severity = "warning" slack', ["nights"]),
        ('severity = "warning" slack', ["nights"]),
    ]
    assert config["time_intervals"] == [
        {
            "name": "nights",
            "time_intervals": [
                {
                    "times": [
                        {"start_time": "00:00", "end_time": "07:00"},
                        {"start_time": "20:00", "end_time": "24:00"},
                    ],
                    "location": "Europe/Berlin",
                }
            ],
        },
        {
            "name": "weekends",
            "time_intervals": [
                {
                    "times": [{"start_time": "00:00", "end_time": "24:00"}],
                    "weekdays": ["saturday", "sunday"],
                    "location": "UTC",
                },
                {"times": [{"start_time": "22:00", "end_time": "24:00"}], "location": "UTC"},
            ],
        },
    ]


def test_critical_is_never_muted() -> None:
    """Proves that neither a stack nor a profile can mute pages."""
    expected = "mute.critical: critical alerts are never muted (accepted: warning, info)"
    with pytest.raises(SettingsError) as refused:
        _routes(mute={"critical": ["nights"]})

    assert str(refused.value) == f"shop.yaml: routes.{expected}"
    assert (
        complaint(alerting={"mute_times": NIGHTS, "mute": {"critical": ["nights"]}})
        == f"{FILE}: {KEY}.alerting.{expected}"
    )


def test_a_mute_time_that_nobody_declares() -> None:
    """Proves that a mute time needs hours: in the stack's own settings, and for a profile."""
    with pytest.raises(SettingsError) as refused:
        _tree(FOUR, shop=_routes(mute={"info": ["lunch"]}))

    assert str(refused.value) == (
        f"{FILE}: {KEY}.alerting.mute_times.lunch: required by the routes of shop.yaml, but missing"
        " (accepted: hours of some days)"
    )
    assert complaint(alerting={"mute_times": NIGHTS, "mute": {"warning": ["lunch"]}}) == (
        f'{FILE}: {KEY}.alerting.mute.warning[0]: "lunch" is not a mute time (accepted: nights)'
    )


# The simulation.


@pytest.mark.parametrize(
    ("operator", "value", "found", "matches"),
    [
        ("=", "a", "a", True),
        ("=", "a", "b", False),
        ("=", "", None, True),
        ("!=", "", None, False),
        ("!=", "a", "b", True),
        ("=~", "a|b", "b", True),
        ("=~", "a|b", "bc", False),
        ("=~", ".+", None, False),
        ("!~", "a|b", "bc", True),
        ("!~", "a|b", "a", False),
    ],
)
def test_matchers(operator: Any, value: str, found: str | None, matches: bool) -> None:
    """Proves each operator, that expressions are whole, and that a label that is not there is empty."""
    matcher = Matcher(label="x", operator=operator, value=value)

    assert matcher.matches({} if found is None else {"x": found}) is matches
    assert str(matcher) == f'x {operator} "{value}"'


def test_the_walk_is_depth_first() -> None:
    """Proves that the first branch that matches ends the search unless it goes on, that a node whose children do not
    match is told itself, and that receivers are inherited."""
    a, b = Matcher(label="a", value="1"), Matcher(label="b", value="1")
    root = Route(
        receiver="root",
        routes=(
            Route(matchers=(a,), continues=True, routes=(Route(receiver="deep", matchers=(b,)),)),
            Route(receiver="second", matchers=(b,)),
            Route(receiver="third", matchers=(b,)),
        ),
    )

    assert told(root, {"a": "1"}) == ("root",)
    assert told(root, {"a": "1", "b": "1"}) == ("deep", "second")
    assert told(root, {"b": "1"}) == ("second",)
    assert told(root, {}) == ("root",)


HOST = {"cluster": "c", "environment": "e", "app": "shop", "service": "api", "instance": "one"}


def _alert(name: str, severity: str = "critical", **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, **HOST, **labels}


@pytest.mark.parametrize(
    ("firing", "alert", "by"),
    [
        (_alert("HighCPUUsage"), _alert("HighCPUUsage", "warning"), ("critical-over-lesser",)),
        (_alert("HighCPUUsage"), _alert("HighCPUUsage", "info"), ("critical-over-lesser",)),
        (_alert("HighCPUUsage"), _alert("HighCPUUsage", "warning", instance="two"), ()),
        (_alert("HighCPUUsage"), _alert("HighCPUUsage", "warning", service="web"), ()),
        (_alert("HighCPUUsage"), _alert("HighMemoryUsage", "warning"), ()),
        (_alert("HighCPUUsage", "warning"), _alert("HighCPUUsage", "info"), ()),
        (_alert("ErrorBudgetBurn", slo="a"), _alert("ErrorBudgetBurn", "warning", slo="a"), ("critical-over-lesser",)),
        (_alert("ErrorBudgetBurn", slo="a"), _alert("ErrorBudgetBurn", "warning", slo="b"), ()),
        (_alert("SystemDown", "info", instance=""), _alert("HighErrorRate", instance=""), ("system-down",)),
        (_alert("SystemDown", "info", instance=""), _alert("HighErrorRate", app="other"), ()),
        (_alert("SystemDown", "info", instance=""), _alert("ServiceDown"), ()),
        (_alert("SystemDown", "info", instance=""), _alert("Watchdog", "info"), ()),
        (_alert("SystemDown", "info", instance=""), _alert("AlertmanagerNotificationsFailing"), ()),
        (_alert("ServiceDown"), _alert("JsonPageUnreadable"), ("target-down",)),
        (_alert("ServiceDown"), _alert("ProbeFailed"), ("target-down",)),
        (_alert("ServiceDown"), _alert("ProbeFailed", instance="two"), ()),
        (_alert("ServiceDown", instance=""), _alert("HighErrorRate", instance=""), ()),
        (_alert("ServiceDown"), _alert("ServiceDown"), ()),
        (_alert("LowMemory", "warning"), _alert("HighMemoryUsage", "warning"), ("shop-LowMemory",)),
        (_alert("LowMemory", "warning"), _alert("HighMemoryUsage", "warning", instance="two"), ()),
        (_alert("LowMemory", "warning", app="b"), _alert("HighMemoryUsage", "warning", app="b"), ()),
        (_alert("HighMemoryUsage", "warning"), _alert("LowMemory", "warning"), ()),
    ],
)
def test_who_silences_whom(firing: dict[str, str], alert: dict[str, str], by: tuple[str, ...]) -> None:
    """Proves each inhibition on both sides of its limits."""
    tree = _tree(FOUR, shop=_routes(silences={"LowMemory": ["HighMemoryUsage"]}))

    assert silenced(tree.inhibitions, [firing], alert) == by


def test_likes_do_not_silence_each_other() -> None:
    """Proves that an alert that is source and target at once is not silenced by its like, as in Alertmanager."""
    any_of = (Matcher(label="alertname", operator="=~", value="A|B"),)
    both = Inhibition(name="both", source=any_of, target=any_of, equal=())

    assert silenced([both], [{"alertname": "A"}, {"alertname": "B"}], {"alertname": "A"}) == ()


# Occurrences.


def test_occurrences() -> None:
    """Proves with which labels an alert is asked about: its own, its system's, or those of every target."""
    usual = Alert(name="A", expr="up", summary="", description="", action="", severity=Severity.WARNING)
    alerts = [usual, replace(usual, name="B", of="shop"), replace(usual, name="C", app="own", service="db")]
    found = occurrences(alerts, apps=("shop", "observability"), services=("security",))

    assert [tuple(labels.values()) for labels in found] == [
        ("A", "warning", "shop"),
        ("A", "warning", "shop", "security"),
        ("A", "warning", "observability"),
        ("A", "warning", "observability", "security"),
        ("B", "warning", "shop"),
        ("B", "warning", "shop", "security"),
        ("C", "warning", "own", "db"),
    ]


# The proof.


def test_an_alert_that_reaches_nobody() -> None:
    """Proves that a page or a ticket that only a receiver without a channel takes is a defect."""
    tree = _tree(FOUR)
    leaf = Route(receiver="dashboards", matchers=(Matcher(label="app", value="shop"),))
    cut = replace(tree, root=replace(tree.root, routes=(leaf, *tree.root.routes)))
    elsewhere = [{"app": "other", **labels} for labels in ALL]

    assert _defects(cut, {"severity": "warning"}, {"severity": "info"}, *elsewhere) == [
        "Trouble (warning) of shop reaches nobody (accepted: a receiver for it, or a default)"
    ]


def test_nobody_at_all() -> None:
    """Proves that a stack in containers without receivers is one defect, not one for each alert."""
    tree = alertmanager.tree(context(runtime="docker"), None)

    assert _defects(tree, *EACH) == [
        "no receivers are declared, so nobody is told of anything (accepted: receivers, and one as default)"
    ]


def test_a_receiver_that_is_never_used() -> None:
    """Proves that a receiver that nothing reaches is a defect."""
    tree = _tree({**FOUR, "receivers": {**FOUR["receivers"], "pigeon": HOOK}})

    assert _defects(tree, *ALL) == [
        "receiver pigeon is never told of anything (accepted: a route to it, or no such receiver)"
    ]


def test_a_route_that_is_never_reached() -> None:
    """Proves that a route that another one hides, or that no alert has the labels for, is a defect, told once for all
    that is below it."""
    tree = _tree({**FOUR, "services": {**FOUR["services"], "money": ["slack"]}})

    assert _defects(tree, *ALL) == [
        'no alert reaches the route {service = "money"} (accepted: routes that alerts can reach)'
    ]


def test_a_receiver_that_is_told_twice() -> None:
    """Proves that one alert that one receiver gets by two ways is a defect."""
    tree = _tree(FOUR)
    twice = Route(receiver="slack", matchers=(Matcher(label="severity", value="warning"),), continues=True)
    tree = replace(tree, root=replace(tree.root, routes=(*tree.root.routes[:1], twice, *tree.root.routes[1:])))

    assert _defects(tree, *EACH, *ALL)[:1] == ["Trouble (warning) of shop is told twice to slack (accepted: once)"]


DOWN = {"alertname": "ServiceDown", "severity": "critical"}
GONE = {"alertname": "SystemDown", "severity": "info"}


def test_pages_that_an_inhibition_tells_of() -> None:
    """Proves that silencing symptoms is no defect while all whom a symptom pages are told of the cause, whatever the
    service."""
    security = {"service": "security"}
    alerts = (*ALL, DOWN, {**DOWN, **security}, GONE, {**GONE, **security})
    assert _defects(_tree(FOUR), *alerts, {"severity": "critical", "service": "api"}) == []


def test_an_inhibition_that_hides_a_page() -> None:
    """Proves that a cause that fewer people are told of than of the symptom is a defect: by a severity of its own, or
    since it is not there at all."""
    tree = _tree(FOUR)
    hides = "hides Trouble (critical) of shop"
    accepted = "(accepted: a cause that is told to all whom its symptom is told to)"
    lesser = {**DOWN, "severity": "warning"}

    assert _defects(tree, *ALL, lesser)[0] == (
        f"inhibition target-down {hides} from email, pagerduty, whom ServiceDown (warning) of shop does not reach"
        f" {accepted}"
    )
    assert _defects(tree, *ALL, GONE)[0] == (
        f"inhibition system-down {hides}, and there is no ServiceDown that tells of it"
        " (accepted: ServiceDown for that service)"
    )
    assert _defects(tree, *ALL, GONE, DOWN) == []


def test_services_that_no_route_asks_for_are_one() -> None:
    """Proves that a page of any service is looked at beside a cause whose service is its target's own."""
    lesser = {**DOWN, "severity": "warning"}
    page = {"severity": "critical", "service": "db"}

    assert [defect.split(" from ")[0] for defect in _defects(_tree(FOUR), *ALL[3:], page, lesser)] == [
        "inhibition target-down hides Trouble (critical) of shop/db"
    ]


def test_levels_of_one_alert_hide_nothing() -> None:
    """Proves that the proof, like Alertmanager, lets no alert silence its like."""
    assert _defects(_tree(FOUR, shop=_routes(silences={"Trouble": ["Trouble"]})), *ALL) == []


def test_a_silence_of_a_profile_that_hides_a_page() -> None:
    """Proves that a profile cannot silence a page by a ticket."""
    tree = _tree(FOUR, shop=_routes(silences={"Ticket": ["Trouble"]}))
    defects = _defects(tree, *ALL, {"alertname": "Ticket", "severity": "warning"})

    assert defects[0] == (
        "inhibition shop-Ticket hides Trouble (critical) of shop from email, pagerduty, whom Ticket (warning) of shop"
        " does not reach (accepted: a cause that is told to all whom its symptom is told to)"
    )


def test_defects_refuse_the_stack() -> None:
    """Proves that each defect is a line that names the stack file, and that a good tree passes."""
    tree = _tree({**FOUR, "receivers": {**FOUR["receivers"], "pigeon": HOOK, "owl": HOOK}})
    alerts = [{"alertname": "Trouble", "app": "shop", **labels} for labels in ALL]
    with pytest.raises(SettingsError) as refused:
        routing.refuse_defects(FILE, tree, alerts)

    rest = "is never told of anything (accepted: a route to it, or no such receiver)"
    assert str(refused.value) == (
        f"{FILE}: {KEY}.alerting: receiver pigeon {rest}\n{FILE}: {KEY}.alerting: receiver owl {rest}"
    )
    routing.refuse_defects(FILE, _tree(FOUR), alerts)


def test_whole_stacks_have_no_defect() -> None:
    """Proves that a stack with every receiver tells everybody of all its alerts."""
    made = stack(alerting=EVERY_RECEIVER)
    tree = alertmanager.tree(made.context, None)
    alerts = [alert for group in (*made.groups, *made.log_groups) for alert in group.alerts]

    assert prove(tree, list(occurrences(alerts, apps=("observability", "shop"), services=tree.services))) == []
