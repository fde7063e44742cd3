"""Alerts of two rendered trees over a history: what is evaluated, and what came of it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from math import ceil
from pathlib import Path

from specs.model import SettingsError
from specs.routing import Matcher, walk, ways
from tools.backtest import report, rules, telling
from tools.backtest.firing import Firing, clashes, firings, later, templated
from tools.backtest.history import Answer, History, Question
from tools.backtest.journal import Run
from tools.backtest.promql import selectors, streams, substituted
from tools.backtest.records import Recorded, altered, inside
from tools.backtest.relabel import sent
from tools.backtest.rules import AlertRule, Language, Pair, Rules
from tools.backtest.server import RefusedError, TooMuchError
from tools.backtest.telling import Telling

_LITTLE = 3600
"""Seconds that a history may be too short without a word."""
_ASKED_FOR = 30
"""Selectors of an expression of which it is asked whether the history has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What is to be evaluated."""

    stack: str
    base: str
    start: float
    end: float
    """Seconds since 1970."""
    budget: int | None = None
    alert: str = ""
    """Pattern of names: also evaluated though nothing changed."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """What one revision renders."""

    rules: Rules
    telling: Telling
    manners: dict[tuple[int, ...], Hashable] = field(default_factory=dict[tuple[int, ...], Hashable], compare=False)
    """How it is told by nodes of the tree, by their identities: ways are few, and alerts are many."""


@dataclass(kw_only=True)
class _Backtest:
    wishes: Wishes
    history: History
    before: _Tree
    after: _Tree
    recorded: Recorded
    begins: float = 0.0
    """When the history of metrics begins, as far as it is looked at: before, `absent()` would be true of anything."""
    _known: dict[Question, Answer] = field(default_factory=dict[Question, Answer])
    _has: dict[tuple[Language, str], bool | None] = field(default_factory=dict[tuple[Language, str], bool | None])

    def question(self, rule: AlertRule, tree: _Tree) -> Question:
        """What is asked for a rule of a tree."""
        expr = rule.expr
        if rule.language is Language.PROMQL:
            expr = substituted(expr, self.recorded.of(tree.rules))
        return Question(expr=expr, language=rule.language, step=round(1000 * rule.interval))

    def ask(self, wanted: Sequence[tuple[AlertRule, _Tree]]) -> None:
        """Evaluate rules that were not yet: from so early on that what fires at the start is known."""
        runs: dict[Question, Run] = {}
        for rule, tree in wanted:
            question = self.question(rule, tree)
            if question not in self._known:
                # One that a shorter look back has answered stays: rules of one expression differ little.
                early = max(self._begins(rule), self.wishes.start - _back(rule))
                first, last = (int(time * 1000 // question.step) for time in (early, self.wishes.end))
                runs[question] = (min(first, runs.get(question, (first, last))[0]), last)
        self._known.update(self.history.ask(runs))

    def fired(self, rule: AlertRule, tree: _Tree) -> list[Firing]:
        """The firings of a rule that was asked for, with the labels that Alertmanager sees; none where the history has
        nothing of what the rule is about."""
        question, begins = self.question(rule, tree), self._begins(rule)
        runs = later(self._known[question].runs, ceil(begins * 1000 / question.step))
        found = [
            Firing(labels=labels, begin=one.begin, end=one.end, open=one.open)
            for one in firings(rule, runs, max(begins, self.wishes.start), self.wishes.end)
            if (labels := sent(one.labels, rule.language, tree.rules)) is not None
        ]
        return found if found and _any(self._in_history(question)) is not False else []

    def _begins(self, rule: AlertRule) -> float:
        return self.begins if rule.language is Language.PROMQL else 0.0

    def side(self, rule: AlertRule, tree: _Tree) -> report.Side:
        """What came of a rule that was asked for."""
        answer = self._known[self.question(rule, tree)]
        found = self.fired(rule, tree)
        told_of = telling.pages(tree.telling, found, self._others(rule, tree) if found else (), self.wishes.end)
        by_receiver: dict[str, list[float]] = {}
        for page in told_of:
            by_receiver.setdefault(page.receiver, []).append(page.at)
        notes, in_history = self._notes(rule, tree, answer)
        return report.Side(
            times=len(found),
            seconds=sum(one.end - one.begin for one in found),
            longest=max((one.end - one.begin for one in found), default=0.0),
            told={name: len(times) for name, times in sorted(by_receiver.items())},
            pages=max(map(len, by_receiver.values()), default=0),
            worst_week=max((telling.most(times, report.WEEK) for times in by_receiver.values()), default=0),
            firings=[
                report.Fired(labels=dict(one.labels), begin=report.at(one.begin), end=report.at(one.end), open=one.open)
                for one in found
            ],
            evaluated=not answer.unknown,
            in_history=in_history,
            notes=notes,
        )

    def _others(self, rule: AlertRule, tree: _Tree) -> list[Firing]:
        """Firings of the alerts that could hold back those of `rule`."""
        found = [other for other in tree.rules.alerts if other != rule and _can_hold(tree.telling, other, rule)]
        found = [other for other in found if other.language in self.history.servers]
        self.ask([(other, tree) for other in found])
        return [firing for other in found for firing in self.fired(other, tree)]

    def _notes(self, rule: AlertRule, tree: _Tree, answer: Answer) -> tuple[list[str], bool | None]:
        notes: list[str] = []
        if answer.unknown:
            steps = sum(last - first + 1 for first, last in answer.unknown)
            lost = rules.span(min(steps * rule.interval, self.wishes.end - self.wishes.start))
            notes.append(f"{lost} of the history could not be evaluated: {answer.words}")
        if clashes(rule, answer.runs):
            notes.append("two series make the same alert, which Prometheus refuses to evaluate")
        if templated(rule):
            notes.append("a label of the rule is a template that is not understood here: who is told may differ")
        found = self._in_history(self.question(rule, tree))
        missing = [selector for selector, has in found.items() if has is False]
        if missing:
            words = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            notes.append(f"not in the history: {words}")
        in_history = _any(found)
        if in_history is None:
            untold = ", ".join([selector for selector, has in found.items() if has is None][:3])
            notes.append(f"not known whether the history has {untold}")
        return notes, in_history

    def _in_history(self, question: Question) -> Mapping[str, bool | None]:
        """Whether the history has what an expression selects, by selector."""
        if question.language is Language.PROMQL:
            texts = [question.expr[found.begin : found.end] for found in selectors(question.expr)]
        else:
            texts = streams(question.expr)
        texts = list(dict.fromkeys(texts))[:_ASKED_FOR]
        server = self.history.servers[question.language]
        for text in texts:
            key = (question.language, text)
            if key not in self._has:
                self._has[key] = server.has(text, self.wishes.start, self.wishes.end)
        return {text: self._has[question.language, text] for text in texts}


def _back(rule: AlertRule) -> float:
    """Seconds that are looked back for what fires at the start."""
    return rule.hold + rule.keep + rule.interval


def _any(found: Mapping[str, bool | None]) -> bool | None:
    """Whether the history has any of what is asked for; also when nothing is. None: it does not tell."""
    if not found or True in found.values():
        return True
    return None if None in found.values() else False


def _labels(rule: AlertRule) -> Mapping[str, str]:
    return {**rule.labels, "alertname": rule.name}


def _could(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether alerts with these labels, and others that are not known, could match."""
    return all(each.matches(labels) for each in matchers if each.label in labels)


