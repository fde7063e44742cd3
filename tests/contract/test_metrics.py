"""The dead-query lint: whatever a rule or a panel asks for is produced by something of the stack."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from processes.place import executable
from specs.monitoring import THRESHOLD, RecordingRule, number
from specs.profile import Kind
from specs.system import System
from tests.contract.listed import JOBS, programs, read
from tests.contract.parts import TARGET_LABELS, running
from tests.contract.promql import Matcher, Selector, selectors
from tests.contract.rendered import boards
from tests.rules.stack import STACK

SYSTEMS: Mapping[str, System] = {system.name: system for system in STACK.systems}
BY_PROMETHEUS = {
    "up": frozenset[str](),
    "scrape_duration_seconds": frozenset[str](),
    "scrape_samples_scraped": frozenset[str](),
    "scrape_samples_post_metric_relabeling": frozenset[str](),
    "scrape_sample_limit": frozenset[str](),
    "scrape_body_size_bytes": frozenset[str](),
    "scrape_series_added": frozenset[str](),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
    "ALERTS_FOR_STATE": frozenset({"alertname", "severity"}),
}
"""What Prometheus makes itself of scrapes and alerts."""
EXPORTERS = {
    "node": ("node_exporter",),
    "postgres": ("postgres_exporter",),
    "redis": ("redis_exporter",),
    "nginx": ("nginx_exporter",),
    "celery": ("flower",),
}
"""Programs by the exporter that a profile names."""
_RULES = tuple(rule for group in STACK.groups for rule in group.records)
RECORDED = {rule.record: rule for rule in _RULES}


def _expressions() -> Iterator[tuple[str, str]]:
    for group in STACK.groups:
        for alert in group.alerts:
            limit = "" if alert.threshold is None else number(alert.threshold)
            yield f"{group.file or group.name}/{alert.name}", alert.expr.replace(THRESHOLD, limit)
        for rule in group.records:
            yield f"{group.file or group.name}/{rule.record}", rule.expr
    for board in boards(STACK.dashboards):
        for panel in board.panels:
            for query in panel.promql:
                yield f"{board.uid}: {panel.title}", query


EXPRESSIONS = tuple(_expressions())


@cache
def _listed(program: str) -> Mapping[str, frozenset[str]]:
    recorded, further = read(program)
    return {**further, **recorded} | {name: recorded.get(name, frozenset[str]()) | further[name] for name in further}


@cache
def _of_profile(app: str) -> Mapping[str, frozenset[str]]:
    """What the programs of a system expose."""
    profile, found = SYSTEMS[app].profile, dict[str, frozenset[str]]()
    for name, metric in profile.metrics.items():
        labels = frozenset(metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    for page in profile.json_pages.values():
        found |= dict.fromkeys(page.metrics, frozenset[str]())
    return found


@cache
def _by_rule(name: str) -> frozenset[str]:
    """Labels of a series that a rule records."""
    rule = RECORDED[name]
    kept = re.findall(r"(?:by|on|group_left) \(([^)]*)\)", rule.expr)
    inner = [
        label for selector in selectors(rule.expr) if selector.metric in RECORDED for label in _by_rule(selector.metric)
    ]
    return frozenset({*rule.labels, *inner, *(label.strip() for labels in kept for label in labels.split(","))})


def _of(rule: RecordingRule) -> set[str | None]:
    """The systems that a rule is about; None: whichever has what it is made of."""
    return {selector.of("app") for selector in selectors(rule.expr)}


def _producers(app: str | None) -> Iterable[Mapping[str, frozenset[str]]]:
    """Metrics with their labels: of one system, or of everything."""
    yield BY_PROMETHEUS
    yield {rule.record: _by_rule(rule.record) for rule in _RULES if app is None or _of(rule) & {app, None}}
    if app is not None and app in SYSTEMS:
        profile = SYSTEMS[app].profile
        yield _of_profile(app)
        yield from (_listed(program) for exporter in profile.exporters for program in EXPORTERS[exporter])
        if profile.probes:
            yield {name: labels for name, labels in _listed("blackbox_exporter").items() if name.startswith("probe_")}
    else:
        yield from map(_of_profile, SYSTEMS)
        yield from map(_listed, programs())


@cache
def _known(app: str | None) -> Mapping[str, set[str]]:
    known: dict[str, set[str]] = {}
    for produced in _producers(app):
        for name, labels in produced.items():
            known.setdefault(name, set()).update(labels)
    return known


def _wrong(selector: Selector) -> str:
    """What nothing produces; empty: it is all there."""
    app = selector.of("app")
    known = _known(app)
    for wanted in _names(selector):
        matching = [name for name in known if re.fullmatch(wanted, name)]
        if not matching:
            return f"no metric {wanted}" + (f" of {app}" if app else "")
        labels = TARGET_LABELS.union(*(known[name] for name in matching))
        unknown = [matcher.label for matcher in selector.matchers if matcher.label not in labels]
        if unknown:
            return f"{wanted} has no label {', '.join(unknown)}"
    return next(filter(None, (_never(app, selector.metric, matcher) for matcher in selector.matchers)), "")


def _names(selector: Selector) -> list[str]:
    """Expressions for the names: each of the alternatives has to be there."""
    if selector.metric:
        return [re.escape(selector.metric)]
    return [
        name
        for matcher in selector.matchers
        if (matcher.label, matcher.operator) == ("__name__", "=~")
        for name in re.split(r"\|(?![^(]*\))", matcher.value)
    ]


def _never(app: str | None, metric: str, matcher: Matcher) -> str:
    """Why no series of a system can have this label; empty: one can."""
    if app is None or app not in SYSTEMS or "$" in matcher.value:
        return ""
    declared = SYSTEMS[app].profile.metrics.get(re.sub("_(bucket|count|sum)$", "", metric))
    declared = declared or SYSTEMS[app].profile.metrics.get(metric)
    if declared is None:
        return ""
    values = declared.labels.get(matcher.label, ())
    if matcher.label == "le":
        values = tuple(f"{bucket:g}" for bucket in declared.buckets)
    if values and not any(map(matcher.matches, values)):
        return f"{metric} never has {matcher.label}{matcher.operator}{matcher.value}"
    return ""


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_produced(where: str, expr: str) -> None:
    """Proves that every metric and label that an expression selects by is produced: by a program of the system that it
    is about, by an exporter that the system has, by the stack, or by a recording rule."""
    assert {wrong for selector in selectors(expr) if (wrong := _wrong(selector))} == set(), where


@pytest.mark.parametrize("app", SYSTEMS)
def test_used(app: str) -> None:
    """Proves that no metric of a profile is declared in vain: some alert, objective or panel asks for it."""
    asked = {
        selector.metric for _, expr in EXPRESSIONS for selector in selectors(expr) if selector.of("app") in {app, None}
    }
    profile = SYSTEMS[app].profile
    declared = [*profile.metrics, *(name for page in profile.json_pages.values() for name in page.metrics)]

    assert [name for name in declared if not asked & {name, f"{name}_bucket", f"{name}_count", f"{name}_sum"}] == []


def test_every_selector_is_found() -> None:
    """Proves that the reader of expressions sees every selector that Prometheus' own parser sees."""
    plain = [re.sub(r"\$\{?\w+(:\w+)?\}?", "5m", expr) for _, expr in EXPRESSIONS]
    for start in range(0, len(plain), 100):
        batch = " or ".join(f"({expr})" for expr in plain[start : start + 100])
        command = ["promql", "label-matchers", "set", batch, "seen_by_promtool", "yes"]
        done = subprocess.run(
            [executable("promtool"), "--experimental", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        theirs = {(selector.metric, len(selector.matchers) - 1) for selector in selectors(done.stdout)}
        ours = {
            (selector.metric, len(selector.matchers))
            for expr in plain[start : start + 100]
            for selector in selectors(expr)
        }
        seen = sum(1 for expr in plain[start : start + 100] for _ in selectors(expr))
        assert done.stdout.count('seen_by_promtool="yes"') == seen
        assert theirs == ours


ASKED = {selector.metric for _, expr in EXPRESSIONS for selector in selectors(expr)}
CHEAP = ("prometheus", "alertmanager", "node_exporter", "blackbox_exporter")


def test_lists_are_true(tmp_path: Path) -> None:
    """Proves that what is listed as recorded, as far as anything asks for it, is what the programs of this machine
    expose, label for label."""
    names = ("prometheus", "alertmanager", "node-exporter", "blackbox-exporter")
    with running(tmp_path, names, {"node": {}, "blackbox": {}}) as parts:
        parts.await_scrapes(60, "prometheus", "alertmanager", "node", "blackbox-exporter", "probe")
        for program in CHEAP:
            found, (recorded, _) = parts.series(*JOBS[program]), read(program)
            wanted = {name: labels for name, labels in recorded.items() if name in ASKED}
            assert wanted
            assert {name: frozenset(found.get(name, ())) for name in wanted} == wanted


def test_lists_are_of_programs_that_run() -> None:
    """Proves that there is a list for every program of a stack, and none of anything else."""
    assert set(programs()) == {
        *JOBS,
        *("cadvisor", "elasticsearch_exporter", "elk_pages", "glitchtip", "grafana", "json_exporter", "load_tests"),
        *("control_plane", "coredns", "kube_state_metrics", "kubelet", "thanos"),
    }


@pytest.mark.parametrize(
    ("expr", "wrong"),
    [
        ('rate(node_cpu_seconds_totl{mode="idle"}[5m])', "no metric node_cpu_seconds_totl"),
        ('rate(node_cpu_seconds_total{mod="idle"}[5m])', "node_cpu_seconds_total has no label mod"),
        ('pg_up{app="wwmaa"}', "no metric pg_up of wwmaa"),
        ('rate(http_requests_total{app="wwmaa", status=~"9.."}[5m])', "http_requests_total never has status=~9.."),
        ('increase({__name__=~"prometheus_tsdb_wal_corruptions_total|made_up_total"}[5m])', "no metric made_up_total"),
        ('sum by (app) (app:http_rat:5m{app="wwmaa"})', "no metric app:http_rat:5m of wwmaa"),
        ('active_users{app="wwmaa"}', "no metric active_users of wwmaa"),
    ],
)
def test_lint_finds(expr: str, wrong: str) -> None:
    """Proves that the lint names a misspelt metric, a label that is not there, an exporter that the system does not
    have, a value that never comes, and a metric of another system."""
    (selector,) = selectors(expr)
    assert _wrong(selector).replace("\\", "") == wrong
