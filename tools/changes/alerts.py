"""Alerts, recorded series and objectives, by rendered rule files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from specs import objectives
from tools.changes.files import Rendered
from tools.changes.items import Change, Difference, Item, compare, listed, mapping, text
from tools.changes.told import LABELS, Told, route

ALERTMANAGER = "alertmanager/alertmanager.yml"
_RULES = re.compile(r"[^/]+/rules/.+\.ya?ml")
_LIMIT = re.compile(r"(?<=[<>=])(\s*(?:bool\s+)?)(-?\d[\w.]*)")
"""What a comparison compares with."""
_WINDOW = re.compile(r"\[([^\]]+)\]")
_APP = re.compile(r'\bapp="([^"]+)"')
_SERVICE = re.compile(r'\bservice="([^"]+)"')
_OBJECTIVE = {objectives.EVENTS: "events", objectives.BAD: "bad events", objectives.BUDGET: "budget"}
_TOLD = "told"
_WORDING = ("summary", "description")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule of a file, and where it stands."""

    said: Mapping[str, Any]
    """As the file has it."""
    group: str
    interval: str
    """How often it is evaluated; empty: as all are."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Those that it gives."""
        return {key: text(value) for key, value in mapping(self.said, "labels").items()}

    @property
    def expr(self) -> str:
        """What it evaluates, in one line."""
        return " ".join(str(self.said.get("expr", "")).split())

    def of(self, label: str) -> tuple[str, ...]:
        """Its own `label`, or those that its expression asks for; none: whatever there is."""
        if label in self.labels:
            return (self.labels[label],)
        return tuple(dict.fromkeys((_APP if label == "app" else _SERVICE).findall(self.expr)))


def rules(rendered: Rendered) -> Iterator[Rule]:
    """Every rule of Prometheus and of Loki."""
    for path in rendered.paths:
        if _RULES.fullmatch(path):
            for group in listed(rendered.value(path), "groups"):
                for rule in listed(group, "rules"):
                    yield Rule(said=rule, group=group["name"], interval=group.get("interval", ""))


def alerts(before: Rendered, after: Rendered) -> Difference:
    """How alerts differ, and who is told of them."""
    both = [Told(route(mapping(side.value(ALERTMANAGER), "route"))) for side in (before, after)]
    # What only one revision asks for is a case in the other too.
    asked = {label: tuple(dict.fromkeys((*both[0].asked[label], *both[1].asked[label]))) for label in LABELS}
    old, new = (
        [_alert(rule, told, asked) for rule in rules(side) if "alert" in rule.said]
        for side, told in zip((before, after), both, strict=True)
    )
    found = compare(old, new, _retuned)
    return replace(found, added=tuple(map(_usual, found.added)), removed=tuple(map(_usual, found.removed)))


def _alert(rule: Rule, told: Told, asked: Mapping[str, Sequence[str]]) -> Item:
    name, labels, said = str(rule.said["alert"]), rule.labels, rule.said
    severity = labels.get("severity", "none")
    own = {label: rule.of(label) for label in LABELS}
    cases = told.cases({**labels, "alertname": name}, {label: own[label] or ("", *asked[label]) for label in LABELS})
    fields = {
        "expression": rule.expr,
        "for": text(said.get("for", "0s")),
        "keep firing for": text(said.get("keep_firing_for", "")),
        "severity": severity,
        **{f"{_TOLD} of {case}" if case else _TOLD: receivers for case, receivers in cases},
        "evaluated every": rule.interval,
        **{f"label {key}": value for key, value in labels.items() if key != "severity"},
        **{key: " ".join(text(value).split()) for key, value in mapping(said, "annotations").items()},
    }
    of = " ".join(filter(None, (", ".join(values) for values in own.values())))
    shape, place = _shape(rule.expr), tuple(own.values())
    return Item(
        name=f"{name}{f' of {of}' if of else ''} ({severity})",
        fields={key: value for key, value in fields.items() if value},
        identities=(
            (name, rule.group, tuple(labels.items()), shape),
            (name, rule.group, place, labels.get("level", severity)),
            (name, place, shape),
            (name, place, severity),
            (name, place),
        ),
    )


