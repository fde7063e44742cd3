"""Which recorded series a history has, and which have to be computed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tools.backtest.history import History, Question
from tools.backtest.promql import Computed, selectors, substituted
from tools.backtest.rules import Language, Record, Rules
from tools.backtest.server import RefusedError, TooMuchError

_Definitions = Mapping[str, tuple[Record, ...]]


def inside(expr: str, known: _Definitions) -> Iterator[str]:
    """Names of the recorded series that an expression asks for, and those of which they are made."""
    waiting, seen = [expr], set[str]()
    while waiting:
        for found in selectors(waiting.pop()):
            if found.metric in known and found.metric not in seen:
                seen.add(found.metric)
                yield found.metric
                waiting += [rule.expr for rule in known[found.metric]]


def altered(before: _Definitions, after: _Definitions) -> frozenset[str]:
    """Names of series that two revisions do not record the same way, or of others that they do not."""

    def own(name: str) -> bool:
        return set(map(_meaning, before.get(name, ()))) != set(map(_meaning, after.get(name, ())))

    return frozenset(
        name
        for name in {*before, *after}
        if own(name)
        or any(
            own(each) for known in (before, after) for rule in known.get(name, ()) for each in inside(rule.expr, known)
        )
    )


def _meaning(rule: Record) -> tuple[str, tuple[tuple[str, str], ...], float]:
    return " ".join(rule.expr.split()), tuple(sorted(rule.labels.items())), rule.interval


@dataclass(kw_only=True)
class Recorded:
    """What stands in the place of recorded series of both revisions, on a history that was recorded by the older."""

    before: Rules
    after: Rules
    history: History
    start: float
    end: float
    """Seconds since 1970."""
    unknown: dict[str, str] = field(default_factory=dict[str, str])
    """What the server said where it does not tell whether the history has a series, by its name."""
    _known: dict[str, Computed | None] = field(default_factory=dict[str, Computed | None])

    def __post_init__(self) -> None:
        self._altered = altered(self.before.records, self.after.records)

    def of(self, rules: Rules) -> Callable[[str], Computed | None]:
        """What `substituted` takes for expressions of one of both revisions."""
        return self._after if rules is self.after else self._before

    def _before(self, name: str) -> Computed | None:
        if name not in self.before.records:
            return None
        if name not in self._known:
            self._known[name] = None if self._complete(name) else Computed(rules=self.before.records[name])
        return self._known[name]

    def _after(self, name: str) -> Computed | None:
        if name not in self._altered:
            return self._before(name)
        old, new = self.before.records.get(name, ()), self.after.records.get(name, ())
        if not new:
            # Nobody would record it any more.
            return Computed(rules=()) if old else None
        kept = set(map(_meaning, old))
        added = tuple(rule for rule in new if _meaning(rule) not in kept)
        only_more = len(new) == len(old) + len(added) and not any(
            each in self._altered for rule in old for each in inside(rule.expr, self.before.records)
        )
        if old and only_more and self._before(name) is None:
            return Computed(rules=added, recorded=True)
        return Computed(rules=new)

    def _complete(self, name: str) -> bool:
        """Whether the history has the series for as long as it has what that is made of, or does not tell."""
        rules = self.before.records[name]
        step = round(1000 * rules[0].interval)
        run = (int(self.start * 1000 // step), int(self.end * 1000 // step))
        source = substituted(name, lambda each: Computed(rules=rules) if each == name else self._before(each))
        try:
            could = self.history.since(Question(expr=source, language=Language.PROMQL, step=step), run)
            if could is None:
                return True
            does = self.history.since(Question(expr=name, language=Language.PROMQL, step=step), run)
        except (RefusedError, TooMuchError) as problem:
            self.unknown[name] = str(problem)
            return True
        return does is not None and does <= could + 5 * rules[0].interval
