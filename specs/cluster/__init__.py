"""How a cluster itself is watched: nodes, pods and what is declared, volumes, API server and DNS.

What of it can be scraped depends on whose cluster it is (`flavors.py`); alerts are about that, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import replace

from specs.cluster import control_alerts, node_alerts, pod_alerts, state, volume_alerts, workload_alerts
from specs.cluster.flavors import reach
from specs.cluster.jobs import jobs
from specs.cluster.names import APP, DASHBOARDS
from specs.monitoring import Alert, RuleGroup
from specs.part import APP as STACK
from specs.part import Context, Monitoring
from specs.system import System
from specs.workload import Workload

__all__ = ["APP", "DASHBOARDS", "apps", "monitoring", "watched", "workloads"]


def watched(context: Context) -> bool:
    """Whether the stack watches the cluster that it runs in."""
    return context.on_cluster and context.settings.kubernetes.watch is not None


def apps(context: Context) -> tuple[str, ...]:
    """Values of the label `app` of a stack that are no system's."""
    return (STACK, APP) if watched(context) else (STACK,)


def workloads(context: Context) -> tuple[Workload, ...]:
    """What the stack runs for it."""
    return (state.workload(context),) if watched(context) else ()


def _groups(context: Context) -> tuple[RuleGroup, ...]:
    reached = reach(context.settings.kubernetes)
    control = control_alerts.DASHBOARD
    groups: dict[str, tuple[str, tuple[Alert, ...]]] = {
        "cluster-workloads": (workload_alerts.DASHBOARD, workload_alerts.alerts()),
        "cluster-pods": (pod_alerts.DASHBOARD, pod_alerts.alerts()),
        "cluster-nodes": (node_alerts.DASHBOARD, node_alerts.alerts()),
        "cluster-volumes": (volume_alerts.DASHBOARD, volume_alerts.alerts()),
        "cluster-state": (control, control_alerts.state()),
        "cluster-api": (control, control_alerts.api()),
        "cluster-certificates": (control, control_alerts.certificates() if reached.own_certificates else ()),
        "cluster-controllers": (control, control_alerts.controllers() if reached.controllers != "nowhere" else ()),
        "cluster-dns": (control, control_alerts.dns() if reached.dns else ()),
    }
    return tuple(
        RuleGroup(name=name, alerts=tuple(replace(alert, dashboard=dashboard) for alert in alerts))
        for name, (dashboard, alerts) in groups.items()
        if alerts
    )


def monitoring(context: Context, systems: Sequence[System]) -> Monitoring:
    """Jobs and alerts; `systems` are those whose pods are told apart."""
    if not watched(context):
        return Monitoring()
    return Monitoring(jobs=jobs(context, systems), groups=_groups(context))
