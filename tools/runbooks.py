"""Runbooks: a page for each alert, which several systems may share; what people write under "Notes" stays."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from specs.loki import TENANT
from specs.monitoring import THRESHOLD, Alert, number, override_keys
from specs.signal import SPOKEN
from specs.stack import Stack

NOTES_BEGIN = "<!-- notes: what stands between these two lines is kept -->"
NOTES_END = "<!-- end of notes -->"
ANY = "all"
"""Whom an alert is about that no system owns."""
NO_NOTES = "None so far. Write here what helped.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """An alert of a stack, and what is known of it there."""

    alert: Alert
    file: str
    """Where it is evaluated."""
    language: str
    """`promql` or `logql`."""
    board: str
    """Title of the dashboard that shows it."""
    unit: str
    """What follows its limit."""
    key: str
    """The shortest name by which an override means it, and as few others as can be."""

    @property
    def of(self) -> str:
        """Whom it is about."""
        alert = self.alert
        return f"`{alert.of}`" if alert.of else f"`{alert.service}`" if alert.app else ANY

    @property
    def uid(self) -> str:
        """Where its dashboard is."""
        return self.alert.dashboard or "observability-stack"

    @property
    def limit(self) -> str:
        """Its limit, as people say it."""
        if self.alert.threshold is None:
            return "none"
        compared = re.search(r"([<>]=?) \$threshold", self.alert.expr)
        sign = f"{compared[1]} " if compared else ""
        return f"{sign}{number(self.alert.threshold)}{self.unit}"

    @property
    def severity(self) -> str:
        """Its severity, and its level where it has one of its own."""
        level = f" (`{self.alert.level}`)" if self.alert.level else ""
        return f"{self.alert.severity.value}{level}"

    @property
    def shape(self) -> tuple[str, str]:
        """What its expression shares with others that say the same of somebody else."""
        text = self.alert.expr.strip()
        for own in {self.alert.of, self.alert.service} - {""}:
            text = text.replace(f'"{own}"', '"…"')
        return self.language, text

    def plain(self, text: str) -> str:
        """A text of the alert with its limit in place."""
        limit = self.alert.threshold
        return text.replace(THRESHOLD, "" if limit is None else number(limit))

    @property
    def summary(self) -> str:
        """Its summary, with a gap where Prometheus puts a label, and without its system."""
        plain = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", self.plain(self.alert.summary))
        for own in sorted({self.alert.of, self.alert.service if self.alert.app else ""} - {""}):
            plain = re.sub(rf"(?<![\w-]){re.escape(own)}(?![\w-])", "*app*" if self.alert.of else "*service*", plain)
        return plain


def rules(stack: Stack) -> Mapping[str, Sequence[Rule]]:
    """The rules of every alert of `stack`, by the alert's name."""
    boards = {str(board["uid"]): str(board["title"]) for board in stack.dashboards.values()}
    units = {
        (system.name, name): SPOKEN[signal.unit][1]
        for system in stack.systems
        for name, signal in system.signals.items()
    }
    evaluated = (("promql", "prometheus/rules", stack.groups), ("logql", f"loki/rules/{TENANT}", stack.log_groups))
    known = [
        (language, f"{folder}/{group.file or group.name}.yml", alert)
        for language, folder, groups in evaluated
        for group in groups
        for alert in group.alerts
    ]
    called = Counter(key for _, _, alert in known for key in override_keys(alert))
    found: dict[str, list[Rule]] = {}
    for language, file, alert in known:
        rule = Rule(
            alert=alert,
            file=file,
            language=language,
            board=boards.get(alert.dashboard or "observability-stack", ""),
            unit=units.get((alert.of, alert.signal), ""),
            key=min(override_keys(alert), key=called.__getitem__),
        )
        found.setdefault(alert.name, []).append(rule)
    return dict(sorted(found.items()))


def notes(page: Path) -> str:
    """What people wrote on the page."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if NOTES_BEGIN not in text or NOTES_END not in text:
        return NO_NOTES
    return text.partition(NOTES_BEGIN)[2].partition(NOTES_END)[0].lstrip("\n")


def page(name: str, same: Sequence[Rule], written: str) -> str:
    """The page of the alert `name`, with what people wrote."""
    said = dict.fromkeys(f"{rule.summary}." for rule in same)
    lines = [f"# {name}", "", " ".join(said), "", *_table(same), "", *_meaning(same)]
    lines += ["## What to do first", "", *_actions(same), "", "## Notes", "", NOTES_BEGIN, ""]
    return "\n".join(lines) + written + NOTES_END + "\n"


def _gathered(same: Iterable[Rule], by: Iterable[object]) -> Iterator[tuple[str, Sequence[Rule]]]:
    """Rules that are equal in `by`, and whom they are about."""
    found: dict[object, list[Rule]] = {}
    for rule, key in zip(same, by, strict=True):
        found.setdefault(key, []).append(rule)
    for group in found.values():
        yield ", ".join(dict.fromkeys(rule.of for rule in group)), group


def _table(same: Sequence[Rule]) -> Iterator[str]:
    yield "| Of | Severity | Limit | For | Rules | Dashboard | Override |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    equal = [(rule.severity, rule.limit, rule.alert.for_, rule.file, rule.uid, rule.key) for rule in same]
    for of, group in _gathered(same, equal):
        rule = group[0]
        board = f"{rule.board} (`{rule.uid}`)" if rule.board else f"`{rule.uid}`"
        cells = (of, rule.severity, rule.limit, rule.alert.for_, f"`{rule.file}`", board, f"`{rule.key}`")
        yield f"| {' | '.join(cells)} |"
    changes = "severity or wait" if all(rule.alert.threshold is None for rule in same) else "limit, severity or wait"
    yield ""
    yield f"A stack file changes its {changes}, or leaves it out, under `alerting.overrides`, by the last column."


def _meaning(same: Sequence[Rule]) -> Iterator[str]:
    groups = list(_gathered(same, [(rule.shape, rule.summary) for rule in same]))

    def heading(of: str, rule: Rule) -> str:
        several = [other for other, _ in groups].count(of) > 1
        return f"### {of}, {rule.severity}" if several else f"### {of}"

    yield from ("## What it means", "")
    for of, group in groups:
        rule, others = group[0], group[1:]
        if len(groups) > 1:
            yield from (heading(of, rule), "")
        waits = {each.alert.for_ for each in group}
        wait = (
            "at once"
            if waits == {"0s"}
            else f"after {rule.alert.for_}"
            if len(waits) == 1
            else "after the time in its row"
        )
        yield from (f"It fires {wait}, where this gives a result:", "")
        yield from (f"```{rule.language}", rule.plain(rule.alert.expr.strip()), "```", "")
        if others:
            one = f"That is the {rule.severity} one" if rule.of == ANY else f"That is the one of {rule.of}"
            rest = "the other differs" if len(others) == 1 else "the others differ"
            kinds = (("name", {each.of for each in group}), ("limit", {each.limit for each in group}))
            differs = " and ".join(kind for kind, values in kinds if len(values) > 1)
            yield from (f"{one}; {rest} in {differs} only.", "")
        yield from (f"It says: `{rule.plain(rule.alert.description)}`", "")


def _actions(same: Sequence[Rule]) -> Iterator[str]:
    groups = list(_gathered(same, [rule.alert.action for rule in same]))
    if len(groups) == 1:
        yield same[0].alert.action
        return
    for of, group in groups:
        yield f"- {of}: {group[0].alert.action}"
