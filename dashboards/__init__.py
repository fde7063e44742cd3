"""Dashboards as data. This package finds its own modules: each has `FOLDER` and `dashboard()`.

The uid of a dashboard is its module's name, with dashes: links to it stay good.
"""

import importlib
import json
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from grafana_foundation_sdk.cog.encoder import JSONEncoder


@cache
def render() -> Mapping[str, Mapping[str, Any]]:
    """Every dashboard as Grafana's JSON model, by `<folder>/<uid>.json`, in that order."""
    found: dict[str, Mapping[str, Any]] = {}
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name == "panels":
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        uid = module_info.name.replace("_", "-")
        builder = module.dashboard().uid(uid)
        text = JSONEncoder(sort_keys=True).encode(builder.build())
        found[f"{module.FOLDER}/{uid}.json"] = cast("dict[str, Any]", json.loads(text))
    return dict(sorted(found.items()))
