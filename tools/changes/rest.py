"""What no subject tells of: programs' own files, key by key, and the raw difference."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from specs.model import SettingsError
from tools.changes.files import Rendered, differing
from tools.changes.items import Difference, Item, compare, flat

_MANIFESTS = "kubernetes/"
_COPY = re.compile(r"kubernetes/configmap-.*|grafana/dashboards/.*|inventory\.json")
"""Files that hold others again, or what can be read off others."""
_TOLD = re.compile(
    r"[^/]+/rules/.*|dashboards/.*|alertmanager/alertmanager\.yml:(route|receivers|inhibit_rules|time_intervals).*"
    r"|prometheus/prometheus\.yml:(scrape_configs|storage\.tsdb\.retention).*"
    r"|loki/loki\.yml:limits_config\.(retention_period|retention_stream|reject_old_samples_max_age).*"
)
"""Files, or `file:key`, that subjects tell of."""


def settings_of_programs(before: Rendered, after: Rendered) -> Difference:
    """How the files of programs differ, key by key where they are YAML or JSON."""
    untold = [path for path in differing(before, after) if not _is_told(path)]
    old, new = ([_file(side, path) for path in untold if path in side.paths] for side in (before, after))
    return compare(old, new)


def _is_told(path: str) -> bool:
    return bool(path.startswith(_MANIFESTS) or _COPY.fullmatch(path) or _TOLD.fullmatch(path))


def _file(rendered: Rendered, path: str) -> Item:
    if not path.endswith((".yml", ".yaml", ".json")):
        return Item(name=path, fields={"text": rendered.text(path)})
    try:
        found = rendered.value(path)
    except SettingsError:
        # A program's YAML may have tags of its own.
        return Item(name=path, fields={"text": rendered.text(path)})
    fields = flat(found) or {"text": rendered.text(path)}
    return Item(name=path, fields={key: said for key, said in fields.items() if not _TOLD.fullmatch(f"{path}:{key}")})


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """The differing files as such."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    copies: tuple[str, ...]
    """Differing files that hold others of these again: they are left out of the lines."""
    lines: tuple[str, ...]
    """A unified diff of all but copies."""


def raw(before: Rendered, after: Rendered) -> Raw:
    """The unified difference of all rendered files."""
    every = differing(before, after)
    copies = tuple(path for path in every if _COPY.fullmatch(path))
    shown = [path for path in every if path not in copies]
    return Raw(
        added=tuple(path for path in shown if path not in before.paths),
        removed=tuple(path for path in shown if path not in after.paths),
        changed=tuple(path for path in shown if path in before.paths and path in after.paths),
        copies=copies,
        lines=tuple(line for path in shown for line in _unified(before, after, path)),
    )


def _unified(before: Rendered, after: Rendered, path: str) -> Iterator[str]:
    old, new = (side.text(path).splitlines() for side in (before, after))
    was, is_ = (
        f"{letter}/{path}" if path in side.paths else "/dev/null" for letter, side in (("a", before), ("b", after))
    )
    yield from difflib.unified_diff(old, new, was, is_, lineterm="")
