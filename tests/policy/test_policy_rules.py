"""The rules of the policy pack on what the project's own stacks declare, as shipped and with one thing wrong."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from policy.rules import RULES, Resource, violations
from policy.rules.alerts import ALERTS
from policy.rules.images import pinned
from policy.rules.model import UNKNOWN
from policy.rules.plain_secrets import random_looking
from policy.rules.routing import routing
from specs import alertmanager
from specs.routing import told
from specs.stack import Stack
from tests.deployment import ROOT
from tests.policy.shipped import Resources, changed, shipped, stack
from tools.policy.recorded import resources

POD = "spec__template__spec__containers__0"
KEY_OF_AWS = "AKIA" + "Q3EXAMPLE4TEST56"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIB\n"


def _found(declared: Resources) -> dict[str, list[str]]:
    """Messages by rule, of the rules that are violated."""
    return {
        name: [f"{each.resource.title if each.resource else 'stack'}: {each.message}" for each in found]
        for name, found in violations(declared).items()
        if found
    }


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_stacks_as_shipped_keep_every_rule(name: str) -> None:
    """Proves that no rule finds anything in the project's own stacks."""
    assert _found(shipped(name)) == {}


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_every_alert_is_looked_at(name: str) -> None:
    """Proves that the rule about alerts sees each alert of the stack, wherever its runtime puts files: without any
    Alertmanager each is counted."""
    declared = tuple(each for each in shipped(name) if "alertmanager" not in each.name)
    made = stack(name)
    alerts = sum(len(group.alerts) for group in (*made.groups, *made.log_groups))
    [violation] = ALERTS.find(declared, {})
    [count, _, rest] = violation.message.split(" ", 2)

    assert rest == "and no Alertmanager whose routes say who is told"
    # Each Prometheus of a pair, and a ruler, has files of its own: none may be missing.
    assert int(count) >= alerts > 100


def _of_docker(**inputs: Any) -> Resources:
    return changed(shipped("dev"), "Container", "prometheus", **inputs)


def _deployed(kind: str, name: str, **inputs: Any) -> Resources:
    return changed(shipped("prod"), kind, name, **inputs)


def _config(text: str, name: str = "extra.yml") -> Resources:
    return (
        *shipped("prod"),
        Resource(
            type="kubernetes:core/v1:ConfigMap",
            name="extra",
            props={
                "metadata": {"labels": next(each.labels for each in shipped("prod") if each.kind == "ConfigMap")},
                "data": {name: text},
            },
        ),
    )


def _rules(alert: dict[str, Any]) -> Resources:
    return _config(yaml.safe_dump({"groups": [{"name": "g", "rules": [{"expr": "up == 0", **alert}]}]}))


def _retained(name: str, *, retained: bool) -> Resources:
    return tuple(replace(each, retained=retained) if each.name == name else each for each in shipped("dev"))


