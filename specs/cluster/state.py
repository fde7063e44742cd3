"""kube-state-metrics: what is declared in the cluster, and what became of it."""

from collections.abc import Sequence
from dataclasses import replace

from specs.cluster.kept import KEPT
from specs.cluster.names import STATE, STATE_SELF
from specs.cluster.owners import steps
from specs.discovery import keep
from specs.monitoring import ScrapeJob
from specs.part import Context
from specs.programs import KUBE_STATE_METRICS
from specs.system import System
from specs.workload import Alone, ApiAccess, ApiRule, Port, Probe, Resources, Workload

PORT = 8080
SELF_PORT = 8081
WATCHED = (
    ("", ("namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods", "resourcequotas")),
    ("apps", ("daemonsets", "deployments", "statefulsets")),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("batch", ("cronjobs", "jobs")),
    ("policy", ("poddisruptionbudgets",)),
)
"""Kinds of objects by API group: neither Secrets nor ConfigMaps, whose contents it would be sent."""


def workload(context: Context) -> Workload:
    """The one workload; a second would say the same."""
    return Workload(
        name=STATE,
        program=context.program(KUBE_STATE_METRICS),
        summary="metrics of the cluster's objects",
        ports=(Port(name="http", number=PORT), Port(name="self", number=SELF_PORT)),
        args=(
            f"--host={context.addresses.host()}",
            f"--port={PORT}",
            f"--telemetry-host={context.addresses.host()}",
            f"--telemetry-port={SELF_PORT}",
            f"--resources={','.join(sorted(kind for _, kinds in WATCHED for kind in kinds))}",
            f"--metric-allowlist={','.join(KEPT[STATE])}",
        ),
        probe=Probe(port="self", path="/readyz"),
        # Its makers count 250 MiB for a hundred nodes.
        resources=Resources(memory="256Mi", cpu="100m"),
        extras=(
            # Rules count pods and replicas by what it tells: twice as many, while there are two of it.
            Alone(),
            ApiAccess(
                tuple(ApiRule(groups=(group,), resources=kinds, verbs=("list", "watch")) for group, kinds in WATCHED)
            ),
        ),
        page="/metrics",
    )


def jobs(context: Context, systems: Sequence[System]) -> tuple[ScrapeJob, ...]:
    """Its page about the cluster, and the one about itself."""
    about, itself = context.job(STATE, PORT), replace(context.job(STATE, SELF_PORT), name=STATE_SELF)
    found, of_itself = about.discovery, itself.discovery
    if found is None or of_itself is None:
        raise AssertionError("kube-state-metrics runs in clusters only")
    # Labels of its pod would stand in samples about others; and its series go on when another pod takes its place.
    labels = {"namespace", "pod", "container", "node", "instance"}
    relabel = tuple(step for step in found.relabel if step.get("target_label") not in labels)
    instance = {"target_label": "instance", "replacement": f"{STATE}:{PORT}"}
    drop = ({"regex": "uid", "action": "labeldrop"}, *steps(context, systems))
    return (
        replace(about, discovery=replace(found, relabel=(*relabel, instance), drop=drop, honor_labels=True)),
        replace(itself, discovery=replace(of_itself, drop=(keep("|".join(KEPT[STATE_SELF]), "__name__"),))),
    )
