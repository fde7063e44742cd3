"""Everything has a bound for its memory: what goes wild is stopped, and takes nobody else along."""

from collections.abc import Iterator

from .model import CONTAINER, Config, Resource, Rule, at


def _check(resource: Resource, _: Config) -> Iterator[str]:
    if resource.type == CONTAINER and not resource.at("memory"):
        yield "no limit for memory"
    for container in resource.containers:
        name = container.get("name")
        for path, what in (
            ("resources.limits.memory", "limit for memory"),
            ("resources.requests.memory", "request for memory"),
            ("resources.requests.cpu", "request for cpu"),
        ):
            if not at(container, path):
                yield f"container {name} has no {what}"


LIMITS = Rule(
    name="resource-limits",
    title="Containers have a limit for memory, and in a cluster requests for memory and cpu.",
    remedy="Set resources of the part in the stack file (docs/settings.md), or limits on the container.",
    resource=_check,
)
