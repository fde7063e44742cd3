"""What a change is told in, on rendered files as short as they can be."""

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.model import SettingsError
from tools.changes import markdown, wording
from tools.changes.files import Rendered
from tools.changes.report import Report, report
from tools.changes.subjects import Side

Files = Mapping[str, Any]
_RULES = "prometheus/rules/shop.yml"
_ALERTMANAGER = "alertmanager/alertmanager.yml"


def _side(directory: Path, files: Files, stack_file: str = "config: {}\n") -> Side:
    if not stack_file:
        return Side(rendered=Rendered(None), stack_file="", stack_file_name="Pulumi.shop.yaml")
    directory.mkdir()
    for path, said in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = said if isinstance(said, str) else json.dumps(said) if path.endswith(".json") else yaml.safe_dump(said)
        file.write_text(text, encoding="utf-8")
    return Side(rendered=Rendered(directory), stack_file=stack_file, stack_file_name="Pulumi.shop.yaml")


class Compare:
    """Compares two revisions that are written out."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = itertools.count()

    def __call__(self, before: Files, after: Files, *stack_files: str) -> Report:
        """What `after` changes."""
        texts = stack_files or ("config: {}\n", "config: {}\n")
        sides = [
            _side(self._directory / str(next(self._count)), files, text)
            for files, text in zip((before, after), texts, strict=True)
        ]
        return report(*sides, stack="shop", base="main", head="")


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Compares two revisions that are written out."""
    return Compare(tmp_path)


def _of(found: Report, subject: str) -> dict[str, Any]:
    """What changed in a subject: added and removed things by name, and of changed ones each before and after."""
    for each in found.subjects:
        if each.subject == subject:
            return {
                **{f"+ {thing.name}": thing.fields for thing in each.added},
                **{f"- {thing.name}": thing.fields for thing in each.removed},
                **{
                    thing.name: {field: (was.before, was.after) for field, was in thing.fields.items()}
                    for thing in each.changed
                },
            }
    return {}


def _rule(name: str = "Slow", expr: str = "latency > 1", **said: Any) -> dict[str, Any]:
    return {"alert": name, "expr": expr, "for": "5m", "labels": {"severity": "warning"}, **said}


def _rules(*rules: Mapping[str, Any], path: str = _RULES, group: str = "shop") -> dict[str, Any]:
    return {path: {"groups": [{"name": group, "rules": list(rules)}]}}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("latency > 1", "latency > 2", {"threshold": ("1", "2")}),
        ("a < bool 0.5 and b >= -3", "a < bool 0.4 and b >= -4", {"threshold": ("0.5, -3", "0.4, -4")}),
        ("rate(x[5m]) > 1", "rate(x[10m]) > 1", {"window": ("5m", "10m")}),
        ("rate(x[5m]) > 1", "rate(x[10m]) > 2", {"threshold": ("1", "2"), "window": ("5m", "10m")}),
        ("rate(x[5m]) > 1", "irate(x[5m]) > 2", {"expression": ("rate(x[5m]) > 1", "irate(x[5m]) > 2")}),
        ('x{le!="1"} > 1', 'x{le!="2"} > 1', {"expression": ('x{le!="1"} > 1', 'x{le!="2"} > 1')}),
        (
            "quantile(0.5, x) > 1",
            "quantile(0.9, x) > 1",
            {"expression": ("quantile(0.5, x) > 1", "quantile(0.9, x) > 1")},
        ),
        ("a\n  > 1", "a > 1", None),
    ],
)
def test_a_limit_is_told_apart_from_an_expression(
    compare: Compare, before: str, after: str, changed: dict[str, Any] | None
) -> None:
    """Proves that a changed limit or window is said as such, also with the text that repeats it, that anything else is
    the expression, and that layout is nothing."""
    found = compare(
        _rules(_rule(expr=before, annotations={"description": f"limit {before}"})),
        _rules(_rule(expr=after, annotations={"description": f"limit {after}"})),
    )
    assert _of(found, "alerts") == ({"Slow (warning)": changed} if changed else {})


