"""From two revisions to a report."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools import paths
from tools.changes.files import Rendered
from tools.changes.rendered import has, refuse_absent, render
from tools.changes.report import Report, report
from tools.changes.revisions import Revision, revision
from tools.changes.subjects import Side


def compared(*, stack: str, base: str, head: str = "", root: Path = paths.ROOT) -> Report:
    """What revision `head` (empty: the working tree) of the checkout at `root` changes for `stack` since `base`.

    A stack that only one of them has is wholly new, or wholly gone. Raises SettingsError for revisions that are not
    there or do not render, and for a stack that neither has.
    """
    with revision(base, option="BASE", root=root, head=head) as old, revision(head, option="HEAD", root=root) as new:
        if not has(old, stack):
            refuse_absent(new, stack, "HEAD")
        with ThreadPoolExecutor(max_workers=2) as both:
            before, after = both.map(_side, (old, new), (stack, stack), ("BASE", "HEAD"))
        return report(before, after, stack=stack, base=base, head=head)


def _side(found: Revision, stack: str, option: str) -> Side:
    name = f"Pulumi.{stack}.yaml"
    if not has(found, stack):
        return Side(rendered=Rendered(None), stack_file="", stack_file_name=name)
    rendered = Rendered(render(found, stack, option))
    return Side(rendered=rendered, stack_file=found.read(name), stack_file_name=name)
