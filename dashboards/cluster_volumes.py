"""Volumes of a Kubernetes cluster."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import WIDTH, fill
from dashboards.clusters import HERE, OBJECTS, of_namespaces, page
from dashboards.limits import Limits
from dashboards.panels import Column, bars, graph, table_of

FOLDER = "cluster"
_BY = "by (namespace, persistentvolumeclaim)"
_NAME = "{{namespace}} {{persistentvolumeclaim}}"


def _of(metric: str) -> str:
    return f"min {_BY} (kubelet_volume_stats_{metric}{{{OBJECTS}}})"


def dashboard(limits: Limits) -> Dashboard:
    """How full they are, when they will be, and which are not there."""
    free = f"{_of('available_bytes')} / ({_of('capacity_bytes')} > 0)"
    inodes = f"{_of('inodes_free')} / ({_of('inodes')} > 0)"
    grown = f"max {_BY} (deriv(kubelet_volume_stats_available_bytes{{{OBJECTS}}}[6h]))"
    return fill(
        of_namespaces(
            page("Cluster Volumes", description="Volumes: how full they are, and when they will be."),
            "kube_persistentvolumeclaim_info",
        ),
        [
            bars(
                "Taken",
                description="Share of each volume that is taken now.",
                unit="percentunit",
                queries=[(f"1 - {free}", _NAME)],
                limits=limits.of("VolumeNearlyFull", rest=True),
                highest=1,
                width=WIDTH,
            ),
            table_of(
                "Volumes",
                description="Size and room of each volume, and when it is full at the pace of the last six hours.",
                columns=[
                    Column(title="Size", expr=_of("capacity_bytes"), unit="bytes"),
                    Column(title="Free", expr=_of("available_bytes"), unit="bytes"),
                    Column(
                        title="Of its size",
                        expr=free,
                        unit="percentunit",
                        limits=limits.of("VolumeNearlyFull", below=True),
                    ),
                    Column(title="Full in", expr=f"{_of('available_bytes')} / -({grown} < -1)", unit="s"),
                    Column(
                        title="Inodes free",
                        expr=inodes,
                        unit="percentunit",
                        limits=limits.of("VolumeInodesLow", below=True),
                    ),
                ],
                labels=("persistentvolumeclaim", "namespace"),
                width=WIDTH,
                height=10,
            ),
            graph(
                "Free",
                description="Share of each volume that is free.",
                unit="percentunit",
                queries=[(free, _NAME)],
                limits=limits.of("VolumeNearlyFull", below=True),
            ),
            graph(
                "Inodes Free",
                description="Share of each volume's inodes that are free.",
                unit="percentunit",
                queries=[(inodes, _NAME)],
                limits=limits.of("VolumeInodesLow", below=True),
            ),
            graph(
                "Taken by Namespace",
                description="Bytes that are taken on the volumes of each namespace.",
                unit="bytes",
                queries=[(f"sum by (namespace) ({_of('capacity_bytes')} - {_of('available_bytes')})", "{{namespace}}")],
            ),
            table_of(
                "Asked for by Storage Class",
                description="Claims of each storage class, and what they ask for together.",
                columns=[
                    Column(
                        title="Claims",
                        expr=f"count by (storageclass) (kube_persistentvolumeclaim_info{{{OBJECTS}}})",
                    ),
                    Column(
                        title="Asked for",
                        expr=(
                            "sum by (storageclass) ("
                            f"kube_persistentvolumeclaim_resource_requests_storage_bytes{{{OBJECTS}}}"
                            " * on (environment, namespace, persistentvolumeclaim) group_left (storageclass)"
                            f" kube_persistentvolumeclaim_info{{{OBJECTS}}})"
                        ),
                        unit="bytes",
                    ),
                ],
                labels=("storageclass",),
            ),
            graph(
                "Claims by Phase",
                description="Claims that have a volume, wait for one, and have lost theirs.",
                unit="short",
                queries=[(f"sum by (phase) (kube_persistentvolumeclaim_status_phase{{{OBJECTS}}})", "{{phase}}")],
            ),
            graph(
                "Volumes by Phase",
                description="Volumes of the whole cluster: bound, free, given back, and those that could not be.",
                unit="short",
                queries=[(f"sum by (phase) (kube_persistentvolume_status_phase{{{HERE}}})", "{{phase}}")],
            ),
        ],
    )