def test_alerts_of_one_name_are_not_mixed_up(compare: Compare) -> None:
    """Proves that of several alerts of one name the one that changed is told of: in another order, in another file, and
    when one of them is gone."""
    apps = [_rule(expr=f'latency{{app="{app}"}} > {limit}') for app, limit in (("a", 1), ("b", 2), ("c", 3))]
    levels = [
        _rule("Full", f"disk > {limit}", labels={"severity": level})
        for level, limit in (("warning", 80), ("critical", 90))
    ]
    before = _rules(*apps, *levels)
    after = _rules(
        levels[1],
        levels[0],
        _rule(expr='latency{app="c"} > 4'),
        apps[0],
        path="prometheus/rules/other.yml",
        group="other",
    )
    found = _of(compare(before, after), "alerts")
    assert list(found) == ["- Slow of b (warning)", "Slow of c (warning)"]
    assert found["Slow of c (warning)"] == {"threshold": ("3", "4")}


def _routing(*routes: Mapping[str, Any]) -> dict[str, Any]:
    names = ["slack", *(route["receiver"] for route in routes)]
    return {
        _ALERTMANAGER: {
            "route": {"receiver": "slack", "routes": list(routes)},
            "receivers": [{"name": name} for name in dict.fromkeys(names)],
        }
    }


def test_who_is_told_changes_with_a_route_alone(compare: Compare) -> None:
    """Proves by the tree of routes that alerts whose rules did not change are told of, for whom and for which app, and
    that the same people in another order are no change."""
    shop = {"matchers": ['app = "shop"'], "receiver": "team"}
    everybody = {"matchers": ['severity =~ "warning|critical"'], "receiver": "mail", "continue": True}
    again = {"matchers": ['severity =~ "warning|critical"'], "receiver": "slack"}
    rules = _rules(_rule(), _rule("Own", 'x{app="shop"} > 1'), _rule("Other", 'x{app="other"} > 1'))
    found = _of(compare({**rules, **_routing(shop)}, {**rules, **_routing(everybody, again)}), "alerts")
    assert found == {
        "Other of other (warning)": {"told": ("slack", "mail, slack")},
        "Own of shop (warning)": {"told": ("team", "mail, slack")},
        "Slow (warning)": {"told": ("slack", "mail, slack"), "told of shop": ("team", "mail, slack")},
    }
    turned = [{**again, "continue": True}, {**everybody, "continue": False}]
    assert _of(compare({**rules, **_routing(everybody, again)}, {**rules, **_routing(*turned)}), "alerts") == {}


def test_an_added_alert_says_who_is_told(compare: Compare) -> None:
    """Proves that a new alert has its usual receivers, and only those cases in which others are told, which are one
    where they are told the same."""
    apps = (("shop", "team"), ("a", "slack"), ("bakery", "team"))
    routing = _routing(*({"matchers": [f'app = "{app}"'], "receiver": receiver} for app, receiver in apps))
    found = compare({**routing, **_rules()}, {**routing, **_rules(_rule())})
    told = {key: said for key, said in _of(found, "alerts")["+ Slow (warning)"].items() if key.startswith("told")}
    assert told == {"told": "slack", "told of shop": "team", "told of bakery": "team"}
    assert (
        "| Slow (warning) | added: severity `warning`<br>for `5m`<br>told `slack`<br>told of shop, bakery `team`"
        "<br>expression `latency > 1` |\n"
    ) in markdown.document(found)


def test_inhibitions_and_mute_times(compare: Compare) -> None:
    """Proves that a widened inhibition and a moved mute time are told of by their names."""
    inhibition = {
        "name": "down",
        "source_matchers": ['alertname = "Down"'],
        "target_matchers": ['severity = "warning"'],
    }
    wider = {**inhibition, "target_matchers": ['severity =~ "warning|critical"']}
    night = {"name": "night", "time_intervals": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}]}
    later = {"name": "night", "time_intervals": [{"times": [{"start_time": "23:00", "end_time": "24:00"}]}]}
    found = compare(
        {_ALERTMANAGER: {"inhibit_rules": [inhibition], "time_intervals": [night]}},
        {_ALERTMANAGER: {"inhibit_rules": [wider], "time_intervals": [later]}},
    )
    assert _of(found, "inhibitions") == {"down": {"silences": ("severity = warning", "severity =~ warning|critical")}}
    assert _of(found, "mute_times") == {"night": {"[0].times[0].start_time": ("22:00", "23:00")}}


def _inventory(**said: Any) -> dict[str, Any]:
    return {"inventory.json": said}