def _can_hold(how: Telling, source: AlertRule, target: AlertRule) -> bool:
    """Whether alerts of `source` could hold back those of `target`, as far as labels of rules tell."""
    ours, theirs = _labels(target), _labels(source)
    return any(
        _could(rule.source, theirs)
        and _could(rule.target, ours)
        and all(ours[label] == theirs[label] for label in rule.equal if label in ours and label in theirs)
        for rule in how.inhibitions
    )


def _holding(tree: _Tree, rule: AlertRule) -> set[Hashable]:
    """The inhibitions that could hold back alerts of a rule, but for their names."""
    ours = _labels(rule)
    return {
        (frozenset(each.source), frozenset(each.target), frozenset(each.equal))
        for each in tree.telling.inhibitions
        if _could(each.target, ours)
    }


def _told(
    tree: _Tree, rule: AlertRule, cases: Sequence[Mapping[str, str]]
) -> tuple[list[tuple[int, str, bool]], list[Hashable]]:
    """Who is told of each case, by its number, and whether that reaches nobody; and how each is told."""
    own = {**tree.rules.external.get(rule.language, {}), **_labels(rule)}
    who: list[tuple[int, str, bool]] = []
    how: list[Hashable] = []
    for number, case in enumerate(cases):
        for way, receiver in ways(tree.telling.root, {**case, **own}):
            key, silent = tuple(map(id, way)), receiver in tree.telling.silent
            if key not in tree.manners:
                tree.manners[key] = None if silent else telling.manner(tree.telling, way, receiver)
            who.append((number, receiver, silent))
            how.append(tree.manners[key])
    return who, how


def _cases(trees: Sequence[_Tree]) -> list[dict[str, str]]:
    """Apps and services that some route asks for, and one that none does."""
    asked = [each for tree in trees for node in walk(tree.telling.root) for each in node.matchers]
    values = (
        dict.fromkeys(("", *(each.value for each in asked if each.label == label))) for label in ("app", "service")
    )
    return [{"app": app, "service": service} for app, service in product(*values)]


