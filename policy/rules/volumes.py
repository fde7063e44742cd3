"""Data outlives whoever deletes a stack by mistake."""

from collections.abc import Iterator, Sequence

from .model import VOLUME, Config, Resource, Rule, Violation, items


def _safe(resource: Resource) -> bool:
    return resource.protected or bool(resource.retained)


def _is_data(resource: Resource) -> bool:
    return resource.type == VOLUME and resource.name.endswith("-data")


def _claims(resource: Resource) -> Iterator[str]:
    policy = "spec.persistentVolumeClaimRetentionPolicy"
    for key in ("whenDeleted", "whenScaled"):
        # Unsaid, Kubernetes keeps them.
        if (resource.at(f"{policy}.{key}") or "Retain") != "Retain":
            yield f"{key}: {resource.at(f'{policy}.{key}')} deletes the volumes with their data"


def _check(resources: Sequence[Resource], _: Config) -> Iterator[Violation]:
    stateful = [
        each for each in resources if each.kind == "StatefulSet" and items(each.at("spec.volumeClaimTemplates"))
    ]
    homes = {each.at("metadata.namespace") for each in stateful}
    homes |= {each.at("metadata.namespace") for each in resources if each.kind == "PersistentVolumeClaim"}
    for resource in resources:
        if resource in stateful:
            for message in _claims(resource):
                yield Violation(resource, message)
        elif resource.kind == "Namespace" and resource.at("metadata.name") in homes and not _safe(resource):
            yield Violation(resource, "goes with the stack, and all its volume claims with it")
        elif resource.kind == "PersistentVolumeClaim" and not _safe(resource):
            yield Violation(resource, "is neither protected nor retained: it goes with the stack")
        elif resource.kind == "PersistentVolume":
            if (resource.at("spec.persistentVolumeReclaimPolicy") or "Retain") != "Retain":
                yield Violation(resource, "its reclaim policy deletes the data when its claim goes")
        # The engine does not say whether a volume is retained: only a recording does.
        elif _is_data(resource) and resource.retained is False and not resource.protected:
            yield Violation(resource, "is neither protected nor retained: it goes with the stack")


VOLUMES = Rule(
    name="protected-volumes",
    title="Volumes with data are kept when the stack, or a replica, goes.",
    remedy="Set docker.keep_volumes or kubernetes.keep_volumes to true, which is the default.",
    stack=_check,
)