@pytest.mark.parametrize(
    ("before", "after", "breaking"),
    [
        ({"url": "x"}, {}, ["output url is removed"]),
        ({"url": "x"}, {"url": None}, ["output url was text and is nothing"]),
        ({"url": None}, {}, []),
        ({"url": None}, {"url": "x"}, []),
        ({"url": "x"}, {"url": "y"}, []),
        ({}, {"url": "x"}, []),
        ({"url": "x"}, {"address": "x"}, ["output url is renamed to address"]),
        ({"port": 1}, {"port": "1"}, ["output port was number and is text"]),
        ({"on": True}, {"on": 1}, ["output on was boolean and is number"]),
        ({"env": {"A": "x"}}, {"env": None}, ["output env.A is removed"]),
        ({"env": None}, {"env": {"A": "x"}}, []),
        ({"loki": "x"}, {"loki": {"push": "y"}}, ["output loki is removed"]),
        ({"env": {}}, {"env": {"A": "x"}}, []),
        ({"env": {"A": "x", "B": "y"}}, {"env": {"B": "y"}}, ["output env.A is removed"]),
        ({"hosts": ["x"]}, {"hosts": "x"}, ["output hosts was list and is text"]),
    ],
)
def test_what_breaks_applications(
    compare: Compare, before: Mapping[str, Any], after: Mapping[str, Any], breaking: list[str]
) -> None:
    """Proves which changed outputs are breaking: those that are gone or of another type, wherever they stand; not those
    that are new, have another value, or were nothing."""
    assert list(compare(_inventory(outputs=before), _inventory(outputs=after)).breaking) == breaking


def _workload(**said: Any) -> dict[str, Any]:
    usual = {
        "image": "quay.io/a/b:v1",
        "version": "v1",
        "resources": {"memory": "512Mi", "cpu": "100m"},
        "volume": "1Gi",
    }
    return {"workloads": {"loki": {**usual, **said}}}


def test_programs_without_manifests(compare: Compare) -> None:
    """Proves that on Docker and as processes the inventory says images, digests, sizes, ports and arguments."""
    ports = [{"name": "http", "number": 3100, "protocol": "tcp", "published": False}]
    found = compare(
        _inventory(**_workload(arguments=["--a=1", "--b"], ports=ports)),
        _inventory(
            **_workload(
                image="registry:5000/a/b:v2@sha256:12",
                arguments=["--a=2"],
                volume="2Gi",
                ports=[{**ports[0], "published": True}],
            )
        ),
    )
    assert _of(found, "programs") == {
        "loki": {
            "image": ("quay.io/a/b", "registry:5000/a/b"),
            "version": ("v1", "v2"),
            "digest": (None, "sha256:12"),
            "--a": ("1", "2"),
            "--b": ("on", None),
        }
    }
    assert _of(found, "sizes") == {"loki": {"volume": ("1Gi", "2Gi")}}
    assert _of(found, "ports") == {"loki http": {"reach": ("inside the stack", "published")}}
    assert [(each.what, each.before, each.after) for each in found.totals][3] == ("volumes", 2.0**30, 2.0**31)


def test_what_an_old_revision_does_not_say_is_no_change(compare: Compare) -> None:
    """Proves that arguments, which earlier inventories have not, are not told of as new."""
    found = compare(_inventory(**_workload()), _inventory(**_workload(arguments=["--a=1"], variables={"A": "x"})))
    assert found.subjects == ()
    assert found.files.copies == ("inventory.json",)
    assert wording.summary(found) == "rendered files change in what no table tells: see the diff"


def _object(kind: str, name: str, **said: Any) -> dict[str, Any]:
    return {
        f"kubernetes/{kind.lower()}-{name}.yaml": {"kind": kind, "metadata": {"name": name, "namespace": "o"}, **said}
    }


def test_flows_and_rights(compare: Compare) -> None:
    """Proves that one port more between two parts, and one verb more, are told of as such."""

    def files(ports: list[int], verbs: list[str]) -> Files:
        to = {
            "ports": [{"port": port, "protocol": "TCP"} for port in ports],
            "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "loki"}}}],
        }
        pods = {"matchLabels": {"app.kubernetes.io/instance": "grafana"}}
        rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs}
        return {
            **_object("NetworkPolicy", "grafana", spec={"podSelector": pods, "egress": [to]}),
            **_object("ClusterRole", "reader", rules=[rule]),
        }

    found = compare(files([3100], ["get"]), files([3100, 9095], ["get", "delete"]))
    assert _of(found, "flows") == {"grafana → loki": {"egress": ("3100/tcp", "3100/tcp, 9095/tcp")}}
    assert _of(found, "rights") == {"ClusterRole reader: apps/deployments": {"verbs": ("get", "get, delete")}}
    assert _of(found, "objects") == {}


