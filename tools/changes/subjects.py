"""What a change is told in: each subject, in the order of a report, and how two revisions differ in it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tools.changes import alerts, boards, cluster, parts, promises, rest, routes, scraping
from tools.changes.files import Rendered
from tools.changes.items import Difference, Item, Refine, compare, mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A revision of a stack."""

    rendered: Rendered
    stack_file: str
    """Text of Pulumi.<stack>.yaml; empty: there was none."""
    stack_file_name: str

    def listing(self, paths: Iterable[str]) -> "Side":
        """The same, with these rendered files alone."""
        return replace(self, rendered=self.rendered.listing(paths))


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Something that changes are told in."""

    key: str
    """Its name for machines."""
    one: str
    many: str
    look: Callable[[Side, Side], Difference]
    shown: tuple[str, ...] = ()
    """Fields that say what an added or removed thing is; none: all."""
    whole: bool = False
    """Whether it is told by all files together: else those that differ suffice."""

    @property
    def title(self) -> str:
        """Its heading."""
        return self.many[0].upper() + self.many[1:]


def _by(read: Callable[[Rendered], Iterable[Item]], refine: Refine | None = None) -> Callable[[Side, Side], Difference]:
    def look(before: Side, after: Side) -> Difference:
        return compare(read(before.rendered), read(after.rendered), refine)

    return look


def _programs(before: Side, after: Side) -> Difference:
    old, new = (parts.programs(side.rendered) for side in (before, after))
    if not all(_says_arguments(side.rendered) for side in (before, after)):
        # Earlier inventories say nothing of arguments: that is no argument gone.
        old, new = ([_without_arguments(item) for item in items] for items in (old, new))
    return compare(old, new)


def _says_arguments(rendered: Rendered) -> bool:
    """Whether the manifests or the inventory have arguments of programs."""
    said = mapping(rendered.inventory, "workloads").values()
    return any("arguments" in each for each in said) or any(rendered.manifests("Deployment", "StatefulSet"))


def _without_arguments(item: Item) -> Item:
    return replace(item, fields={key: said for key, said in item.fields.items() if key in parts.SOFTWARE})


def _outputs(before: Side, after: Side) -> Difference:
    found = compare(promises.outputs(before.rendered), promises.outputs(after.rendered))
    added = {item.name for item in found.added}
    # Where there was nothing, or nothing in it, and now is a mapping, what is in it is told of.
    removed = (
        item
        for item in found.removed
        if not (promises.hollow(item) and any(name.startswith(f"{item.name}.") for name in added))
    )
    return replace(found, removed=tuple(removed))


def _secrets(before: Side, after: Side) -> Difference:
    old, new = (promises.secrets(each.rendered, each.stack_file, each.stack_file_name) for each in (before, after))
    found = compare(old, new, promises.unread)
    return replace(
        found,
        added=tuple(map(promises.undigested, found.added)),
        removed=tuple(map(promises.undigested, found.removed)),
    )


def _settings(before: Side, after: Side) -> Difference:
    old, new = (promises.settings(each.stack_file, each.stack_file_name) for each in (before, after))
    return compare(old, new)


def _files(before: Side, after: Side) -> Difference:
    return rest.settings_of_programs(before.rendered, after.rendered)


def _alerts(before: Side, after: Side) -> Difference:
    return alerts.alerts(before.rendered, after.rendered)


def _panels(before: Side, after: Side) -> Difference:
    return boards.panels(before.rendered, after.rendered)


OUTPUTS = Subject(key="outputs", one="output", many="outputs", look=_outputs)
SUBJECTS = (
    OUTPUTS,
    Subject(
        key="alerts",
        one="alert",
        many="alerts",
        look=_alerts,
        shown=("severity", "for", "told", "expression"),
    ),
    Subject(key="routes", one="route", many="routes", look=_by(routes.routes)),
    Subject(
        key="receivers",
        one="receiver",
        many="receivers",
        look=_by(routes.receivers),
        shown=("by", "slack.channel", "email.to", "opsgenie.api_url", "webhook.url"),
    ),
    Subject(key="inhibitions", one="inhibition", many="inhibitions", look=_by(routes.inhibitions)),
    Subject(key="mute_times", one="mute time", many="mute times", look=_by(routes.mute_times)),
    Subject(
        key="objectives",
        one="objective",
        many="objectives",
        look=_by(alerts.slos),
        shown=("objective", "budget", "pages"),
    ),
    Subject(key="recorded_series", one="recorded series", many="recorded series", look=_by(alerts.series)),
    Subject(
        key="scrape_jobs",
        one="scrape job",
        many="scrape jobs",
        look=_by(scraping.jobs),
        shown=("scrape_interval", "metrics_path"),
    ),
    Subject(key="targets", one="target", many="targets", look=_by(scraping.targets)),
    Subject(
        key="dashboards",
        one="dashboard",
        many="dashboards",
        look=_by(boards.dashboards),
        shown=("title", "folder", "panels"),
    ),
    Subject(key="panels", one="panel", many="panels", look=_panels, shown=("type", "query A", "query B", "query C")),
    Subject(key="retention", one="retention", many="retention", look=_by(scraping.retention), whole=True),
    Subject(key="sizes", one="size", many="sizes", look=_by(parts.sizes), whole=True),
    Subject(
        key="programs", one="program", many="programs", look=_programs, shown=("image", "version", "digest"), whole=True
    ),
    Subject(key="ports", one="port", many="ports", look=_by(cluster.ports)),
    Subject(key="flows", one="flow", many="flows", look=_by(cluster.flows)),
    Subject(key="rights", one="right", many="rights", look=_by(cluster.rights)),
    Subject(key="secrets", one="secret", many="secrets", look=_secrets, shown=("needed", "value")),
    Subject(key="settings", one="stack setting", many="stack settings", look=_settings),
    Subject(key="files", one="file of a program", many="files of programs", look=_files, shown=("",)),
    Subject(key="objects", one="object", many="objects of the cluster", look=_by(cluster.objects), shown=("files",)),
)
"""Every subject, what matters most first."""
