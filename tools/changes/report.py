"""The report: what two revisions of a stack mean, compared; also its form for machines (docs/change-report.md)."""

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tools.changes import parts, promises, rest
from tools.changes.alerts import ALERTMANAGER
from tools.changes.files import differing
from tools.changes.items import Difference
from tools.changes.subjects import OUTPUTS, SUBJECTS, Side


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Was(_Said):
    """A value in both revisions; null: it was not, or is no longer, said."""

    before: str | None
    after: str | None


class Thing(_Said):
    """A thing that was added or removed."""

    name: str
    fields: dict[str, str]


class ChangedThing(_Said):
    """A thing that both revisions have; only what differs."""

    name: str
    fields: dict[str, Was]


class SubjectChanges(_Said):
    """What changed in one subject."""

    subject: str
    added: tuple[Thing, ...]
    removed: tuple[Thing, ...]
    changed: tuple[ChangedThing, ...]


class Total(_Said):
    """What everything takes together, before and after."""

    what: Literal["pods", "memory", "cores", "volumes", "node_memory", "node_cores"]
    unit: Literal["", "bytes", "cores"]
    before: float
    after: float


class Files(_Said):
    """Rendered files by path."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    copies: tuple[str, ...]
    """Differing files that repeat others: no lines of theirs are in the diff."""


class Report(_Said):
    """What a change means for one stack."""

    version: Literal[1] = 1
    """Grows when a field is removed or changes its meaning."""
    stack: str
    base: str
    """Revision as the user wrote it."""
    head: str
    """Likewise; empty: the working tree."""
    new_stack: bool
    """Whether the base has no such stack."""
    breaking: tuple[str, ...]
    """A line for each output that is gone or has another type."""
    subjects: tuple[SubjectChanges, ...]
    """Those in which anything changed, what matters most first."""
    totals: tuple[Total, ...]
    """All of them, changed or not."""
    files: Files
    diff: str
    """Unified difference of the rendered files, copies left out."""

    @property
    def empty(self) -> bool:
        """Whether both revisions render the same."""
        return not (self.subjects or self.files.added or self.files.removed or self.files.changed or self.files.copies)


def report(before: Side, after: Side, *, stack: str, base: str, head: str) -> Report:
    """How `after`, which people call `head`, differs from `before`, which they call `base`.

    Raises SettingsError for files that cannot be read.
    """
    paths = differing(before.rendered, after.rendered)
    # Who is told of an alert stands in another file than the alert.
    apart = (before, after) if ALERTMANAGER in paths else (before.listing(paths), after.listing(paths))
    found = {each.key: each.look(*((before, after) if each.whole else apart)) for each in SUBJECTS}
    raw = rest.raw(before.rendered, after.rendered)
    return Report(
        stack=stack,
        base=base,
        head=head,
        new_stack=not before.stack_file,
        breaking=tuple(promises.breaking(found[OUTPUTS.key])),
        subjects=tuple(_told(key, difference) for key, difference in found.items() if difference),
        totals=_totals(parts.totals(before.rendered), parts.totals(after.rendered)),
        files=Files(added=raw.added, removed=raw.removed, changed=raw.changed, copies=raw.copies),
        diff="\n".join(raw.lines),
    )


def _told(key: str, difference: Difference) -> SubjectChanges:
    return SubjectChanges(
        subject=key,
        added=tuple(Thing(name=item.name, fields=dict(item.fields)) for item in difference.added),
        removed=tuple(Thing(name=item.name, fields=dict(item.fields)) for item in difference.removed),
        changed=tuple(
            ChangedThing(
                name=item.name,
                fields={name: Was(before=before, after=after) for name, (before, after) in item.fields.items()},
            )
            for item in difference.changed
        ),
    )


def _totals(before: parts.Totals, after: parts.Totals) -> tuple[Total, ...]:
    units: dict[str, Literal["", "bytes", "cores"]] = {
        "pods": "",
        "memory": "bytes",
        "cores": "cores",
        "volumes": "bytes",
        "node_memory": "bytes",
        "node_cores": "cores",
    }
    old, new = asdict(before), asdict(after)
    return tuple(
        Total.model_validate({"what": what, "unit": unit, "before": old[what], "after": new[what]})
        for what, unit in units.items()
    )
