"""The system of docs/adding-a-system.md: its profile, the addresses that the page gives it, and the stack they make."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from specs.model import parse
from specs.settings import KEY, Settings, read_yaml
from specs.stack import Stack, build
from tests.specs.support import ROOT

NAME = "bookshop"
FILE = "Pulumi.local.yaml"
PROFILE = ROOT / "examples" / "systems" / "bookshop.yaml"
PAGE = (ROOT / "docs" / "adding-a-system.md").read_text(encoding="utf-8")
BLOCKS = tuple(re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
"""The page's YAML."""
_LOCAL: Mapping[str, Any] = yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8"))["config"][KEY]


def addresses() -> dict[str, Any]:
    """What the page writes into the stack file for the system."""
    (block,) = (block for block in BLOCKS if block.startswith(f"# {FILE}"))
    found: dict[str, Any] = yaml.safe_load(block)["systems"][NAME]
    return found


def profile() -> dict[str, Any]:
    """The profile, as it is written."""
    return read_yaml(PROFILE)


def with_more(more: Mapping[str, Any]) -> dict[str, Any]:
    """The profile with keys of `more` added: entries to mappings and to lists."""
    found = profile()
    for key, value in more.items():
        own: Any = found.get(key)
        found[key] = {**own, **value} if isinstance(own, dict) else [*own, *value] if isinstance(own, list) else value
    return found


def stack(
    own: Mapping[str, Any] | None = None,
    *,
    name: str = NAME,
    changed: Mapping[str, Any] | None = None,
    at: Path | None = None,
) -> Stack:
    """The local stack with the bookshop at the page's addresses, or at `own`; and with the profile `changed`, which is
    written below `at`.

    Raises SettingsError when it is refused.
    """
    system = {**addresses(), **(own or {})}
    if changed is not None and at is not None:
        file = at / PROFILE.name
        file.write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
        system["profile"] = str(file)
    if name != NAME:
        system = {}
    value = copy.deepcopy(dict(_LOCAL))
    value["systems"] = {**value["systems"], name: system}
    return build(parse(Settings, value, file=FILE, key=KEY), file=FILE)