TOLD = {"runbook_url": "https://runbooks.example.com/A.md"}
BROKEN: dict[str, tuple[Callable[[], Resources], str, str]] = {
    "no tag": (lambda: _of_docker(image="prom/prometheus"), "pinned-images", "neither tag nor digest"),
    "latest": (
        lambda: _deployed("Deployment", "blackbox-exporter", **{f"{POD}__image": "registry:5000/collector:latest"}),
        "pinned-images",
        "Deployment blackbox-exporter: image registry:5000/collector:latest has a tag that moves",
    ),
    "a port for everybody": (
        lambda: _of_docker(ports=[{"internal": 9090, "external": 9090}]),
        "no-public-bind",
        "Container observability-prometheus: port 9090 is published on 0.0.0.0 without a login",
    ),
    "the host's network": (lambda: _of_docker(networkMode="host"), "no-public-bind", "shares the host's network"),
    "a stack that binds to every address": (
        lambda: resources(stack("local", {"bind": "0.0.0.0"})),  # noqa: S104 - that is the point
        "no-public-bind",
        "Process prometheus: --web.listen-address listens on every address of this machine without a login",
    ),
    "an address in a word of its own": (
        lambda: changed(
            shipped("local"), "Process", "prometheus", command=["prometheus", "--web.listen-address", ":9090"]
        ),
        "no-public-bind",
        "Process prometheus: --web.listen-address listens on every address",
    ),
    "all ports of an image": (
        lambda: _of_docker(publishAllPorts=True),
        "no-public-bind",
        "publishAllPorts publishes each port",
    ),
    "a load balancer": (
        lambda: _deployed("Service", "prometheus", spec__type="LoadBalancer"),
        "no-public-bind",
        "Service prometheus: type LoadBalancer is open",
    ),
    "an address outside": (
        lambda: _deployed("Service", "loki", spec__externalIPs=["203.0.113.1"]),
        "no-public-bind",
        "externalIPs make it open",
    ),
    "a port of the node": (
        lambda: _deployed("Deployment", "blackbox-exporter", **{f"{POD}__ports__0__hostPort": 9115}),
        "no-public-bind",
        "hostPort 9115 is open",
    ),
    "a way in without TLS": (
        lambda: _deployed("Ingress", "grafana-ingress", spec__tls=None),
        "no-public-bind",
        "Ingress grafana: no TLS",
    ),
    "a way in for another host": (
        lambda: _deployed("Ingress", "grafana-ingress", spec__tls__0__hosts=["other.example.com"]),
        "no-public-bind",
        "host grafana.example.com has no TLS",
    ),
    "a way in without a login": (
        lambda: _deployed(
            "Ingress", "grafana-ingress", spec__rules__0__http__paths__0__backend__service__name="prometheus"
        ),
        "no-public-bind",
        "leads to prometheus, which has no login, and asks for none itself",
    ),
    "a middleware that asks nobody": (
        lambda: _guarded("default-compress@kubernetescrd"),
        "no-public-bind",
        "leads to prometheus, which has no login, and asks for none itself",
    ),
    "no limit on Docker": (lambda: _of_docker(memory=None), "resource-limits", "no limit for memory"),
    "no limit in a pod": (
        lambda: _deployed("Deployment", "blackbox-exporter", **{f"{POD}__resources__limits": {}}),
        "resource-limits",
        "container blackbox-exporter has no limit for memory",
    ),
    "no request": (
        lambda: _deployed("Deployment", "blackbox-exporter", **{f"{POD}__resources__requests__cpu": None}),
        "resource-limits",
        "container blackbox-exporter has no request for cpu",
    ),
    "a password in the environment": (
        lambda: _of_docker(envs=["DB_PASSWORD=correcthorse"]),
        "no-plain-secrets",
        "environment variable DB_PASSWORD holds what is, or looks like, a secret",
    ),
    "a random value in a pod's environment": (
        lambda: _deployed(
            "Deployment", "blackbox-exporter", **{f"{POD}__env": [{"name": "X", "value": "9fKq2LmZ8vTxW4cRbN7hYpJd"}]}
        ),
        "no-plain-secrets",
        "environment variable X holds",
    ),
    "a password in a ConfigMap": (
        lambda: _config("remote:\n  basic_auth:\n    password: correcthorse\n"),
        "no-plain-secrets",
        "extra.yml: password holds",
    ),
    "a password that is all of a ConfigMap's value": (
        lambda: _config("correcthorse\n", "password"),
        "no-plain-secrets",
        "ConfigMap extra: password holds what is, or looks like, a secret",
    ),
    "a password in JSON": (
        lambda: _config('{"username":"me","password":"correcthorse"}'),
        "no-plain-secrets",
        "extra.yml: password holds",
    ),
    "a password in braces": (
        lambda: _config("remote:\n  basic_auth: {username: me, password: correcthorse}\n"),
        "no-plain-secrets",
        "extra.yml: password holds",
    ),
    "a password in binaryData": (
        lambda: changed(_config(""), "ConfigMap", "extra", binaryData={"x.yml": "cGFzc3dvcmQ6IGNvcnJlY3Rob3JzZQo="}),
        "no-plain-secrets",
        "x.yml: password holds",
    ),
    "a password in an argument": (
        lambda: _of_docker(command=["--web.password=correcthorse"]),
        "no-plain-secrets",
        "arguments: web.password holds",
    ),
    "a password in an argument of two words": (
        lambda: _of_docker(command=["--web.password", "correcthorse"]),
        "no-plain-secrets",
        "arguments: web.password holds",
    ),
    "a random argument": (
        lambda: _of_docker(command=["--x=9fKq2LmZ8vTxW4cRbN7hYpJd"]),
        "no-plain-secrets",
        "arguments: x holds",
    ),
    "a secret key": (
        lambda: _of_docker(envs=["GF_SECURITY_SECRET_KEY=correcthorse"]),
        "no-plain-secrets",
        "environment variable GF_SECURITY_SECRET_KEY holds",
    ),
    "an encryption key": (
        lambda: _of_docker(envs=["ENCRYPTION_KEY=correcthorse"]),
        "no-plain-secrets",
        "environment variable ENCRYPTION_KEY holds",
    ),
    "a header with a token": (
        lambda: _config("headers:\n  Authorization: Bearer 9fKq2LmZ8vTxW4cRbN7hYpJd\n"),
        "no-plain-secrets",
        "extra.yml holds a header with a token",
    ),
    "a key in a ConfigMap": (lambda: _config(f"# {KEY_OF_AWS}\n"), "no-plain-secrets", "holds an access key of AWS"),
    "a private key": (lambda: _config(PRIVATE), "no-plain-secrets", "holds a private key"),
    "a URL with a password": (
        lambda: _config("broker: redis://:correcthorse@redis:6379/0\nother: amqp://me:horse@rabbit:5672\n"),
        "no-plain-secrets",
        "holds a URL with a password",
    ),
    "a secret of Pulumi in an argument": (
        lambda: _of_docker(command=["--password", "<secret: narra-forge-postgres>"]),
        "no-secret-copies",
        "arguments holds a secret that another resource keeps as one",
    ),
    "a secret of Pulumi in a ConfigMap": (
        # It stands inside of a file there.
        lambda: _config("a: <secret: object-storage-secret-key>\n"),
        "no-secret-copies",
        "ConfigMap extra: extra.yml holds a secret",
    ),
    "a volume that goes": (
        lambda: _retained("prometheus-data", retained=False),
        "protected-volumes",
        "Volume observability-prometheus-data: is neither protected nor retained",
    ),
    "keep_volumes off on Docker": (
        lambda: resources(stack("dev", {"docker": {"keep_volumes": False}})),
        "protected-volumes",
        "is neither protected nor retained",
    ),
    "claims that go": (
        lambda: _deployed("StatefulSet", "prometheus", spec__persistentVolumeClaimRetentionPolicy__whenScaled="Delete"),
        "protected-volumes",
        "StatefulSet prometheus: whenScaled: Delete deletes the volumes with their data",
    ),
    "a volume that is deleted with its claim": (
        lambda: (
            *shipped("prod"),
            Resource(
                type="kubernetes:core/v1:PersistentVolume",
                name="disk",
                props={"spec": {"persistentVolumeReclaimPolicy": "Delete"}},
            ),
        ),
        "protected-volumes",
        "PersistentVolume disk: its reclaim policy deletes the data",
    ),
    "keep_volumes off in a cluster": (
        lambda: resources(
            stack(
                "prod", {"kubernetes": {"flavor": "generic", "keep_volumes": False}, "thanos": None, "size": "medium"}
            )
        ),
        "protected-volumes",
        "Namespace observability: goes with the stack, and all its volume claims with it",
    ),
    "no labels": (
        lambda: _deployed("Service", "loki", metadata__labels={"app": "loki"}),
        "labels",
        "Service loki: has no label app.kubernetes.io/instance, app.kubernetes.io/managed-by,",
    ),
    "pods without labels": (
        lambda: _deployed("Deployment", "blackbox-exporter", spec__template__metadata__labels={}),
        "labels",
        "Deployment blackbox-exporter: its pods have no label app.kubernetes.io/instance",
    ),
    "no labels on Docker": (
        lambda: _of_docker(labels=[]),
        "labels",
        "Container observability-prometheus: has no label",
    ),
    "no runbook": (
        lambda: _rules({"alert": "A", "labels": {"severity": "critical"}}),
        "alerts",
        "extra.yml: alert A has no runbook_url",
    ),
    "no severity": (
        lambda: _rules({"alert": "A", "annotations": TOLD}),
        "alerts",
        "alert A has no severity (accepted: critical, info, warning)",
    ),
    "nobody is told": (
        lambda: _silenced("critical"),
        "alerts",
        "(critical) tells nobody, app narra-forge",
    ),
    "nobody is told of one service of several": (
        lambda: _silenced("critical", 'service =~ "queue|search"'),
        "alerts",
        "(critical) tells nobody, app narra-forge, service queue",
    ),
    "a receiver that is gone": (
        lambda: _without_receiver("pagerduty"),
        "alerts",
        "stack: a route leads to the receiver pagerduty, which there is none of",
    ),
}


