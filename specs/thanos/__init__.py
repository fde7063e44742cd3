"""Thanos: every replica and shard of Prometheus as one, and a history that is longer than a volume.

Nothing here knows Prometheus: it is told what its workloads are called, and Prometheus brings it along.
"""

from specs.thanos.names import (
    FRONTEND,
    GROUP,
    HTTP_PORT,
    QUERY,
    REPLICA,
    RULER,
    SIDECAR,
    alert_relabelling,
    each,
    external_labels,
    has_ruler,
)
from specs.thanos.parts import UPLOADED, parts, sidecar
from specs.thanos.watch import JOBS, monitoring, pods_of

__all__ = [
    "FRONTEND",
    "GROUP",
    "HTTP_PORT",
    "JOBS",
    "QUERY",
    "REPLICA",
    "RULER",
    "SIDECAR",
    "UPLOADED",
    "alert_relabelling",
    "each",
    "external_labels",
    "has_ruler",
    "monitoring",
    "parts",
    "pods_of",
    "sidecar",
]
