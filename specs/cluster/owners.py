"""Whose an object of the cluster is: the labels `app` and `service` of samples that tell of many systems at once."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from specs.cluster.names import APP
from specs.discovery import NODE_NAMESPACE, take
from specs.part import APP as STACK
from specs.part import Context
from specs.system import System

_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
"""Letters of the random parts of pods' names: no vowels, and nothing that looks like another letter."""
_POD = rf"(.+?)(?:-{_HASH}{{6,10}})?-(?:{_HASH}{{5}}|\d+)"
"""A pod's name: that of its Deployment, DaemonSet or StatefulSet, and what follows."""
_SERVICES = (
    ("pod", _POD),
    *((label, "(.+)") for label in ("deployment", "statefulset", "daemonset", "cronjob", "job_name")),
    *((label, "(.+)") for label in ("horizontalpodautoscaler", "poddisruptionbudget", "resourcequota")),
    ("persistentvolumeclaim", "(.+)"),
    ("container", "(.+)"),
)
"""Labels that say which part of a system an object is, the last that is there wins; and what of them does."""


def namespaces(systems: Sequence[System]) -> Mapping[str, str]:
    """Systems by their namespaces: where their pods are said to be, or Services that they are dialled by. One that
    several are in is none's."""
    found: dict[str, set[str]] = {}
    for system in systems:
        addresses = (each for served in system.settings.services.values() for each in served)
        dialled = (match[1] for each in addresses if (match := re.match(r"[^.]+\.([^.:]+)\.svc(?:\.|:|$)", each)))
        for namespace in (*(pods.namespace for pods in system.settings.pods.values()), *dialled):
            found.setdefault(namespace, set()).add(system.name)
    return {namespace: min(owners) for namespace, owners in sorted(found.items()) if len(owners) == 1}


def steps(context: Context, systems: Sequence[System]) -> tuple[Mapping[str, Any], ...]:
    """What makes `app` and `service` of the labels of samples: the system in whose namespace an object is, the stack,
    or the cluster itself."""
    own = context.settings.kubernetes.namespace
    owners = {**namespaces(systems), own: STACK, f"{own}{NODE_NAMESPACE}": STACK}
    return (
        {"target_label": "app", "replacement": APP},
        *(take("namespace", "app", f"{re.escape(namespace)}", owner) for namespace, owner in owners.items()),
        *(take(label, "service", pattern) for label, pattern in _SERVICES),
    )
