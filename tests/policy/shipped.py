"""Recordings of the project's own stacks, as the policy pack looks at them, and changes to them."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from components.runtimes.process import OPTIONAL
from policy.rules import Resource
from specs.settings import KEY, Settings, read_yaml
from specs.stack import Stack, build
from tests.deployment import ROOT
from tools.policy.recorded import resources

Resources = tuple[Resource, ...]


def stack(name: str, settings: Mapping[str, Any] | None = None) -> Stack:
    """The stack of the project's own stack file, with other `settings` at its top."""
    body: dict[str, Any] = {**read_yaml(ROOT / f"Pulumi.{name}.yaml")["config"][KEY], **(settings or {})}
    return build(Settings.model_validate(body), file=f"Pulumi.{name}.yaml", absent=OPTIONAL if name == "local" else ())


@cache
def shipped(name: str) -> Resources:
    """What the project's own stack declares."""
    return resources(stack(name))


def changed(found: Resources, type_: str, name: str, **inputs: Any) -> Resources:
    """`found`, with other inputs of one resource: `a__b` is `b` of `a`, and None takes an input away.

    Raises AssertionError when there is no such resource.
    """
    [index] = [i for i, each in enumerate(found) if (each.type.rpartition(":")[2], each.name) == (type_, name)]
    props: Any = deepcopy(dict(found[index].props))
    for key, value in inputs.items():
        *path, last = key.split("__")
        inner: Any = props
        for part in path:
            inner = inner[int(part) if part.isdigit() else part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return (*found[:index], replace(found[index], props=props), *found[index + 1 :])
