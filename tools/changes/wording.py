"""A report in words: what Markdown and the terminal have in common."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tools.changes import parts
from tools.changes.report import ChangedThing, Report, SubjectChanges, Thing, Total, Was
from tools.changes.subjects import SUBJECTS, Subject

_BY_KEY = {subject.key: subject for subject in SUBJECTS}
_TOTALS = {
    "pods": "programs that run",
    "memory": "memory",
    "cores": "cores",
    "volumes": "volumes",
    "node_memory": "memory on each node",
    "node_cores": "cores on each node",
}
_NAMES = 8
"""How many names of things that changed alike are said."""
_SHARED = 3
"""Of how many things a change is one of them all."""
_DETAILS = 12
"""How many fields of one thing are said."""
_WIDTH = 120
"""Characters of a value that are shown around what differs."""
_AROUND = 30

Sign = Literal["added", "removed", "changed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """A field of a thing. Of an added or removed thing there is one value."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of a subject's table: a thing, or several that changed alike."""

    sign: Sign
    names: tuple[str, ...]
    details: tuple[Detail, ...]

    @property
    def name(self) -> str:
        """Whom it is about."""
        if len(self.names) == 1:
            return self.names[0]
        more = len(self.names) - _NAMES
        return f"{', '.join(self.names[:_NAMES])}{f' and {more} more' if more > 0 else ''}"


def subject(found: SubjectChanges) -> Subject:
    """The subject that the changes are of."""
    return _BY_KEY[found.subject]


def heading(found: SubjectChanges) -> str:
    """`2 added, 1 changed`."""
    counts = (("added", found.added), ("removed", found.removed), ("changed", found.changed))
    return ", ".join(f"{len(things)} {word}" for word, things in counts if things)


def summary(report: Report) -> str:
    """What changed, in one line."""
    if report.empty:
        return "nothing changes"
    said = [_many(len(report.breaking), "breaking change")] if report.breaking else []
    said += [f"{subject(found).many}: {heading(found)}" for found in report.subjects]
    said += [f"{_TOTALS[total.what]} {difference(total)}" for total in report.totals if total.before != total.after]
    return "; ".join(said) or "rendered files change in what no table tells: see the diff"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def rows(found: SubjectChanges) -> list[Row]:
    """The table of a subject: what is gone first, since that is what hurts."""
    shown = subject(found).shown
    return [
        *(_thing(thing, "removed", shown) for thing in found.removed),
        *(_thing(thing, "added", shown) for thing in found.added),
        *_alike(found.changed),
    ]


def _thing(thing: Thing, sign: Sign, shown: tuple[str, ...]) -> Row:
    values: dict[tuple[str, str], list[str]] = {}
    fields = sorted(thing.fields.items(), key=lambda each: _place(each[0], shown))
    for field, said in fields:
        # Cases of a field, as `told of security`, are shown with it: those with the same value as one.
        whole, of, case = field.partition(" of ")
        if not shown or field in shown:
            values[field, said] = []
        elif of and whole in shown:
            values.setdefault((whole, said), []).append(case)
    details = [
        _one(f"{field} of {', '.join(cases)}" if cases else field, said, sign)
        for (field, said), cases in values.items()
    ]
    return Row(sign=sign, names=(thing.name,), details=tuple(details))


def _place(field: str, shown: tuple[str, ...]) -> int:
    whole = field.partition(" of ")[0]
    return shown.index(whole) if whole in shown else len(shown)


def _one(field: str, said: str, sign: Sign) -> Detail:
    return (
        Detail(field=field, before=None, after=said)
        if sign == "added"
        else Detail(field=field, before=said, after=None)
    )


def _alike(changed: tuple[ChangedThing, ...]) -> Iterator[Row]:
    """What changed in several things in the very same way is a row of its own: one receiver more is told of many."""
    alike: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    for thing in changed:
        for field, was in thing.fields.items():
            alike[field, was.before, was.after].append(thing.name)
    shared = {change: tuple(names) for change, names in alike.items() if len(names) >= _SHARED}
    rows: dict[tuple[str, ...], dict[str, Was]] = {}
    for thing in changed:
        own = {field: was for field, was in thing.fields.items() if (field, was.before, was.after) not in shared}
        if own:
            yield Row(sign="changed", names=(thing.name,), details=tuple(_details(own)))
    for (field, before, after), names in shared.items():
        rows.setdefault(names, {})[field] = Was(before=before, after=after)
    for names, fields in rows.items():
        yield Row(sign="changed", names=names, details=tuple(_details(fields)))


def _details(changed: Mapping[str, Was]) -> Iterator[Detail]:
    """What differs; keys that end alike and changed alike are one, as are those of a setting of many log files."""
    groups: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    for field, was in changed.items():
        groups[field.rpartition(".")[2], was.before, was.after].append(field)
    details = [
        Detail(
            field=fields[0] if len(fields) == 1 else f"{fields[0]} and {len(fields) - 1} more such",
            before=before,
            after=after,
        )
        for (_, before, after), fields in groups.items()
    ]
    yield from details[:_DETAILS]
    if len(details) > _DETAILS:
        yield Detail(field=f"and {len(details) - _DETAILS} more fields", before="", after="")


def excerpts(detail: Detail) -> tuple[str | None, str | None]:
    """Before and after, cut to where they differ."""
    before, after = detail.before, detail.after
    if before is None or after is None:
        return _cut(before, 0), _cut(after, 0)
    shorter = min(len(before), len(after))
    same = next((at for at, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), shorter)
    start = max(0, same - _AROUND) if max(len(before), len(after)) > _WIDTH else 0
    return _cut(before, start), _cut(after, start)


def _cut(value: str | None, start: int) -> str | None:
    if value is None:
        return None
    end = start + _WIDTH
    return f"{'…' if start else ''}{' '.join(value[start:end].split())}{'…' if end < len(value) else ''}"


def totals(report: Report) -> list[tuple[str, str, str, str]]:
    """What of all that everything takes changed: before, after and the difference."""
    return [
        (_TOTALS[total.what], amount(total.before, total.unit), amount(total.after, total.unit), difference(total))
        for total in report.totals
        if total.before != total.after
    ]


def difference(total: Total) -> str:
    """`+512Mi`."""
    more = total.after - total.before
    return f"{'+' if more > 0 else '-'}{amount(abs(more), total.unit)}"


def amount(number: float, unit: str) -> str:
    """A size as Kubernetes has it, or a number."""
    return parts.size(number) if unit == "bytes" else f"{number:.2f}".rstrip("0").rstrip(".")


def files(report: Report) -> str:
    """`13 rendered files changed, 1 added`."""
    found = report.files
    counts = (("changed", found.changed), ("added", found.added), ("removed", found.removed))
    said = [f"{len(paths)} {word}" for word, paths in counts if paths]
    copies = f"; {_many(len(found.copies), 'file')} that repeat these left out" if found.copies else ""
    return f"rendered files: {', '.join(said) or 'none changed'}{copies}"
