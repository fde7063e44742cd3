"""Dashboards as data. This package finds its own modules: those with a `FOLDER` have `dashboard(limits)`.

The uid of such a dashboard is its module's name, with dashes: links to it stay good. Those of systems come from their
profiles, by `systems.py`.
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from dashboards import systems as of_systems
from dashboards.boards import plain
from dashboards.limits import Limits
from specs.model import SettingsError
from specs.monitoring import RuleGroup
from specs.system import System


@lru_cache(maxsize=8)
def _modules(limits: Limits) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        if hasattr(module, "FOLDER"):
            uid = module_info.name.replace("_", "-")
            found[f"{module.FOLDER}/{uid}.json"] = plain(module.dashboard(limits).uid(uid).build())
    return found


def render(
    systems: Sequence[System] = (), groups: Iterable[RuleGroup] = (), *, absent: Collection[str] = ()
) -> Mapping[str, Mapping[str, Any]]:
    """Every dashboard as Grafana's JSON model, by `<folder>/<uid>.json`, in that order.

    The limits of `groups`, the alerts of the stack, are drawn in the panels that they are about. What is in `absent`,
    an exporter or an optional part, has no dashboard.

    Raises SettingsError when two dashboards share a uid.
    """
    alerts = [alert for group in groups for alert in group.alerts if alert.threshold is not None]
    limits = Limits(alerts=tuple(alert for alert in alerts if not alert.of))
    paths = ("exporters/exporter-{}.json", "observability/{}.json", "cluster/{}.json")
    left_out = {path.format(name) for name in absent for path in paths}
    own = {path: board for path, board in _modules(limits).items() if path not in left_out}
    found = {**own, **of_systems.render(systems, alerts, limits)}
    taken: dict[str, str] = {}
    for path, board in found.items():
        uid = str(board["uid"])
        if uid in taken:
            raise SettingsError(
                f"{path.partition('/')[0]}.yaml: dashboards: {uid} is the uid of {taken[uid]} as well (accepted: another uid)"
            )
        taken[uid] = path
    return dict(sorted(found.items()))