def _change(
    pair: Pair, before: _Tree, after: _Tree, other: frozenset[str], cases: Sequence[Mapping[str, str]]
) -> list[str]:
    """What differs between two revisions of an alert; nothing: it does the same."""
    if pair.before is None or pair.after is None:
        return []
    found = list(rules.changes(pair))
    if pair.after.language is Language.PROMQL:
        known = {**before.rules.records, **after.rules.records}
        series = sorted(other & {*inside(pair.before.expr, known), *inside(pair.after.expr, known)})
        if series:
            found.append(f"recorded {', '.join(series)}")
    (who, how), (by_now, anew) = _told(before, pair.before, cases), _told(after, pair.after, cases)
    if who != by_now:
        found.append("who is told")
    elif how != anew:
        found.append("when it is told")
    if _holding(before, pair.before) != _holding(after, pair.after):
        found.append("what holds it back")
    return found


def evaluate(before: Path, after: Path, history: History, wishes: Wishes) -> report.Report:
    """What alerts that differ between two rendered trees would have done over a history.

    Raises RenderedError for a tree that cannot be read, and SettingsError for a pattern that no alert has.
    """
    old, new = (_Tree(rules.read(tree), telling.read(tree)) for tree in (before, after))
    recorded = Recorded(before=old.rules, after=new.rules, history=history, start=wishes.start, end=wishes.end)
    work = _Backtest(wishes=wishes, history=history, before=old, after=new, recorded=recorded)
    other, cases = altered(old.rules.records, new.rules.records), _cases((old, new))
    chosen: list[tuple[Pair, list[str]]] = []
    for pair in rules.pairs(old.rules.alerts, new.rules.alerts):
        what = _change(pair, old, new, other, cases)
        named = bool(wishes.alert) and fnmatchcase(pair.rule.name, wishes.alert)
        if what or named or pair.before is None or pair.after is None:
            chosen.append((pair, what))
    if wishes.alert and not any(fnmatchcase(pair.rule.name, wishes.alert) for pair, _ in chosen):
        some = sorted({rule.name for rule in new.rules.alerts})
        raise SettingsError(f"ALERT={wishes.alert}: no such alert (accepted: a pattern of {', '.join(some)})")
    asked = [(pair, what) for pair, what in chosen if pair.rule.language in history.servers]
    notes: list[str] = []
    if asked:
        back = max(map(_back, (*old.rules.alerts, *new.rules.alerts)))
        work.begins, notes = _shorter(history, wishes, back)
    work.ask([(rule, tree) for pair, _ in asked for rule, tree in ((pair.before, old), (pair.after, new)) if rule])
    loki = history.servers.get(Language.LOGQL)
    judged = sorted((_judged(work, pair, what) for pair, what in asked), key=_weight)
    notes += [f"not known whether the history has {name}: {words}" for name, words in recorded.unknown.items()]
    return report.Report(
        stack=wishes.stack,
        base=wishes.base,
        prometheus=history.servers[Language.PROMQL].shown,
        loki=loki.shown if loki else None,
        start=report.at(wishes.start),
        end=report.at(wishes.end),
        budget=wishes.budget,
        alerts=judged,
        notes=notes,
        left_out=sorted({pair.rule.name for pair, _ in chosen if pair.rule.language not in history.servers}),
    )


def _shorter(history: History, wishes: Wishes, back: float) -> tuple[float, list[str]]:
    """When the history begins, by the one series that every Prometheus has, and a note when that is later than what was
    asked for; 0.0: not within what is looked at, which is `back` seconds more than that."""
    run = (int((wishes.start - back) // 60), int(wishes.end // 60))
    try:
        begins = history.since(Question(expr="up", language=Language.PROMQL, step=60_000), run)
    except (RefusedError, TooMuchError) as problem:
        return 0.0, [f"not known when the history begins: {problem}"]
    if begins is None or begins <= 60 * run[0]:
        return 0.0, []
    if begins - wishes.start < _LITTLE:
        return begins, []
    kept, wanted = rules.span(wishes.end - begins), rules.span(wishes.end - wishes.start)
    return begins, [f"the history begins {report.at(begins):%Y-%m-%d %H:%M UTC}: it is {kept}, and not {wanted}"]


def _weight(each: report.Judged) -> tuple[int, int]:
    """What people look at first: what pages most by the new rules, then what fires most."""
    return (-each.after.worst_week, -each.after.times) if each.after else (1, 0)


def _judged(work: _Backtest, pair: Pair, what: list[str]) -> report.Judged:
    before = work.side(pair.before, work.before) if pair.before else None
    after = work.side(pair.after, work.after) if pair.after else None
    budget = work.wishes.budget
    return report.Judged(
        name=pair.rule.name,
        labels={name: str(value) for name, value in pair.rule.labels.items()},
        file=pair.rule.file,
        group=pair.rule.group,
        language=pair.rule.language.value,
        change="new" if before is None else "removed" if after is None else "changed" if what else "same",
        what=what,
        before=before,
        after=after,
        over_budget=after is not None and budget is not None and after.worst_week > budget,
    )
