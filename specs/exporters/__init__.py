"""The exporters. This package finds its own modules: adding an exporter is adding a file."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from specs.exporter import Exporter


@cache
def discover() -> Mapping[str, Exporter[Any]]:
    """Every exporter by its name, in the order of the names."""
    found = [importlib.import_module(f"{__name__}.{module.name}").EXPORTER for module in pkgutil.iter_modules(__path__)]
    return {exporter.name: exporter for exporter in sorted(found, key=lambda exporter: str(exporter.name))}
