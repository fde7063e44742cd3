"""What two revisions have of one subject, and how they differ: the comparison that all subjects share."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing of a subject: an alert, a route, a panel."""

    name: str
    """What people call it."""
    fields: Mapping[str, str]
    """What is said of it, as text; what is not said has no field."""
    identities: tuple[object, ...] = ()
    """By what it is found again in the other revision, from strict to loose; none: its name."""


Change = tuple[str | None, str | None]
"""Before and after; None: it was not, or is no longer, said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A thing that both revisions have, and that is not the same."""

    name: str
    fields: Mapping[str, Change]
    """Only those that differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How two revisions differ in one subject."""

    added: tuple[Item, ...] = ()
    removed: tuple[Item, ...] = ()
    changed: tuple[Changed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


Refine = Callable[[Mapping[str, Change]], Mapping[str, Change]]
"""Says the differing fields of a thing better."""


def compare(before: Iterable[Item], after: Iterable[Item], refine: Refine | None = None) -> Difference:
    """How `after` differs from `before`."""
    old, new = list(before), list(after)
    pairs = list(_pairs(old, new))
    kept_old, kept_new = {id(first) for first, _ in pairs}, {id(second) for _, second in pairs}
    changed: list[Changed] = []
    for first, second in pairs:
        fields: Mapping[str, Change] = _differing(first.fields, second.fields)
        if fields and refine:
            fields = refine(fields)
        if fields:
            changed.append(Changed(name=second.name, fields=fields))
    return Difference(
        added=tuple(sorted((item for item in new if id(item) not in kept_new), key=_by_name)),
        removed=tuple(sorted((item for item in old if id(item) not in kept_old), key=_by_name)),
        changed=tuple(sorted(changed, key=_by_name)),
    )


def _by_name(item: Item | Changed) -> str:
    return item.name


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Change]:
    names = (*before, *(name for name in after if name not in before))
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


@dataclass(slots=True)
class _Rung:
    """Things that have the same identity."""

    old: list[Item] = field(default_factory=list[Item])
    new: list[Item] = field(default_factory=list[Item])


def _pairs(old: Sequence[Item], new: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """Each thing with itself in the other revision: first those that are wholly the same, then ever more loosely."""
    ladders = max((len(item.identities) for item in (*old, *new)), default=0)
    for rung in range(-1, max(ladders, 1)):
        found: dict[object, _Rung] = defaultdict(_Rung)
        for item in old:
            found[_identity(item, rung)].old.append(item)
        for item in new:
            found[_identity(item, rung)].new.append(item)
        matched: set[int] = set()
        for group in found.values():
            for pair in zip(group.old, group.new, strict=False):
                matched.update(map(id, pair))
                yield pair
        old, new = ([item for item in side if id(item) not in matched] for side in (old, new))


def _identity(item: Item, rung: int) -> object:
    if rung < 0:
        return (item.name, tuple(sorted(item.fields.items())))
    identities = item.identities or (item.name,)
    return (rung, identities[rung]) if rung < len(identities) else id(item)


def mapping(value: object, *path: str) -> Mapping[str, Any]:
    """What stands at `path` of a tree of values, when that is a mapping; nothing, when it is not there."""
    for key in path:
        value = cast("Mapping[str, object]", value).get(key) if isinstance(value, Mapping) else None
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def listed(value: object, *path: str) -> Sequence[Mapping[str, Any]]:
    """The mappings of the list at `path` of a tree of values; none, when it is not there."""
    found = mapping(value, *path[:-1]).get(path[-1]) if path else value
    if not isinstance(found, list):
        return []
    return [cast("Mapping[str, Any]", each) for each in cast("list[object]", found) if isinstance(each, Mapping)]


def text(value: object) -> str:
    """A value of a file, for people."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in cast("list[object]", value)):
        return ", ".join(map(text, cast("list[object]", value)))
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def flat(value: object, at: str = "") -> dict[str, str]:
    """What a tree of values says, as `path.to.it` → text. Things of a list that have a name stand by it."""
    whole = value
    if isinstance(value, Mapping) and value:
        inner = cast("Mapping[object, object]", value)
        return _merged(flat(each, f"{at}.{key}" if at else str(key)) for key, each in inner.items())
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in cast("list[object]", value)):
        listed = cast("list[Mapping[str, Any]]", value)
        names = [_name(each, index) for index, each in enumerate(listed)]
        if len(set(names)) < len(names):
            names = [str(index) for index in range(len(listed))]
        return _merged(flat(each, f"{at}[{name}]") for name, each in zip(names, listed, strict=True))
    return {at: text(whole)} if at else {}


def _merged(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: said for each in found for key, said in each.items()}


def _name(value: Mapping[str, Any], index: int) -> str:
    for key in ("name", "job_name", "record", "alert", "uid", "key"):
        if isinstance(value.get(key), str):
            return str(value[key])
    return str(index)
