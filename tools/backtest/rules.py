"""The rules of a revision, as its rendered files have them, and which alerts differ between two revisions."""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import yaml

from specs.model import seconds


class Language(StrEnum):
    """What an expression is written in, and so who evaluates it."""

    PROMQL = "promql"
    LOGQL = "logql"


class RenderedError(Exception):
    """A rendered file that is not what its program reads; `str()` names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRule:
    """A rule that makes alerts."""

    name: str
    expr: str
    hold: float
    """`for`, in seconds."""
    keep: float
    """`keep_firing_for`, in seconds."""
    labels: Mapping[str, str]
    interval: float
    """How often it is evaluated, in seconds."""
    file: str
    group: str
    language: Language = Language.PROMQL


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One definition of a recorded series; several may have the same name."""

    name: str
    expr: str
    labels: Mapping[str, str]
    interval: float
    """How often it is evaluated, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Everything that a revision evaluates."""

    alerts: tuple[AlertRule, ...] = ()
    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict[str, tuple[Record, ...]])
    """Definitions by the name of the series."""
    external: Mapping[Language, Mapping[str, str]] = field(default_factory=dict[Language, Mapping[str, str]])
    """Labels that each server adds to its alerts."""
    relabel: tuple[Mapping[str, Any], ...] = ()
    """What Prometheus does with its alerts' labels: `alert_relabel_configs`."""


def _document(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as problem:
        raise RenderedError(f"{path}: cannot be read: {str(problem).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise RenderedError(f"{path}: no mapping")
    return cast("dict[str, Any]", found)


def read(directory: Path) -> Rules:
    """The rules that stand in a rendered tree: `prometheus/rules/*.yml` and `loki/rules/*/*.yml`.

    Raises RenderedError for a file that Prometheus or Loki would not read.
    """
    alerts: list[AlertRule] = []
    records: dict[str, tuple[Record, ...]] = {}
    external: dict[Language, Mapping[str, str]] = {}
    relabel: tuple[Mapping[str, Any], ...] = ()
    for language, main, pattern, usual in (
        (Language.PROMQL, "prometheus/prometheus.yml", "prometheus/rules/*.yml", "1m"),
        (Language.LOGQL, "loki/loki.yml", "loki/rules/*/*.yml", "1m"),
    ):
        if not (directory / main).is_file():
            continue
        document = _document(directory / main)
        settings: dict[str, Any] = document.get("global" if language is Language.PROMQL else "ruler") or {}
        external[language] = settings.get("external_labels") or {}
        if language is Language.PROMQL:
            alerting: dict[str, Any] = document.get("alerting") or {}
            relabel = tuple(alerting.get("alert_relabel_configs") or ())
        pace = seconds(settings.get("evaluation_interval", usual))
        for path in sorted(directory.glob(pattern)):
            try:
                for group in _document(path)["groups"]:
                    interval = seconds(group.get("interval", "")) or pace
                    for rule in group["rules"]:
                        if "record" in rule:
                            record = _record(rule, interval)
                            records[record.name] = (*records.get(record.name, ()), record)
                        else:
                            alerts.append(_alert(rule, group["name"], path, interval, language))
            except (KeyError, TypeError, AttributeError) as problem:
                raise RenderedError(f"{path}: no file of rules ({type(problem).__name__}: {problem})") from None
    return Rules(alerts=tuple(alerts), records=records, external=external, relabel=relabel)


def _record(rule: Mapping[str, Any], interval: float) -> Record:
    return Record(name=rule["record"], expr=rule["expr"].strip(), labels=rule.get("labels") or {}, interval=interval)


def _alert(rule: Mapping[str, Any], group: str, path: Path, interval: float, language: Language) -> AlertRule:
    return AlertRule(
        name=rule["alert"],
        expr=rule["expr"].strip(),
        hold=seconds(rule.get("for", "0s")),
        keep=seconds(rule.get("keep_firing_for", "0s")),
        labels=rule.get("labels") or {},
        interval=interval,
        file=path.name,
        group=group,
        language=language,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An alert of two revisions."""

    before: AlertRule | None
    after: AlertRule | None

    @property
    def rule(self) -> AlertRule:
        """The newer of both."""
        found = self.after or self.before
        assert found is not None, "a pair has one rule at least"  # noqa: S101 - it is made with one
        return found


_SAME: tuple[Callable[[AlertRule], Hashable], ...] = (
    lambda rule: (rule.language, rule.name, rule.file, rule.group, tuple(sorted(rule.labels.items()))),
    lambda rule: (rule.language, rule.name, tuple(sorted(rule.labels.items()))),
    lambda rule: (rule.language, rule.name, *map(rule.labels.get, ("app", "service", "level"))),
    lambda rule: (rule.language, rule.name, rule.labels.get("app"), rule.labels.get("severity")),
    lambda rule: (rule.language, rule.name, rule.labels.get("app")),
)
"""What two revisions of an alert have in common, the strictest first."""


def pairs(before: Sequence[AlertRule], after: Sequence[AlertRule]) -> list[Pair]:
    """Alerts of two revisions beside each other, in the order of the newer; those that are gone stand last."""
    left, right = list(before), list(range(len(after)))
    found: dict[int, AlertRule] = {}
    for same in _SAME:
        for index in list(right):
            twin = next((rule for rule in left if same(rule) == same(after[index])), None)
            if twin is not None:
                found[index] = twin
                left.remove(twin)
                right.remove(index)
    return [
        *(Pair(before=found.get(index), after=rule) for index, rule in enumerate(after)),
        *(Pair(before=rule, after=None) for rule in left),
    ]


def plain(expr: str) -> str:
    """An expression without what people indent it by: two of the same meaning are equal more often."""
    return re.sub(r"\s+", " ", expr).strip()


_NUMBER = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.:])")


def changes(pair: Pair) -> Iterator[str]:
    """What differs in a rule that both revisions have, in a few words each."""
    before, after = pair.before, pair.after
    if before is None or after is None:
        return
    if plain(before.expr) != plain(after.expr):
        old, new = _NUMBER.findall(before.expr), _NUMBER.findall(after.expr)
        differ = [(one, other) for one, other in zip(old, new, strict=False) if one != other]
        alike = _NUMBER.sub("0", plain(before.expr)) == _NUMBER.sub("0", plain(after.expr))
        yield f"limit {differ[0][0]} → {differ[0][1]}" if alike and len(differ) == 1 else "expression"
    for words, one, other in (
        ("for", before.hold, after.hold),
        ("keep_firing_for", before.keep, after.keep),
        ("interval", before.interval, after.interval),
    ):
        if one != other:
            yield f"{words} {span(one)} → {span(other)}"
    for label in sorted({*before.labels, *after.labels}):
        if before.labels.get(label) != after.labels.get(label):
            yield f"{label} {before.labels.get(label) or 'none'} → {after.labels.get(label) or 'none'}"


def span(length: float) -> str:
    """A length of time as people say it, to the two largest units: `1d 2h`, `40m 30s`."""
    left, words = round(length), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            words.append(f"{left // size}{unit}")
            left %= size
    return " ".join(words[:2]) or "0s"
