"""The same settings give the same stack on every runtime; what differs by design stands in docs/runtimes.md alone."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from typing import Any

import yaml

from specs import exporters
from specs.model import SettingsError
from specs.profile import known
from specs.stack import Stack
from tests.specs.support import EVERY_EXPORTER, ROOT, stack

RUNTIMES = ("process", "docker", "kubernetes")
BODY: Mapping[str, Any] = {
    "exporters": EVERY_EXPORTER,
    "systems": {name: {} for name in known()},
    "links": {"runbooks": "https://runbooks.example.com"},
    "alerting": {
        "default": "team",
        "stand_in": "team",
        "receivers": {"team": {"webhook": {"url": "https://team.example.com/hook"}}},
    },
}
"""Settings of one stack; nothing but the runtime is added."""
SMALL: Mapping[str, Any] = {"alerting": BODY["alerting"]}
OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "apm": {"apm": True, "elk": True},
    "elk": {"elk": True},
    "glitchtip": {"errors": "glitchtip"},
}
"""Parts that a stack has on request."""

Facts = dict[tuple[str, str], str]
"""What a stack is made of: kind and name → content."""
Letters = dict[tuple[str, str], tuple[str, ...]]
"""Kind and name → a letter for each runtime: the same letter, the same content; `none`: it has none."""
NOTHING = "none"


def _common(made: Stack) -> Callable[[str], str]:
    """Rewrites addresses that are a runtime's own into what they mean."""
    own = {port.number: f"{workload.name}:{port.number}" for workload in made.workloads for port in workload.ports}

    def rewrite(text: str) -> str:
        text = text.replace(f".{made.context.settings.kubernetes.namespace}.svc:", ":")
        text = re.sub(r"(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", lambda at: own.get(int(at[1]), at[0]), text)
        return re.sub(r"127\.0\.0\.1|0\.0\.0\.0", "<address>", text)

    return rewrite


def _facts(made: Stack) -> Iterator[tuple[str, str, str]]:
    """Kind, name and content of everything that should be the same wherever the stack runs."""
    rewrite = _common(made)
    files = {
        f"{workload.name}/{path}": rewrite(text) for workload in made.workloads for path, text in workload.files.items()
    }
    parsed = {
        path: yaml.load(text, Loader=yaml.CSafeLoader)
        for path, text in files.items()
        if path.endswith((".yml", ".yaml"))
    }
    for workload in made.workloads:
        yield "workload", workload.name, ""
    for job in parsed.pop("prometheus/prometheus.yml").pop("scrape_configs"):
        yield "job", job["job_name"], json.dumps(_by_address(job))
    for path in [path for path in parsed if "/rules/" in path]:
        for group in parsed.pop(path)["groups"]:
            yield "rules", f"{path}: {group['name']}", json.dumps(group)
    for source in parsed.pop("grafana/provisioning/datasources/stack.yml")["datasources"]:
        yield "datasource", source["uid"], json.dumps(source)
    for path, board in made.dashboards.items():
        yield "dashboard", path, json.dumps(board)
    delivered = "grafana/provisioning/dashboards/stack.yml" in files
    yield "delivery", "dashboards", "files" if delivered else "provider"
    asked = {"prometheus/prometheus.yml": _without_jobs(files["prometheus/prometheus.yml"])}
    listed = ("/rules/", "grafana/provisioning/", "grafana/dashboards/")
    for path, text in {**files, **asked}.items():
        if not any(part in path for part in listed):
            yield "file", path, text


def _by_address(job: dict[str, Any]) -> dict[str, Any]:
    """A job of pods of the stack itself as the job of one address that it is elsewhere; any other as it stands."""
    steps = job.get("relabel_configs", [])
    found = [step["regex"] for step in steps if step.get("action") == "keep" and re.search(r";\d+$", step["regex"])]
    if "kubernetes_sd_configs" not in job or len(found) != 1:
        return job
    labels = {step["target_label"]: step["replacement"] for step in steps if "source_labels" not in step}
    rest = {key: value for key, value in job.items() if key not in {"kubernetes_sd_configs", "relabel_configs"}}
    return {**rest, "static_configs": [{"targets": [found[0].replace(";", ":")], "labels": labels}]}


def _without_jobs(text: str) -> str:
    settings = yaml.load(text, Loader=yaml.CSafeLoader)
    del settings["scrape_configs"]
    return json.dumps(settings)


@cache
def _chosen() -> tuple[tuple[str, str, str], ...]:
    """Runtime, kind and name: what a runtime can be asked for."""
    known = exporters.discover().items()
    return (
        *((kind.value, "exporter", name) for name, exporter in known for kind in exporter.runtimes),
        *(
            (runtime, "optional", name)
            for name, more in OPTIONAL.items()
            for runtime in RUNTIMES
            if not _refused(runtime, more)
        ),
    )