def _usual(item: Item) -> Item:
    """Without the cases in which nobody else is told than usual."""
    usual = item.fields.get(_TOLD)
    cases = {key for key, value in item.fields.items() if key.startswith(f"{_TOLD} of ") and value == usual}
    return replace(item, fields={key: value for key, value in item.fields.items() if key not in cases})


def _shape(expr: str) -> str:
    """`expr` without its limits and windows."""
    return _WINDOW.sub("[…]", _LIMIT.sub(r"\1…", expr))


def _retuned(fields: Mapping[str, Change]) -> Mapping[str, Change]:
    """Says a changed limit or window as such, where nothing else of an expression changed, and links by where they
    lead; wording only where nothing else changed, since texts repeat the limit."""
    before, after = fields.get("expression", (None, None))
    found: dict[str, Change] = {}
    for name, change in fields.items():
        found |= _moved(*change) if name.endswith("_url") else {name: change}
    if before and after and _shape(before) == _shape(after):
        del found["expression"]
        limits = (_numbers(_LIMIT, before, after, group=2), _numbers(_WINDOW, before, after, group=1))
        named = {name: change for name, change in zip(("threshold", "window"), limits, strict=True) if change}
        found = {**named, **found}
    if any(name not in _WORDING for name in found):
        found = {name: change for name, change in found.items() if name not in _WORDING}
    return found


def _moved(before: str | None, after: str | None) -> dict[str, Change]:
    """A changed link: by its server alone where only that changed, since it is the same of all alerts."""
    old, new = urlsplit(before or ""), urlsplit(after or "")
    if before and after and old.path == new.path:
        return {f"links to {new.path.rpartition('/')[0] or '/'}": (old.netloc, new.netloc)}
    return {"link": (before, after)}


def _numbers(pattern: re.Pattern[str], before: str, after: str, *, group: int) -> Change | None:
    each = [[found[group] for found in pattern.finditer(side)] for side in (before, after)]
    differing = [(old, new) for old, new in zip(*each, strict=True) if old != new]
    if not differing:
        return None
    return ", ".join(old for old, _ in differing), ", ".join(new for _, new in differing)


def series(rendered: Rendered) -> list[Item]:
    """Every recorded series but those of objectives."""
    return [
        Item(
            name=" ".join(filter(None, (rule.said["record"], *rule.of("app")))),
            fields={
                "expression": rule.expr,
                "evaluated every": rule.interval,
                **{f"label {key}": value for key, value in rule.labels.items()},
            },
            identities=(
                (rule.said["record"], tuple(rule.labels.items()), rule.of("app"), _shape(rule.expr)),
                (rule.said["record"], tuple(rule.labels.items()), rule.of("app")),
            ),
        )
        for rule in rules(rendered)
        if rule.said.get("record", objectives.BUDGET) not in _OBJECTIVE
    ]


def slos(rendered: Rendered) -> list[Item]:
    """Every objective: what it promises, its budget, and which events are good."""
    found: dict[str, dict[str, str]] = {}
    for rule in rules(rendered):
        record, labels = rule.said.get("record"), rule.labels
        if record not in _OBJECTIVE or "slo" not in labels:
            continue
        fields = found.setdefault(" ".join((*rule.of("app"), labels["slo"])), {})
        if record == objectives.BUDGET:
            # The expression adds the budget to nothing for each series that there is.
            fields |= {"objective": labels.get("objective", ""), "budget": rule.expr.rpartition("+ ")[2]}
            fields |= {"pages": labels.get("page", ""), "service": labels.get("service", "")}
        else:
            fields[_OBJECTIVE[record]] = rule.expr
    order = ("objective", "budget", "pages", "service", "events", "bad events")
    return [
        Item(name=name, fields={key: fields[key] for key in order if fields.get(key)}) for name, fields in found.items()
    ]
