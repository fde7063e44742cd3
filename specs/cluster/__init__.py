"""How a cluster itself is watched: nodes, pods and what is declared, volumes, API server and DNS.

What of it can be scraped depends on whose cluster it is (`flavors.py`); alerts are about that, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import replace

from specs.cluster import control_alerts, node_alerts, pod_alerts, state, volume_alerts, workload_alerts
from specs.cluster.flavors import reach
from specs.cluster.jobs import jobs
from specs.cluster.names import API, APP, DASHBOARDS, DNS, STATE
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


def _group(name: str, dashboard: str, alerts: Sequence[Alert], *, app: str = "", service: str = "") -> RuleGroup:
    """Alerts with their dashboard, and with whose they are where their series do not say so."""
    whose = (replace(each, app=app or each.app, service=service or each.service) for each in alerts)
    return RuleGroup(name=name, alerts=tuple(replace(each, dashboard=dashboard) for each in whose))


def _groups(context: Context) -> tuple[RuleGroup, ...]:
    reached = reach(context.settings.kubernetes)
    control = control_alerts.DASHBOARD
    certificates = control_alerts.certificates() if reached.own_certificates else ()
    controllers = control_alerts.controllers() if reached.controllers != "nowhere" else ()
    dns = control_alerts.dns() if reached.dns else ()
    groups = (
        _group("cluster-workloads", workload_alerts.DASHBOARD, workload_alerts.alerts()),
        _group("cluster-pods", pod_alerts.DASHBOARD, pod_alerts.alerts()),
        _group("cluster-nodes", node_alerts.DASHBOARD, node_alerts.alerts(), app=APP, service=node_alerts.SERVICE),
        _group("cluster-volumes", volume_alerts.DASHBOARD, volume_alerts.alerts()),
        _group("cluster-state", control, control_alerts.state(), app=STACK, service=STATE),
        _group("cluster-api", control, control_alerts.api(), app=APP, service=API),
        _group("cluster-certificates", control, certificates, app=APP, service=API),
        _group("cluster-controllers", control, controllers, app=APP),
        _group("cluster-dns", control, dns, app=APP, service=DNS),
    )
    return tuple(group for group in groups if group.alerts)


def monitoring(context: Context, systems: Sequence[System]) -> Monitoring:
    """Jobs and alerts; `systems` are those whose pods are told apart."""
    if not watched(context):
        return Monitoring()
    return Monitoring(jobs=jobs(context, systems), groups=_groups(context))
