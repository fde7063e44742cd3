"""Outputs, settings and secrets: what others rely on, what was asked for, and what is needed by name."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import yaml

from specs.model import SettingsError
from specs.settings import KEY
from tools.changes.files import Rendered
from tools.changes.items import Change, Difference, Item, flat, mapping, text

_NOTHING = "nothing"
_UNSET = "no value in the stack file"
_PROJECT = KEY.partition(":")[0]


def outputs(rendered: Rendered) -> list[Item]:
    """Every output, with the type of its value."""
    return [
        Item(name=path, fields={"type": kind} if kind == _NOTHING else {"type": kind, "value": said})
        for path, (kind, said) in _leaves(mapping(rendered.inventory, "outputs"), "")
    ]


def _leaves(value: Mapping[str, Any], at: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for key, inner in value.items():
        path = f"{at}.{key}" if at else key
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(cast("Mapping[str, Any]", inner), path)
        else:
            said = cast("object", inner)
            yield path, (_type(said), text(said))


def _type(value: object) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "mapping"


def breaking(difference: Difference) -> list[str]:
    """A line for each output that applications may read, and that is gone or has another type."""
    return [*_gone(difference), *_retyped(difference)]


def _gone(difference: Difference) -> Iterator[str]:
    for item in difference.removed:
        if item.fields["type"] != _NOTHING:
            same = [new.name for new in difference.added if new.fields == item.fields]
            # One that holds the same and is new is most likely the same under another name.
            yield f"output {item.name} is {f'renamed to {same[0]}' if len(same) == 1 else 'removed'}"


def _retyped(difference: Difference) -> Iterator[str]:
    for item in difference.changed:
        before, after = item.fields.get("type", (_NOTHING, _NOTHING))
        if before != _NOTHING:
            yield f"output {item.name} was {before} and is {after}"


def settings(stack_file: str, name: str) -> list[Item]:
    """Every setting of a stack file. Raises SettingsError, naming the file, when it is no YAML."""
    return [Item(name=path, fields={"value": said}) for path, said in flat(_config(stack_file, name).get(KEY)).items()]


def _config(stack_file: str, name: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(stack_file)
    except yaml.YAMLError as problem:
        # Not its whole text, which quotes lines of the file.
        why = getattr(problem, "problem", None) or "cannot be read"
        raise SettingsError(f"{name}: {why} (accepted: YAML)") from None
    return mapping(found, "config")


def secrets(rendered: Rendered, stack_file: str, name: str) -> list[Item]:
    """Every secret that is needed, and whether the stack file has a value of it: never the value."""
    config = _config(stack_file, name)
    needed = cast("Sequence[str]", rendered.inventory.get("secrets") or ())
    found: list[Item] = []
    for key in sorted({*needed, *_configured(config)}):
        fields = {"needed": "yes" if key in needed else "no"}
        value = config.get(f"{_PROJECT}:{key}")
        if value is not None:
            # Enough to see that another one was set, and too little to guess it by: what is digested is encrypted.
            digest = hashlib.sha256(repr(value).encode()).hexdigest()
            fields["value"] = digest
        found.append(Item(name=key, fields=fields))
    return found


def _configured(config: Mapping[str, Any]) -> Iterator[str]:
    for key in config:
        project, _, name = key.partition(":")
        if project == _PROJECT and key != KEY:
            yield name


def unread(fields: Mapping[str, Change]) -> Mapping[str, Change]:
    """Says in words that a secret has another value."""
    found = dict(fields)
    if "value" in found:
        before, after = found["value"]
        now = "another value" if before and after else "a value" if after else _UNSET
        found["value"] = ("a value" if before else _UNSET, now)
    return found