def _refused(runtime: str, more: Mapping[str, Any]) -> bool:
    try:
        stack(**SMALL, runtime=runtime, **more)
    except SettingsError as refused:
        if f"does not run on {runtime}" in str(refused):
            return True
        raise
    return False


def _letters(stacks: Mapping[str, Stack]) -> Letters:
    """What differs between stacks."""
    found: dict[str, Facts] = {
        runtime: {(kind, name): content for kind, name, content in _facts(made)} for runtime, made in stacks.items()
    }
    for runtime, kind, name in _chosen():
        found[runtime][kind, name] = ""
    letters: Letters = {}
    for fact in sorted({fact for facts in found.values() for fact in facts}):
        contents = [found[runtime].get(fact) for runtime in stacks]
        distinct = list(dict.fromkeys(content for content in contents if content is not None))
        row = tuple(NOTHING if content is None else "abc"[distinct.index(content)] for content in contents)
        if set(row) != {"a"}:
            letters[fact] = row
    return letters


def _listed(facts: Iterable[tuple[str, str]] = ()) -> Letters:
    """The differences of docs/runtimes.md; a name with a star stands for all of `facts` that it matches."""
    text = (ROOT / "docs/runtimes.md").read_text(encoding="utf-8")
    table = text.partition("\n## What differs, by name\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    heading, _, *rows = rows
    assert heading == ["kind", "name", *RUNTIMES, "why"]
    for row in rows:
        assert row[-1], f"{row}: says not why"
    found: Letters = {}
    for row in rows:
        kind, name = row[0], row[1].strip("`")
        meant = [fact for fact in facts if fact[0] == kind and fnmatch(fact[1], name)]
        # One that matches nothing is a row that is not true.
        found |= dict.fromkeys(meant or [(kind, name)], tuple(row[2:5]))
    return found


@cache
def _stacks() -> Mapping[str, Stack]:
    return {runtime: stack(**BODY, runtime=runtime) for runtime in RUNTIMES}


def test_what_differs_is_listed() -> None:
    """Proves that jobs, rules, datasources, dashboards, workloads and files are the same on all runtimes but for the
    rows of the table in docs/runtimes.md, and that every row of it is true."""
    found = _letters(_stacks())
    listed = _listed(found)

    assert {fact: row for fact, row in found.items() if listed.get(fact) != row} == {}
    assert {fact: row for fact, row in listed.items() if found.get(fact) != row} == {}


def test_what_is_the_same_is_a_whole_stack() -> None:
    """Proves that the comparison sees everything: each job, rule, datasource and dashboard of the stacks is in it."""
    for made in _stacks().values():
        facts = [(kind, name) for kind, name, _ in _facts(made)]
        named = {kind: {name for each, name in facts if each == kind} for kind, _ in facts}

        assert len(facts) == len(set(facts))
        assert {job.name for job in made.jobs} <= named["job"]
        assert {group.name for group in (*made.groups, *made.log_groups)} == {
            name.rpartition(": ")[2] for name in named["rules"]
        }
        assert named["dashboard"] == set(made.dashboards)
        assert {"prometheus", "loki", "jaeger", "alertmanager"} <= named["datasource"]


def test_a_difference_is_seen() -> None:
    """Proves that a job, a rule, a dashboard or a file that only one runtime has otherwise does not pass."""
    stacks = _stacks()
    usual = _letters(stacks)
    overrides = {"PrometheusConfigReloadFailed": {"for": "9m"}}
    overridden = {**BODY, "alerting": {**BODY["alerting"], "overrides": overrides}}
    retained = {**BODY, "retention": {"traces": "3d"}}
    unprobed: Mapping[str, Any] = {"exporters": {**EVERY_EXPORTER, "blackbox": {"probes": dict[str, Any]()}}}
    fewer_probes = {**BODY, **unprobed}

    def new(**changed: Stack) -> set[tuple[str, str]]:
        return {fact for fact, row in _letters({**stacks, **changed}).items() if usual.get(fact) != row}

    assert ("rules", "prometheus/rules/prometheus.yml: prometheus") in new(docker=stack(**overridden, runtime="docker"))
    assert new(docker=stack(**retained, runtime="docker")) == {("file", "jaeger/jaeger.yml")}
    assert new(kubernetes=stack(**fewer_probes, runtime="kubernetes")) == {("job", "probe")}
    fewer = {path: board for path, board in stacks["docker"].dashboards.items() if path != "observability/slo.json"}
    assert new(docker=replace(stacks["docker"], dashboards=fewer)) == {("dashboard", "observability/slo.json")}
