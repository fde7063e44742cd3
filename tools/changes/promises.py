"""Outputs, settings and secrets: what others rely on, what was asked for, and what is needed by name."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import yaml

from specs.model import SettingsError
from specs.settings import KEY
from tools.changes.files import Rendered
from tools.changes.items import Change, Difference, Item, flat, mapping, text

_NOTHING = "nothing"
_SET = "set"
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


def hollow(item: Item) -> bool:
    """Whether an output was nothing, or a mapping of nothing: whatever comes in its place breaks nobody."""
    return item.fields["type"] in {_NOTHING, _type({})}


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
    """Every secret that is needed, and every other key of the stack file but the settings, as `kubernetes:context`;
    whether the stack file has a value of it: never the value."""
    config = _config(stack_file, name)
    needed = cast("Sequence[str]", rendered.inventory.get("secrets") or ())
    found: list[Item] = []
    configured = dict(_configured(config))
    for key in sorted({*needed, *configured}):
        # What other programs are configured by is no secret of the stack.
        fields = {} if ":" in key else {"needed": "yes" if key in needed else "no"}
        value = configured.get(key)
        if value is not None:
            # Enough to see that another one was set, and too little to guess it by: what is digested is encrypted.
            digest = hashlib.sha256(repr(value).encode()).hexdigest()
            fields["value"] = digest
        found.append(Item(name=key, fields=fields))
    return found


def _configured(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if key != KEY:
            yield key.removeprefix(f"{_PROJECT}:"), value


def undigested(item: Item) -> Item:
    """Says in a word that a secret that is new, or gone, has a value."""
    return replace(item, fields={**item.fields, "value": _SET}) if "value" in item.fields else item


def unread(fields: Mapping[str, Change]) -> Mapping[str, Change]:
    """Says in words that a secret has another value."""
    found = dict(fields)
    if "value" in found:
        before, after = found["value"]
        now = "another value" if before and after else "a value" if after else _UNSET
        found["value"] = ("a value" if before else _UNSET, now)
    return found
