"""What runs: programs, versions, arguments and sizes, by manifests where there are some, else by the inventory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from specs.model import size_bytes
from tools.changes.files import Rendered
from tools.changes.items import Item, listed, mapping

NODES = "each node"
SOFTWARE = ("image", "version", "digest")
"""What a program is, other than how it is called."""
_PODS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A program of the stack, and what each replica of it takes."""

    name: str
    """`<workload>`, or `<workload>/<container>` of one that runs beside it."""
    image: str
    """With its tag; a bare version where no container runs it."""
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of its environment, where no manifest has them."""
    replicas: str = "1"
    """A number, or NODES."""
    memory: str = ""
    """In Kubernetes' form, as `256Mi`; empty: not said."""
    cpu: str = ""
    volume: str = ""
    """Empty: none."""
    leads: bool = True
    """Whether replicas and volume are its own, and not those of what it runs beside."""


def parts(rendered: Rendered) -> list[Part]:
    """Every program that runs."""
    found = [part for manifest in rendered.manifests(*_PODS) for part in _containers(manifest)]
    return found or list(_workloads(mapping(rendered.inventory, "workloads")))


def _containers(manifest: Mapping[str, Any]) -> Iterator[Part]:
    spec, name = manifest["spec"], manifest["metadata"]["name"]
    replicas = NODES if manifest["kind"] == "DaemonSet" else str(spec.get("replicas", 1))
    claims = [claim["spec"]["resources"]["requests"]["storage"] for claim in listed(spec, "volumeClaimTemplates")]
    for index, container in enumerate(listed(spec, "template", "spec", "containers")):
        requests, limits = mapping(container, "resources", "requests"), mapping(container, "resources", "limits")
        yield Part(
            name=name if index == 0 else f"{name}/{container['name']}",
            image=container["image"],
            arguments=tuple(container.get("args") or ()),
            replicas=replicas,
            memory=limits.get("memory") or requests.get("memory", ""),
            cpu=str(requests.get("cpu", "")),
            volume=claims[0] if claims and index == 0 else "",
            leads=index == 0,
        )


def _workloads(found: Mapping[str, Any]) -> Iterator[Part]:
    for name, said in found.items():
        resources = mapping(said, "resources")
        yield Part(
            name=name,
            image=said.get("image") or said.get("version") or "",
            arguments=tuple(said.get("arguments") or ()),
            variables=mapping(said, "variables"),
            memory=resources.get("memory", ""),
            cpu=resources.get("cpu", ""),
            volume=said.get("volume") or "",
        )


def programs(rendered: Rendered) -> list[Item]:
    """Image, version and arguments of every program."""
    return [_program(part) for part in parts(rendered)]


def _program(part: Part) -> Item:
    digestless, at, digest = part.image.partition("@")
    image, colon, version = digestless.rpartition(":")
    # A registry's port stands before a slash, a tag never does.
    if not colon or "/" in version:
        image, version = ("", digestless) if "/" not in digestless else (digestless, "")
    fields = dict(zip(SOFTWARE, (image, version, digest if at else ""), strict=True))
    flags: dict[str, list[str]] = {}
    for argument in part.arguments:
        flag, _, value = argument.partition("=")
        flags.setdefault(flag, []).append(value or "on")
    said = {key: value for key, value in fields.items() if value}
    said |= {flag: ", ".join(values) for flag, values in flags.items()}
    return Item(name=part.name, fields=said | {f"${name}": value for name, value in part.variables.items()})


def sizes(rendered: Rendered) -> list[Item]:
    """Replicas of every part, and what each takes."""
    return [
        Item(
            name=part.name,
            fields={
                key: value
                for key, value in {
                    "replicas": part.replicas if part.leads else "",
                    "memory": part.memory and size(_bytes(part.memory)),
                    "cores": part.cpu and f"{_cores(part.cpu):g}",
                    "volume": part.volume and size(_bytes(part.volume)),
                }.items()
                if value
            },
        )
        for part in parts(rendered)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What all parts take; those of every node are counted for one node."""

    pods: int
    """Or containers, or processes."""
    memory: int
    """Bytes."""
    cores: float
    volumes: int
    """Bytes."""
    node_memory: int
    """Bytes, on each node."""
    node_cores: float


def totals(rendered: Rendered) -> Totals:
    """What everything takes together."""
    found = parts(rendered)
    once = [(part, int(part.replicas)) for part in found if part.replicas != NODES]
    nodes = [part for part in found if part.replicas == NODES]
    return Totals(
        pods=sum(number for part, number in once if part.leads),
        memory=sum(number * _bytes(part.memory) for part, number in once),
        cores=round(sum(number * _cores(part.cpu) for part, number in once), 3),
        volumes=sum(number * _bytes(part.volume) for part, number in once),
        node_memory=sum(_bytes(part.memory) for part in nodes),
        node_cores=round(sum(_cores(part.cpu) for part in nodes), 3),
    )


def size(number: float) -> str:
    """Bytes in Kubernetes' form, rounded: `1.5Gi`."""
    for name, unit in (("Ti", 2**40), ("Gi", 2**30)):
        if number >= unit:
            return f"{number / unit:.1f}".removesuffix(".0") + name
    return f"{number / 2**20:.0f}Mi"


def _bytes(written: str) -> int:
    return size_bytes(written) if written else 0


def _cores(cpu: str) -> float:
    if not cpu:
        return 0
    return float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
