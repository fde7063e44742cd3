"""The rendered files of one revision, read when they are asked for."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from specs.model import SettingsError
from tools.changes.items import mapping

INVENTORY = "inventory.json"


@dataclass(frozen=True)
class Rendered:
    """A directory that `tools.changes.rendered.tree` gave."""

    directory: Path | None
    """None: nothing was rendered, since the revision has no such stack."""
    only: frozenset[str] | None = None
    """Of what is there, these alone are listed; None: all."""
    _read: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every file, relative to the directory, sorted."""
        if self.directory is None:
            return ()
        if self.only is not None:
            return tuple(sorted(self.only))
        root = self.directory
        return tuple(sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()))

    def listing(self, paths: Iterable[str]) -> "Rendered":
        """The same, with `paths` alone as far as they are there."""
        return replace(self, only=frozenset(self.paths) & frozenset(paths))

    def text(self, path: str) -> str:
        """What the file at `path` holds; empty: there is none."""
        if self.directory is None:
            return ""
        file = self.directory / path
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def value(self, path: str) -> Any:
        """What the YAML or JSON file at `path` says; None: there is none.

        Raises SettingsError when it cannot be read as what its name says.
        """
        if path not in self._read:
            text = self.text(path)
            try:
                # The loader in C is ten times faster, and rules and manifests are many.
                said = json.loads(text or "null") if path.endswith(".json") else yaml.load(text, _LOADER)  # noqa: S506 - safe
            except (ValueError, yaml.YAMLError) as problem:
                why = str(problem).replace("\n", " ")
                raise SettingsError(f"{self.directory}/{path}: {why} (accepted: files as rendered)") from None
            self._read[path] = said
        return self._read[path]

    @property
    def inventory(self) -> Mapping[str, Any]:
        """What the render says of itself. Revisions differ in how much that is."""
        return mapping(self.value(INVENTORY))

    def manifests(self, *kinds: str) -> Iterator[Mapping[str, Any]]:
        """Objects of a cluster, of `kinds`, or all."""
        for path in self.paths:
            # A file's name begins with its object's kind, which spares reading most of them.
            if path.startswith("kubernetes/") and (not kinds or path[11:].partition("-")[0] in _lower(kinds)):
                yield self.value(path)


_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def differing(before: Rendered, after: Rendered) -> list[str]:
    """Paths of the files that are not the same in both, sorted."""
    return [path for path in sorted({*before.paths, *after.paths}) if before.text(path) != after.text(path)]


def _lower(kinds: tuple[str, ...]) -> set[str]:
    return {kind.lower() for kind in kinds}
