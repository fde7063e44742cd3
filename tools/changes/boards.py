"""Dashboards and their panels, by Grafana's rendered JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.changes.files import Rendered
from tools.changes.items import Difference, Item, compare, flat, listed, mapping, text

DIRECTORY = "dashboards/"
_OWN = ("panels", "uid", "version", "id", "templating", "annotations", "links")
_PLACED = ("id", "gridPos", "targets", "title", "panels", "datasource")


def _boards(rendered: Rendered) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in rendered.paths:
        if path.startswith(DIRECTORY):
            yield path, rendered.value(path)


def uid(path: str) -> str:
    """A dashboard's own name, by its file's."""
    return path.rpartition("/")[2].removesuffix(".json")


def dashboards(rendered: Rendered) -> list[Item]:
    """Every dashboard: all about it but its panels."""
    found: list[Item] = []
    for path, board in _boards(rendered):
        fields = {
            "title": text(board.get("title", "")),
            "folder": path.removeprefix(DIRECTORY).rpartition("/")[0],
            "panels": str(len(list(_panels(listed(board, "panels"))))),
            **{f"variable {each['name']}": text(each) for each in listed(board, "templating", "list")},
            **{f"annotation {each['name']}": text(each) for each in listed(board, "annotations", "list")},
            **{f"link {each['title']}": text(each) for each in listed(board, "links")},
            **flat({key: value for key, value in board.items() if key not in {*_OWN, "title"}}),
        }
        found.append(Item(name=uid(path), fields=fields))
    return found


def _panels(found: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in found:
        if panel.get("type") != "row":
            yield panel
        yield from _panels(listed(panel, "panels"))


def panels(before: Rendered, after: Rendered) -> Difference:
    """How panels differ, of dashboards that both revisions have: the others are told of as a whole."""
    common = {path for path, _ in _boards(before)} & {path for path, _ in _boards(after)}
    # What is the same byte for byte, as most are, needs no look.
    common = {path for path in common if before.text(path) != after.text(path)}
    old, new = ([_panel(path, each) for path, each in _of(side, common)] for side in (before, after))
    return compare(old, new)


def _of(rendered: Rendered, paths: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, board in _boards(rendered):
        if path in paths:
            yield from ((path, panel) for panel in _panels(listed(board, "panels")))


def _panel(path: str, panel: Mapping[str, Any]) -> Item:
    board, title, kind = uid(path), str(panel.get("title") or "without a title"), str(panel.get("type"))
    place = mapping(panel, "gridPos")
    fields = {"title": title, "type": kind}
    for target in listed(panel, "targets"):
        said = {key: value for key, value in target.items() if key not in {"refId", "datasource"}}
        query = said.pop("expr", said.pop("query", ""))
        name = str(target.get("refId", ""))
        fields[f"query {name}"] = " ".join(text(query).split())
        if said:
            fields |= flat(said, f"query {name}")
    queries = tuple(value for key, value in fields.items() if key.startswith("query "))
    fields |= {
        "datasource": text(mapping(panel, "datasource").get("uid") or panel.get("datasource") or ""),
        "size": f"{place.get('w')} by {place.get('h')}",
        **flat({key: value for key, value in panel.items() if key not in _PLACED and key != "type"}),
    }
    rungs = ((board, title, kind, queries), (board, title, kind), (board, title), (board, kind, queries))
    return Item(name=f"{board} / {title}", fields=fields, identities=rungs)
