"""The cluster itself: what is scraped of which flavor, and which alerts and rights there are."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from specs import cluster
from specs.cluster import kept, names, owners
from specs.cluster.flavors import REACH
from specs.discovery import asks_for
from specs.settings import Flavor
from specs.stack import Stack
from specs.workload import ApiAccess, ApiRule
from tests.contract.promql import selectors
from tests.contract.rendered import boards
from tests.specs.clusters import ALERTING, groups, made, scraped
from tests.specs.support import committed, complaint, stack

ALWAYS = {
    *("kube-state-metrics", "kube-state-metrics-self", "kubelet", "kubelet-containers", "kubelet-probes"),
    "apiserver",
}
"""Jobs of every flavor."""
MORE: Mapping[str, set[str]] = {
    "eks": {"coredns", "kube-scheduler", "kube-controller-manager"},
    "gke": set(),
    "aks": {"coredns"},
    "k3s": {"coredns"},
    "kind": {"coredns"},
    "generic": {"coredns"},
}
FLAVORS = [flavor.value for flavor in Flavor]


def of_cluster(found: Stack) -> set[str]:
    """Jobs about the cluster."""
    return {job.name for job in found.jobs if job.name in kept.KEPT}


# What there is, and where.


@pytest.mark.parametrize(
    ("runtime", "changes"),
    [("process", {}), ("docker", {}), ("kubernetes", {"kubernetes": {"watch": False}})],
)
def test_nothing_where_no_cluster_is_watched(runtime: str, changes: Mapping[str, Any]) -> None:
    """Proves that elsewhere, and where it is switched off, there is no workload, job, alert or dashboard about it, and
    that ServiceDown is told of every target."""
    found = stack(runtime=runtime, alerting=ALERTING, exporters={"node": {}}, **changes)
    down = [alert.expr for group in found.groups for alert in group.alerts if alert.name == "ServiceDown"]

    assert names.STATE not in found.names
    assert (of_cluster(found), groups(found)) == (set(), [])
    assert [path for path in found.dashboards if path.startswith("cluster/")] == []
    both = ['up{app!="observability"} == 0', 'up{app="observability"} == 0']
    assert down == (both if runtime == "kubernetes" else ["up == 0"])


def test_dashboards_are_those_of_the_folder() -> None:
    """Proves that a watched cluster has each of the dashboards that the alerts lead to."""
    found = made()

    assert {path for path in found.dashboards if path.startswith("cluster/")} == {
        f"cluster/{uid}.json" for uid in cluster.DASHBOARDS
    }
    assert {alert.dashboard for group in groups(found) for alert in group.alerts} == set(cluster.DASHBOARDS) - {
        names.OVERVIEW
    }


@pytest.mark.parametrize("flavor", FLAVORS)
def test_jobs_of_a_flavor(flavor: str) -> None:
    """Proves that of each flavor exactly that is scraped which answers there, and missed when it is gone."""
    found = made(flavor)
    missed = {
        alert.service for group in found.groups for alert in group.alerts if alert.name == "TargetMissing"
    } & kept.KEPT.keys()

    assert of_cluster(found) == ALWAYS | MORE[flavor] == missed


@pytest.mark.parametrize("flavor", FLAVORS)
def test_no_alert_is_about_what_is_not_scraped(flavor: str) -> None:
    """Proves that every metric that an alert about the cluster asks for is kept of some job that this flavor has, and
    every job that it names is one: none can be silent for ever, or fire for want of a target that was never there."""
    found, there = made(flavor), set[str]()
    for job in of_cluster(found):
        there |= set(kept.KEPT[job])
    if REACH[Flavor(flavor)].controllers == "in-api":
        there |= {*kept.OF_SCHEDULER, *kept.OF_CONTROLLERS}
    wrong: list[str] = []
    for group in groups(found):
        for alert in group.alerts:
            for selector in selectors(alert.expr.replace("$threshold", "1")):
                pattern = re.escape(selector.metric) if selector.metric else _pattern(selector)
                known = any(re.fullmatch(pattern, name) for name in there | {"up"})
                if not known or selector.of("job") not in {None, *of_cluster(found)}:
                    wrong.append(f"{alert.name}: {selector}")

    assert wrong == []
    assert groups(found)


def _pattern(selector: Any) -> str:
    (pattern,) = (matcher.value for matcher in selector.matchers if matcher.label == "__name__")
    return str(pattern)


def test_every_metric_that_is_kept_is_asked_for() -> None:
    """Proves that no series is stored that neither an alert nor a panel asks for, and none is asked for that is not
    kept."""
    found = made("k3s")
    expressions = [alert.expr.replace("$threshold", "1") for group in groups(found) for alert in group.alerts]
    expressions += [
        query
        for board in boards({path: board for path, board in found.dashboards.items() if path.startswith("cluster/")})
        for panel in board.panels
        for query in panel.promql
    ]
    asked = {selector.metric for expr in expressions for selector in selectors(expr)} - {"", None, "up"}
    every = {metric for metrics in kept.KEPT.values() for metric in metrics}

    assert every - asked == set()
    assert asked - every == {"ALERTS", "ALERTS_FOR_STATE"}


def test_settings_override_the_flavor() -> None:
    """Proves that a cluster may differ from its flavor in DNS and in kubelets' certificates."""
    usual, other = made("eks"), made("eks", watch={"dns": False, "verify_kubelets": False})

    assert of_cluster(usual) - of_cluster(other) == {"coredns"}
    assert {group.name for group in groups(usual)} - {group.name for group in groups(other)} == {"cluster-dns"}
    assert "insecure_skip_verify" not in scraped(usual)["kubelet"]["tls_config"]
    assert scraped(other)["kubelet"]["tls_config"]["insecure_skip_verify"] is True
    assert scraped(made("kind"))["kubelet"]["tls_config"]["insecure_skip_verify"] is True
    assert "insecure_skip_verify" not in scraped(other)["apiserver"]["tls_config"]
    assert scraped(other)["apiserver"]["tls_config"]["server_name"] == "kubernetes"