def _alertmanager(change: Callable[[dict[str, Any]], None]) -> Resources:
    [found] = [each for each in shipped("prod") if each.name == "alertmanager-config"]
    content = yaml.safe_load(found.props["data"]["alertmanager.yml"])
    change(content)
    data = {**found.props["data"], "alertmanager.yml": yaml.safe_dump(content)}
    return changed(shipped("prod"), "ConfigMap", "alertmanager-config", data=data)


def _guarded(middlewares: str) -> Resources:
    """With Prometheus behind Traefik's middlewares."""
    annotations = {"traefik.ingress.kubernetes.io/router.middlewares": middlewares}
    declared = _deployed(
        "Ingress", "grafana-ingress", spec__rules__0__http__paths__0__backend__service__name="prometheus"
    )
    return changed(declared, "Ingress", "grafana-ingress", metadata__annotations=annotations)


def _silenced(severity: str, *more: str) -> Resources:
    """With a route of a system that tells nobody of a severity."""

    def change(content: dict[str, Any]) -> None:
        content["route"]["routes"].insert(
            0, {"receiver": "dashboards", "matchers": ['app = "narra-forge"', f'severity = "{severity}"', *more]}
        )

    return _alertmanager(change)


def _without_receiver(name: str) -> Resources:
    def change(content: dict[str, Any]) -> None:
        content["receivers"] = [each for each in content["receivers"] if each["name"] != name]

    return _alertmanager(change)


