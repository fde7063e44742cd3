"""Outputs of the project's own stacks, as `pulumi stack output --json --show-secrets` would tell them."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from specs.model import parse
from specs.outputs import readable
from specs.settings import KEY, Settings, load
from specs.stack import Stack, build

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: Mapping[str, Any] = json.loads((ROOT / "docs" / "outputs.schema.json").read_text(encoding="utf-8"))
HOME = "/home/of/the/stack"
EVERYTHING: Mapping[str, Any] = {
    "environment": "test",
    "cluster": "test",
    "runtime": "docker",
    "elk": True,
    "apm": True,
    "errors": {"to": "glitchtip", "dsn": {"secret": "sentry-dsn"}},
    "alerting": {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}},
}
"""A stack with all that is optional."""


def _told(stack: Stack) -> dict[str, Any]:
    home = HOME if stack.context.on_one_machine else ""
    # As they come back: without what is null at the top.
    return {key: item for key, item in readable(stack.outputs(home)).items() if item is not None}


@cache
def _outputs(name: str) -> str:
    if name == "everything":
        settings, file = parse(Settings, EVERYTHING, file="Pulumi.test.yaml", key=KEY), "Pulumi.test.yaml"
    else:
        file = f"Pulumi.{name}.yaml"
        settings = load(ROOT / file)
    return json.dumps(_told(build(settings, file=file)))


def outputs(name: str) -> dict[str, Any]:
    """Outputs of the stack `local`, `dev`, `prod` or `everything`; a secret reads `<secret: KEY>`."""
    found: dict[str, Any] = json.loads(_outputs(name))
    return found