def test_bad_settings() -> None:
    """Proves that a word in the place of the switch is refused in one line, and that no system takes the cluster's
    label."""
    assert complaint(runtime="kubernetes", kubernetes={"watch": "yes please"}, alerting=ALERTING) == (
        "Pulumi.test.yaml: observability:settings.kubernetes.watch: text is neither of its values"
        " (accepted: true, false, or a mapping with its settings)"
    )
    assert "systems.cluster: the name is the stack's own" in complaint(systems={"cluster": {}})


# Rights.


def test_it_may_list_and_nothing_else() -> None:
    """Proves that kube-state-metrics may list and watch the kinds that it tells of, and neither Secrets nor
    ConfigMaps."""
    workload = made().workload(names.STATE)
    (access,) = (extra for extra in workload.extras if isinstance(extra, ApiAccess))
    (told,) = (arg for arg in workload.args if arg.startswith("--resources="))
    kinds = {kind for rule in access.rules for kind in rule.resources}

    assert kinds == set(told.removeprefix("--resources=").split(","))
    assert {rule.verbs for rule in access.rules} == {("list", "watch")}
    assert not kinds & {"secrets", "configmaps"}
    assert {metric.split("_")[1] for metric in kept.KEPT[names.STATE]} <= {kind[:-1] for kind in kinds}
    assert workload.secrets == {}
    assert workload.probe.port == "self"


@pytest.mark.parametrize(
    ("flavor", "more"),
    [
        ("generic", ()),
        (
            "eks",
            (
                ApiRule(groups=("metrics.eks.amazonaws.com",), resources=("ksh/metrics",), verbs=("get",)),
                ApiRule(groups=("metrics.eks.amazonaws.com",), resources=("kcm/metrics",), verbs=("get",)),
            ),
        ),
    ],
)
def test_prometheus_may_ask_for_metrics(flavor: str, more: tuple[ApiRule, ...]) -> None:
    """Proves that Prometheus may find targets and read metrics of kubelets and API server, once each, and that it is
    not given the right to act through a kubelet."""
    rules = asks_for(made(flavor).jobs)

    assert rules == (
        ApiRule(resources=("pods", "nodes", "services")),
        ApiRule(groups=("discovery.k8s.io",), resources=("endpointslices",)),
        ApiRule(resources=("nodes/metrics",), verbs=("get",)),
        ApiRule(groups=(), urls=("/metrics",), verbs=("get",)),
        *more,
    )
    (access,) = (extra for extra in made(flavor).workload("prometheus").extras if isinstance(extra, ApiAccess))
    assert set(rules) <= set(access.rules)


# Nodes come and go.


def test_a_node_that_goes_wakes_nobody() -> None:
    """Proves that ServiceDown leaves out what goes with a node, for which there are alerts of lesser urgency."""
    found = made()
    down = [alert for group in found.groups for alert in group.alerts if alert.name == "ServiceDown"]
    jobs = {job.name for job in found.jobs if job.fleeting}
    told = {alert.name: alert.severity.value for group in groups(found) for alert in group.alerts}

    assert jobs >= {"kubelet", "kubelet-containers", "kubelet-probes", "node-exporter"}
    left_out = [re.findall(r'^up\{app!?="observability", job!~"(.*)"\} == 0$', alert.expr) for alert in down]
    assert [set(names.split("|")) for (names,) in left_out] == [jobs, jobs]
    assert {told[name] for name in ("KubeletDown", "NodeNotReady", "DaemonSetPodsMissing")} == {"warning"}


def test_applications_need_not_be_there() -> None:
    """Proves that nobody is called for a cluster in which no application asks to be scraped yet."""
    found = made()
    missed = {alert.service for group in found.groups for alert in group.alerts if alert.name == "TargetMissing"}

    assert "applications" in {job.name for job in found.jobs}
    assert "applications" not in missed
    assert {"prometheus", "loki", "kubelet"} <= missed


def test_namespaces_of_systems() -> None:
    """Proves that a system's namespaces are those of its pods and of Services that it is dialled by; that addresses of
    other forms name none, and that a namespace of two systems is nobody's."""
    pods = {"web": {"namespace": "one-pods", "labels": {"app": "web"}, "port": 8000}}
    profile = {"profile": "examples/systems/bookshop.yaml"}
    found = stack(
        runtime="kubernetes",
        alerting=ALERTING,
        systems={
            "one": {
                **profile,
                "pods": pods,
                "services": {"web": ["web.one.svc:80", "web.both.svc.cluster.local:80", "10.0.0.1:80", "web.test:80"]},
            },
            "two": {**profile, "services": {"worker": ["worker.both.svc:80"], "web": ["web.two.svc:80"]}},
        },
    )

    assert owners.namespaces(found.systems) == {"one": "one", "one-pods": "one", "two": "two"}
    assert owners.namespaces(committed("prod").systems)["narra-forge"] == "narra-forge"