def test_ways_in(compare: Compare) -> None:
    """Proves that a Service that becomes reachable from outside, and a pod on its node's network, are told of."""
    pod = {"spec": {"hostNetwork": True, "containers": [{"name": "a", "image": "a:1"}]}}
    before = _object("Service", "grafana", spec={"type": "ClusterIP"})
    after = {
        **_object("Service", "grafana", spec={"type": "LoadBalancer"}),
        **_object("DaemonSet", "agent", spec={"template": pod}),
    }
    assert _of(compare(before, after), "ports") == {
        "+ DaemonSet agent on the nodes' network": {"reach": "every interface of its node"},
        "+ Service grafana": {"type": "LoadBalancer"},
    }


def test_who_may_is_told_to_the_last_word(compare: Compare) -> None:
    """Proves that what a NetworkPolicy denies by default, what a block of addresses leaves out and the names that a
    role is about are told of."""

    def files(types: list[str], but: list[str], names: list[str]) -> Files:
        block = {"ipBlock": {"cidr": "0.0.0.0/0", "except": but}}
        pods = {"matchLabels": {"app.kubernetes.io/instance": "grafana"}}
        rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get"]}
        return {
            **_object(
                "NetworkPolicy",
                "out",
                spec={"podSelector": pods, "policyTypes": ["Egress"], "egress": [{"to": [block]}]},
            ),
            **_object("NetworkPolicy", "deny", spec={"podSelector": {}, "policyTypes": types}),
            **_object("Role", "reader", rules=[rule]),
        }

    before = files(["Ingress", "Egress"], ["10.0.0.0/8"], ["a"])
    found = compare(before, files(["Egress"], [], []))
    assert _of(found, "flows") == {
        "+ grafana → anywhere": {"egress": "every port"},
        "- grafana → anywhere but 10.0.0.0/8": {"egress": "every port"},
        "every pod of o, by NetworkPolicy deny": {"ingress by default": ("denied", None)},
    }
    assert _of(found, "rights") == {
        "+ Role reader: secrets": {"verbs": "get"},
        "- Role reader: secrets a": {"verbs": "get"},
    }
    gone = {path: said for path, said in before.items() if "deny" not in path}
    assert list(_of(compare(before, gone), "flows")) == ["- every pod of o, by NetworkPolicy deny"]


def test_what_a_way_in_passes(compare: Compare) -> None:
    """Proves that the class and the certificate of an Ingress, the port that a Service hands on to, the class of a
    claim's storage and a token that is mounted are told of; files that are mounted are not, since they are
    themselves."""

    def files(word: str) -> Files:
        to = {"path": "/", "backend": {"service": {"name": "grafana", "port": {"number": 3000}}}}
        sources = [{"serviceAccountToken": {"audience": word}}, {"configMap": {"name": word}}]
        claim = {
            "metadata": {"name": "data"},
            "spec": {"storageClassName": word, "resources": {"requests": {"storage": "1Gi"}}},
        }
        pod = {
            "volumes": [{"name": "all", "projected": {"sources": sources}}],
            "containers": [{"name": "a", "image": "a:1"}],
        }
        return {
            **_object(
                "Ingress",
                "grafana",
                spec={
                    "ingressClassName": word,
                    "tls": [{"hosts": ["a.b"], "secretName": word}],
                    "rules": [{"host": "a.b", "http": {"paths": [to]}}],
                },
            ),
            **_object("Service", "grafana", spec={"ports": [{"name": "http", "port": 3000, "targetPort": word}]}),
            **_object("StatefulSet", "a", spec={"volumeClaimTemplates": [claim], "template": {"spec": pod}}),
        }

    found, change = compare(files("a"), files("b")), ("a", "b")
    assert _of(found, "ports") == {"Ingress a.b/": {"TLS secret": change, "class": change}}
    assert _of(found, "objects") == {
        "Service o/grafana": {"spec.ports[http].targetPort": change},
        "StatefulSet o/a": {
            "spec.volumeClaimTemplates[0].spec.storageClassName": change,
            "spec.template.spec.volumes[all].projected.sources[0].serviceAccountToken.audience": change,
        },
    }


