"""What rules look at, and what they find."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
PROCESS = "pulumi-python:dynamic/observability:Process"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a type
_KUBERNETES = "kubernetes:"
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"})
UNKNOWN = "\0unknown"
"""Stands in the place of what only an update learns; no rule says anything about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A resource as the engine, or a recording, was told of it: inputs in the provider's own spelling."""

    type: str
    name: str
    urn: str = ""
    props: Mapping[str, Any] = field(default_factory=dict[str, Any])
    protected: bool = False
    """Whether Pulumi refuses to delete it."""
    retained: bool | None = None
    """Whether Pulumi leaves it when the stack goes; None: nobody said, as the engine does not."""
    secrets: frozenset[str] = frozenset()
    """Texts among the inputs that are marked as secret, where that is known."""

    @property
    def kind(self) -> str:
        """What a Kubernetes object is, like `Service`; empty for anything else."""
        return self.type.rpartition(":")[2] if self.type.startswith(_KUBERNETES) else ""

    @property
    def title(self) -> str:
        """What people call it: kind and name."""
        return f"{self.kind or self.type.rpartition(':')[2]} {self.label()}"

    def label(self) -> str:
        """The name it has in a cluster or on an engine, or the one it has in the program."""
        found = self.at("metadata.name") if self.kind else self.at("name")
        return found if isinstance(found, str) and found and found != UNKNOWN else self.name

    def at(self, path: str) -> Any:
        """What stands at `path`, as `spec.template.spec`; None where nothing does."""
        return at(self.props, path)

    @property
    def instance(self) -> str:
        """The workload that it belongs to, by its label `app.kubernetes.io/instance`; empty without one."""
        return str(self.labels.get("app.kubernetes.io/instance", ""))

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its labels."""
        if self.type == CONTAINER:
            return {str(each.get("label")): each.get("value") for each in maps(self.at("labels"))}
        return mapping(self.at("metadata.labels"))

    @property
    def pod(self) -> Mapping[str, Any] | None:
        """The pods' template of a Kubernetes workload; None for anything else."""
        if self.kind == "Pod":
            return {"metadata": self.at("metadata"), "spec": self.at("spec")}
        if self.kind == "CronJob":
            return mapping(self.at("spec.jobTemplate.spec.template"))
        return mapping(self.at("spec.template")) if self.kind in _WORKLOADS else None

    @property
    def containers(self) -> tuple[Mapping[str, Any], ...]:
        """Containers of those pods, also the ones that run first."""
        spec = mapping((self.pod or {}).get("spec"))
        return tuple(each for key in ("initContainers", "containers") for each in maps(spec.get(key)))


def at(value: object, path: str) -> Any:
    """What stands at `path` of a mapping; None where nothing does."""
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(key)
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """`value`, or an empty mapping where it is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def maps(value: object) -> tuple[Mapping[str, Any], ...]:
    """The mappings in `value`; none where it is no list."""
    return tuple(mapping(each) for each in items(value))


def items(value: object) -> Sequence[Any]:
    """`value`, or nothing where it is no list."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, with which resource. Never has a value that may be secret."""

    resource: Resource | None
    """None: the stack as a whole."""
    message: str


Config = Mapping[str, object]
"""Settings of a rule."""
OfResource = Callable[[Resource, Config], Iterator[str]]
OfStack = Callable[[Sequence[Resource], Config], Iterator[Violation]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule about each resource by itself, or about a stack as a whole; one of both checks is given."""

    name: str
    title: str
    """What has to be so, in a sentence."""
    remedy: str
    """What to do about a violation."""
    resource: OfResource | None = None
    stack: OfStack | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """JSON Schema of its settings, by name, with defaults."""

    def find(self, resources: Sequence[Resource], config: Config) -> Iterator[Violation]:
        """The violations in a whole stack."""
        if self.stack:
            yield from self.stack(resources, config)
        for resource in resources if self.resource else ():
            assert self.resource is not None  # noqa: S101 - for type checkers
            for message in self.resource(resource, config):
                yield Violation(resource, message)


def names(config: Config, key: str, default: frozenset[str]) -> frozenset[str]:
    """A setting that is a list of names."""
    given = config.get(key)
    return frozenset(str(each) for each in items(given)) if given is not None else default
