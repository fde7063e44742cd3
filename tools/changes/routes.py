"""Routes, receivers, inhibitions and mute times, by a rendered Alertmanager file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specs.routing import Matcher, Route
from tools.changes.alerts import ALERTMANAGER
from tools.changes.files import Rendered
from tools.changes.items import Item, flat, listed, mapping
from tools.changes.told import matcher, route

_NOTHING = "nothing"


def _file(rendered: Rendered) -> Mapping[str, Any]:
    return mapping(rendered.value(ALERTMANAGER))


def routes(rendered: Rendered) -> list[Item]:
    """The tree of routes, a thing for each condition: routes that follow each other with the same are one."""
    root = mapping(_file(rendered), "route")
    if not root:
        return []
    found: dict[str, dict[str, str]] = {}
    for name, node in _walk(route(root), ()):
        fields = found.setdefault(name, {})
        tells = fields["tells"].split(", ") if "tells" in fields else []
        said = {
            "grouped by": ", ".join(node.group_by),
            "first after": node.wait,
            "next after": node.interval,
            "again after": node.repeat,
            "muted in": ", ".join(node.mute),
        }
        fields |= {key: value for key, value in said.items() if value}
        if node.receiver:
            fields["tells"] = ", ".join(sorted([*tells, node.receiver]))
    return [
        Item(name=name, fields={"tells": fields["tells"], **fields} if "tells" in fields else fields)
        for name, fields in found.items()
        if fields
    ]


def _walk(node: Route, above: tuple[str, ...]) -> Iterator[tuple[str, Route]]:
    path = (*above, _words(node.matchers)) if node.matchers else above
    yield " / ".join(path) or "everything", node
    for inner in node.routes:
        yield from _walk(inner, path)


def _words(matchers: Sequence[Matcher]) -> str:
    return " and ".join(f"{each.label} {each.operator} {each.value or _NOTHING}" for each in matchers)


def receivers(rendered: Rendered) -> list[Item]:
    """Every receiver, and how it is reached. Secrets are paths of files."""
    found: list[Item] = []
    for said in listed(_file(rendered), "receivers"):
        channels = {key.removesuffix("_configs"): value for key, value in said.items() if key.endswith("_configs")}
        by = {"by": ", ".join(channels)} if channels else {"by": "nothing: dashboards show what it is told"}
        inner: dict[str, str] = {}
        for name, each in channels.items():
            # One channel of a kind is the rule, and needs no number.
            inner |= flat(each[0], name) if len(each) == 1 else flat(each, name)
        found.append(Item(name=said["name"], fields={**by, **inner}))
    return found


def inhibitions(rendered: Rendered) -> list[Item]:
    """Which alerts are not told while another one fires."""
    found: list[Item] = []
    for said in listed(_file(rendered), "inhibit_rules"):
        source, target = (
            _words([matcher(text) for text in said.get(f"{side}_matchers", ())]) for side in ("source", "target")
        )
        fields = {"source": source, "silences": target, "where equal": ", ".join(said.get("equal", ()))}
        name = said.get("name") or f"{source} silences {target}"
        found.append(Item(name=name, fields=fields, identities=((name,), (source, target))))
    return found


def mute_times(rendered: Rendered) -> list[Item]:
    """When whom nothing is told."""
    found = listed(_file(rendered), "time_intervals")
    return [Item(name=said["name"], fields=flat(said.get("time_intervals"))) for said in found]