def test_how_old_traces_are_looked_for_is_no_retention(compare: Compare) -> None:
    """Proves that `max_span_age`, which deletes nothing, is told as what it is."""

    def files(age: str) -> Files:
        backends = {"main": {"cassandra": {"ttl": age}, "elasticsearch": {"max_span_age": age}}}
        return {"jaeger/jaeger.yml": {"extensions": {"jaeger_storage": {"backends": backends}}}}

    assert _of(compare(files("7d"), files("9d")), "retention") == {
        "traces, main.cassandra.ttl": {"kept": ("7d", "9d")},
        "traces, oldest that are looked for, main.elasticsearch.max_span_age": {"kept": ("7d", "9d")},
    }


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [("x" * 200, "x" * 200 + " and more", ("…" + "x" * 30, "…" + "x" * 30 + " and more")), ("a", "ab", ("a", "ab"))],
)
def test_what_is_appended_is_seen(before: str, after: str, shown: tuple[str, str]) -> None:
    """Proves that a long value to which something is appended is cut to its end, where both differ."""
    assert wording.excerpts(wording.Detail(field="a", before=before, after=after)) == shown


def test_whatever_else_changes_is_told_too(compare: Compare) -> None:
    """Proves that a key of a program's file and a field of an object that no subject knows are told of by their
    paths."""
    before = {"collector/collector.yml": {"processors": {"batch": {"timeout": "1s"}}}, "inbox/page.html": "old"}
    after = {"collector/collector.yml": {"processors": {"batch": {"timeout": "5s"}}}, "inbox/page.html": "new"}
    pod = {"template": {"spec": {"priorityClassName": "low", "containers": [{"name": "a", "image": "a:1"}]}}}
    other = {"template": {"spec": {**pod["template"]["spec"], "priorityClassName": "high"}}}
    found = compare(
        {**before, **_object("Deployment", "a", spec=pod)}, {**after, **_object("Deployment", "a", spec=other)}
    )
    assert _of(found, "files") == {
        "collector/collector.yml": {"processors.batch.timeout": ("1s", "5s")},
        "inbox/page.html": {"text": ("old", "new")},
    }
    assert _of(found, "objects") == {"Deployment o/a": {"spec.template.spec.priorityClassName": ("low", "high")}}


def test_secrets_are_told_of_by_name(compare: Compare) -> None:
    """Proves that a secret that is needed, dropped, set or set anew is told of, and that its value is in nothing that
    is made of the report, be it encrypted or, by mistake, not."""
    before = "config:\n  observability:a: {secure: v1:canary-1}\n  observability:b: canary-2\n"
    after = "config:\n  observability:a: {secure: v1:canary-3}\n  observability:c: canary-4\n"
    found = compare(_inventory(secrets=["a", "b"]), _inventory(secrets=["a", "c", "d"]), before, after)
    assert _of(found, "secrets")["a"] == {"value": ("a value", "another value")}
    assert list(_of(found, "secrets")) == ["+ c", "+ d", "- b", "a"]
    assert _of(found, "secrets")["+ c"] == {"needed": "yes", "value": "set"}
    assert _of(found, "secrets")["- b"] == {"needed": "yes", "value": "set"}
    assert "canary" not in found.model_dump_json() + markdown.document(found)


def test_other_configuration_is_told_of_by_name(compare: Compare) -> None:
    """Proves that a key of the stack file which is another program's is told of when it is new, gone or set anew."""
    before = "config:\n  kubernetes:context: canary-1\n  aws:region: canary-2\n"
    found = compare({}, {}, before, "config:\n  kubernetes:context: canary-3\n  gcp:zone: canary-4\n")
    assert _of(found, "secrets") == {
        "+ gcp:zone": {"value": "set"},
        "- aws:region": {"value": "set"},
        "kubernetes:context": {"value": ("a value", "another value")},
    }
    assert "canary" not in found.model_dump_json() + markdown.document(found)


def test_a_stack_file_that_is_no_yaml_is_one_line(compare: Compare) -> None:
    """Proves that the line has the file's name, and nothing of what stands in the file."""
    with pytest.raises(SettingsError) as raised:
        compare({}, {"a": "b"}, "config: {}\n", "config: {canary\n")
    assert str(raised.value).startswith("Pulumi.shop.yaml: ")
    assert str(raised.value).endswith(" (accepted: YAML)")
    assert "canary" not in str(raised.value)


