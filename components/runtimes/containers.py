"""What containers have in common, wherever they run: their directories and labels."""

from specs.workload import Workload

CONFIG = "/workload/config"
DATA = "/workload/data"
REGISTRY = "/registry"
"""The layout of specs/workload.py, whose relative paths start in DATA."""
HOST = "/host"
DATA_VOLUME = "data"
"""What the volume of DATA is called in a pod; its claims are `data-<pod>`."""


def selector(workload: Workload) -> dict[str, str]:
    """Labels that find a workload. They never change, since selectors cannot: no version here."""
    return {"app.kubernetes.io/name": workload.program.name, "app.kubernetes.io/instance": workload.name}


def part_of(instance: str) -> dict[str, str]:
    """Labels of everything that a stack runs in containers."""
    return {
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/part-of": "observability",
        "app.kubernetes.io/managed-by": "pulumi",
    }


def labels(workload: Workload) -> dict[str, str]:
    """Labels that describe a workload."""
    return {
        **selector(workload),
        **part_of(workload.name),
        "app.kubernetes.io/version": workload.program.version,
    }