@pytest.mark.parametrize("case", BROKEN)
def test_each_thing_that_is_wrong_is_found(case: str) -> None:
    """Proves that a stack with one thing wrong violates the rule about it, and says what and where."""
    made, rule, message = BROKEN[case]
    found = _found(made())

    assert any(message in line for line in found.get(rule, [])), found
    assert set(found) <= {rule, "no-plain-secrets"} if rule == "no-secret-copies" else set(found) == {rule}


def test_no_message_has_a_secret() -> None:
    """Proves that what is told of a secret in the wrong place is where it stands, and not what it says."""
    for case, (made, rule, _) in BROKEN.items():
        if "secret" in rule:
            told = json.dumps(_found(made()))
            assert not any(word in told for word in ("horse", "9fKq2LmZ", KEY_OF_AWS, "<secret:", "MIIB")), case


def test_every_rule_is_broken_by_some_case() -> None:
    """Proves that no rule is left without a case that it finds."""
    assert {rule for _, rule, _ in BROKEN.values()} == {rule.name for rule in RULES}


def test_what_is_not_known_yet_is_no_violation() -> None:
    """Proves that what only an update learns violates nothing in a preview, and breaks no rule."""
    unknown = changed(_of_docker(image=UNKNOWN), "Container", "loki", envs=[f"TOKEN={UNKNOWN}", UNKNOWN])
    unknown = changed(unknown, "Container", "alertmanager", uploads=UNKNOWN)

    assert _found(unknown) == {}