def test_a_new_stack_is_wholly_new(compare: Compare) -> None:
    """Proves that of a stack that the base has not everything is added, nothing is breaking, and the report says so."""
    found = compare({}, {**_rules(_rule()), **_inventory(outputs={"url": "x"})}, "", "config: {}\n")
    assert found.new_stack
    assert found.breaking == ()
    assert list(_of(found, "alerts")) == ["+ Slow (warning)"]
    assert "The base has no such stack: everything is new." in markdown.document(found)


def test_files_that_are_new_are_all_that_is_new(compare: Compare) -> None:
    """Proves that one more file makes nothing else new: outputs, programs and sizes of files that did not change stay
    unsaid."""
    same = {**_rules(_rule()), **_inventory(outputs={"url": "x"}, secrets=["a"], **_workload(arguments=["--a"]))}
    found = compare(same, {**same, **_rules(_rule("Other"), path="prometheus/rules/other.yml")})
    assert [(each.subject, len(each.added), len(each.changed)) for each in found.subjects] == [("alerts", 1, 0)]


def test_nothing_changes(compare: Compare) -> None:
    """Proves that two equal revisions are one line, in Markdown too."""
    found = compare(_rules(_rule()), _rules(_rule()))
    assert found.empty
    assert markdown.document(found) == (
        "<!-- change-report: shop -->\n## Change report of shop\n\n`main` → the working tree: nothing changes.\n\n"
    )


def test_markdown_believes_no_value(compare: Compare) -> None:
    """Proves that pipes, back quotes, markup and names that would notify somebody stay text, in a table that keeps its
    three columns, and that the difference cannot end its own block."""
    text = "a | b `code` <script> @team **bold**\n```\n</details>"
    found = compare(_rules(_rule("@team|x", "x > 1")), {**_rules(), "inbox/page.txt": text})
    said = markdown.document(found)
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {4}
    outside = re.sub(r"(`+).*?\1", "", said.partition("<details>")[0])
    assert "@team" not in outside
    assert "<script>" not in outside
    assert "\n````diff\n" in said
    assert said.endswith("\n````\n\n</details>\n")


def test_a_long_report_is_cut_to_what_fits(compare: Compare) -> None:
    """Proves that hundreds of different changes are counted, shown as far as there is room, and whole for machines."""
    many = [
        _rule(f"Alert{number}", f"metric_{number}{'x' * 400} > 1", **{"for": f"{number}m"}) for number in range(1, 400)
    ]
    found = compare(_rules(), _rules(*many))
    said = markdown.document(found)
    assert len(said) <= markdown.LIMIT
    assert "\n… and 359 more, which the report for machines has.\n" in said
    assert len(_of(found, "alerts")) == 399


def test_what_changed_alike_is_one_row(compare: Compare) -> None:
    """Proves that what changed in many things in the same way is said once, with how many there are, and that what is
    one thing's own stays with it."""
    apps = [f"app{number}" for number in range(12)]
    before = [_rule(expr=f'x{{app="{app}"}} > 1') for app in apps]
    after = [{**rule, "for": "10m"} for rule in before]
    after[0] = {**after[0], "expr": 'x{app="app0"} > 9'}
    (subject,) = compare(_rules(*before), _rules(*after)).subjects
    rows = wording.rows(subject)
    assert [(len(row.names), [(each.field, each.after) for each in row.details]) for row in rows] == [
        (1, [("threshold", "9")]),
        (12, [("for", "10m")]),
    ]
    assert rows[1].name.endswith(" and 4 more")


def test_a_renamed_panel_is_the_same_panel(compare: Compare) -> None:
    """Proves that a panel with another title and the same query is told of as changed, that one of a new dashboard is
    not told of by itself, and that a query inside of a row is found."""

    def board(title: str, expr: str) -> Files:
        panel = {"id": 1, "title": title, "type": "stat", "targets": [{"refId": "A", "expr": "up"}]}
        inner = {"id": 2, "title": "Inner", "type": "stat", "targets": [{"refId": "A", "expr": expr}]}
        return {"title": "Shop", "panels": [panel, {"type": "row", "title": "More", "panels": [inner]}]}

    found = compare(
        {"dashboards/shop/shop.json": board("Old", "a")},
        {"dashboards/shop/shop.json": board("New", "b"), "dashboards/shop/more.json": board("x", "y")},
    )
    assert _of(found, "panels") == {"shop / New": {"title": ("Old", "New")}, "shop / Inner": {"query A": ("a", "b")}}
    assert list(_of(found, "dashboards")) == ["+ more"]
