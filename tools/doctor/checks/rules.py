"""Every declared rule is loaded as it is declared, and works; at Prometheus, at Thanos' ruler and at Loki's."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from specs import loki, programs
from specs.model import seconds
from specs.thanos.names import RULER
from specs.workload import Workload
from tools.doctor.findings import Finding, fail, listed, ok, warn
from tools.doctor.live import Instance, Live, SilentError

Rule = Mapping[str, Any]
"""A rule in the words of a rule file, with its group as `group`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruler:
    """Something that evaluates rules."""

    instance: Instance
    declared: tuple[Rule, ...]
    path: str
    """Where it lists what it has loaded."""
    formats: str
    """Where it brings a query into one form; empty: nowhere."""


def _of_files(workload: Workload) -> tuple[Rule, ...]:
    return tuple(
        {**rule, "group": group["name"]}
        for path, text in workload.files.items()
        if path.startswith("rules/")
        for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
    )


def rulers(live: Live) -> Iterator[Ruler]:
    """Whatever evaluates rules of the stack. Of several Lokis any knows the rules of all."""
    for instance in live.every(programs.PROMETHEUS.name):
        yield Ruler(
            instance=instance,
            declared=_of_files(instance.workload),
            path="/api/v1/rules",
            formats="/api/v1/format_query",
        )
    for instance in live.instances.get(RULER, ()):
        yield Ruler(instance=instance, declared=_of_files(instance.workload), path="/api/v1/rules", formats="")
    for instance in live.instances.get(loki.query_address(live.stack.context)[0], ()):
        yield Ruler(
            instance=instance,
            declared=_of_files(instance.workload),
            path="/prometheus/api/v1/rules",
            formats="/loki/api/v1/format_query",
        )


def name(rule: Rule) -> str:
    """Name of a declared rule, whichever kind it is."""
    return str(rule.get("alert") or rule["record"])


def paired(declared: Iterable[Rule], loaded: Iterable[Rule]) -> tuple[list[tuple[Rule, Rule | None]], list[Rule]]:
    """Each declared rule with the loaded one of its group, name and labels, and the loaded ones that are left.

    A ruler may have added labels of its own.
    """
    left: dict[tuple[str, str], list[Rule]] = {}
    for rule in loaded:
        left.setdefault((rule["group"], rule["name"]), []).append(rule)
    pairs: list[tuple[Rule, Rule | None]] = []
    for rule in declared:
        labels: Mapping[str, str] = rule.get("labels") or {}
        same = left.get((rule["group"], name(rule)), [])
        found = next((each for each in same if labels.items() <= (each.get("labels") or {}).items()), None)
        if found is not None:
            same.remove(found)
        pairs.append((rule, found))
    return pairs, [rule for rules in left.values() for rule in rules]


async def loaded(live: Live, ruler: Ruler) -> list[Rule]:
    """What a ruler has loaded, in the words of its API, with the group. Raises SilentError."""
    answer = await live.json(ruler.instance, ruler.path)
    return [{**rule, "group": group["name"]} for group in answer["data"]["groups"] for rule in group["rules"]]


async def check(live: Live) -> list[Finding]:
    """Every rule of every ruler."""
    every = list(rulers(live))
    by_name = {ruler.instance.name: ruler for ruler in every}

    async def look(live: Live, instance: Instance) -> Sequence[Finding]:
        return await _of_one(live, by_name[instance.name])

    found = await live.of_each([ruler.instance for ruler in every], look)
    counts = ", ".join(f"{len(ruler.declared)} at {ruler.instance.name}" for ruler in every if ruler.declared)
    return found or [ok(f"rules are loaded and healthy: {counts}")]


async def _of_one(live: Live, ruler: Ruler) -> list[Finding]:
    who = ruler.instance.name
    pairs, _ = paired(ruler.declared, await loaded(live, ruler))
    missing = [name(rule) for rule, found in pairs if found is None]
    altered = await asyncio.gather(*(_altered(live, ruler, rule, found) for rule, found in pairs if found is not None))
    other = [words for words in altered if words]
    health = [(name(rule), found) for rule, found in pairs if found is not None]
    broken = [(each, found) for each, found in health if found["health"] not in {"ok", "unknown"}]
    waiting = [each for each, found in health if found["health"] == "unknown"]
    up = live.put_back(ruler.instance.workload)
    said = [
        *([fail(f"{who}: not loaded: {listed(missing)}", up)] if missing else []),
        *([fail(f"{who}: other than declared: {listed(other)}", up)] if other else []),
        *(
            fail(f"{who}: {each} fails: {found.get('lastError')}", "correct its expression, or what it asks for")
            for each, found in broken
        ),
    ]
    if waiting:
        said.append(warn(f"{who}: not evaluated yet: {listed(waiting)}", "look again in a minute"))
    return said


async def _altered(live: Live, ruler: Ruler, declared: Rule, found: Rule) -> str:
    """Name of the rule and what of it is not as declared; empty: nothing."""
    if abs(seconds(str(declared.get("for", "0s"))) - float(found.get("duration") or 0)) > 0.001:
        return f"{name(declared)} (for)"
    if dict(declared.get("annotations") or {}) != dict(found.get("annotations") or {}):
        return f"{name(declared)} (annotations)"
    if not await _same_query(live, ruler, str(declared["expr"]), str(found["query"])):
        return f"{name(declared)} (expr)"
    return ""


async def _same_query(live: Live, ruler: Ruler, ours: str, theirs: str) -> bool:
    """Whether two queries are one: programs write them in a form of their own."""
    if not ruler.formats or "".join(ours.split()) == "".join(theirs.split()):
        return True
    try:
        one, other = await asyncio.gather(
            *(live.json(ruler.instance, ruler.formats, {"query": query}) for query in (ours, theirs))
        )
    except SilentError:
        # A form that it writes and does not read: then its file says whether it is the declared one.
        return True
    return bool(_bare(one["data"]) == _bare(other["data"]))


def _bare(query: str) -> str:
    """Without spaces, and without what stands around the whole."""
    text = "".join(query.split())
    while text.startswith("(") and text.endswith(")") and _around(text):
        text = text[1:-1]
    return text


def _around(text: str) -> bool:
    """Whether the first bracket and the last belong together."""
    depth = 0
    for index, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0:
            return index == len(text) - 1
    return False
