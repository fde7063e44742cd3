"""Everything says what it is of: who finds it in a cluster or on an engine knows whom to ask."""

from collections.abc import Iterator

from .model import CONTAINER, Config, Resource, Rule, at, mapping, names

REQUIRED = frozenset({"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"})
_KINDS = frozenset(
    {
        *(
            "Deployment",
            "StatefulSet",
            "DaemonSet",
            "Job",
            "CronJob",
            "Service",
            "ServiceAccount",
            "ConfigMap",
            "Secret",
        ),
        *("Ingress", "HTTPRoute", "NetworkPolicy", "PodDisruptionBudget", "ClusterRole", "ClusterRoleBinding", "Role"),
        *("RoleBinding", "PriorityClass"),
    }
)
"""Not namespaces, whose labels are what a cluster admits there, nor claims, whose templates can never change."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    required = names(config, "required", REQUIRED)
    if resource.type != CONTAINER and resource.kind not in _KINDS:
        return
    if missing := sorted(required - {key for key, value in resource.labels.items() if value}):
        yield f"has no label {', '.join(missing)}"
    if resource.pod is not None:
        labels = mapping(at(resource.pod, "metadata.labels"))
        if missing := sorted(required - {key for key, value in labels.items() if value}):
            yield f"its pods have no label {', '.join(missing)}"


LABELS = Rule(
    name="labels",
    title="Containers, pods and objects of a cluster say which stack and workload they are of.",
    remedy="Give them the labels of components/runtimes/containers.py.",
    resource=_check,
    settings={"required": {"type": "array", "items": {"type": "string"}, "default": sorted(REQUIRED)}},
)