def test_what_asks_and_what_is_covered_is_no_violation() -> None:
    """Proves that a middleware that asks guards what has no login, and that a wildcard's certificate is one for each
    host below it, and not for those further down."""

    def secured(host: str) -> Resources:
        return _deployed("Ingress", "grafana-ingress", spec__tls__0__hosts=[host])

    assert _found(_guarded("default-forward-auth@kubernetescrd")) == {}
    assert _found(secured("*.example.com")) == {}
    assert _found(secured("*.com")).keys() == {"no-public-bind"}


def test_an_expression_of_another_language_breaks_nothing() -> None:
    """Proves that an expression which only Go reads fits nothing here."""
    route = {"receiver": "b", "matchers": [r'app =~ "\\pL+"']}
    read = routing({"route": {"receiver": "a", "routes": [route]}, "receivers": [{"name": "a"}, {"name": "b"}]})

    assert [*read.root.receivers({"app": "x"})] == ["a"]


def test_with_login_is_a_setting() -> None:
    """Proves that a workload of one's own that asks for a login may be named."""
    declared = _of_docker(ports=[{"internal": 9090, "external": 9090}])
    given = {"no-public-bind": {"with_login": ["prometheus"]}}

    assert violations(declared)["no-public-bind"] != ()
    assert violations(declared, given)["no-public-bind"] == ()


LOCK = {"prom/prometheus:v3.1.0": "sha256:" + "a" * 64}


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("prom/prometheus:v3.1.0@sha256:" + "a" * 64, ""),
        ("mirror.example.com/hub/prom/prometheus:v3.1.0@sha256:" + "a" * 64, ""),
        ("prom/prometheus:v3.1.0", "is not pinned by the digest"),
        ("mirror.example.com:5000/hub/prom/prometheus:v3.1.0", "is not pinned by the digest"),
        ("prom/prometheus:v3.1.0@sha256:" + "b" * 64, "is not pinned by the digest"),
        ("prom/prometheus:v3.2.0", ""),
        ("other/prometheus:v3.1.0", ""),
        ("localhost:5000/prometheus", "neither tag nor digest"),
        ("prometheus@sha256:" + "a" * 64, ""),
        ("", "no image is named"),
    ],
)
def test_digests_of_the_lock_are_asked_for(image: str, problem: str) -> None:
    """Proves that an image that images.lock knows is pinned by its digest, through a mirror too."""
    found = pinned(image, LOCK)

    assert problem in found
    assert bool(problem) == bool(found)


@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("9fKq2LmZ8vTxW4cRbN7hYpJd", True),
        ("d2FybSBncmVldGluZ3MgZnJvbSBiYXNlNjQ=", True),
        ("0123456789abcdef0123456789abcdef01234567", False),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", False),
        ("http://127.0.0.1:9090/a/path/that/is/LONG/1", False),
    ],
)
def test_what_looks_random(text: str, random: bool) -> None:
    """Proves that keys look random, and hashes in hexadecimal, names and addresses do not."""
    assert random_looking(text) is random


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_routes_are_followed_as_elsewhere(name: str) -> None:
    """Proves that the pack's reading of the routes tells the same receivers as the stack's own simulation, for every
    alert and every system."""
    made: Stack = stack(name)
    content = yaml.safe_load(made.workload("alertmanager").files["alertmanager.yml"])
    tree = alertmanager.tree(made.context, None, {each.name: each.profile.routes for each in made.systems})
    ours = routing(content)
    apps = ("", *(system.name for system in made.systems))
    for group in (*made.groups, *made.log_groups):
        for alert in group.alerts:
            for app in (alert.app,) if alert.app else apps:
                labels = {
                    "alertname": alert.name,
                    "severity": alert.severity.value,
                    "app": app,
                    "service": alert.service,
                }
                assert set(ours.root.receivers(labels)) == set(told(tree.root, labels)), labels


def test_the_pack_stands_alone() -> None:
    """Proves that the rules import nothing of this project, and of others PyYAML alone."""
    imported = {
        line.split()[1].split(".")[0]
        for file in (ROOT / "policy" / "rules").glob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from ")) and not line.startswith("from .")
    }

    assert "yaml" in imported
    assert imported - sys.stdlib_module_names == {"yaml"}
