"""Who talks to whom on a cluster: one flow for each address that a part is told, each scrape job, each way in.

Nothing is listed here that stands somewhere else: what a part dials is read out of what is rendered for it
(docs/network.md).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from specs import links
from specs.addresses import PEERS
from specs.dialled import NODE, Dialled, dialled, in_text, texts
from specs.discovery import NODE_NAMESPACE
from specs.flow import (
    ANYWHERE,
    API_SERVER,
    CLIENT,
    DNS,
    EVERY_POD,
    EVERY_TCP,
    IDENTITY,
    KUBELET,
    NAME_SERVERS,
    WEB,
    End,
    Flow,
    Net,
    Part,
    Pods,
    Reach,
    merged,
)
from specs.monitoring import Discovery, ScrapeJob
from specs.programs import ALERTMANAGER, PROMETHEUS
from specs.settings import Kubernetes
from specs.stack import Stack
from specs.workload import ApiAccess, Dials, Workload

_TELLS: Mapping[str, tuple[Reach, ...]] = {
    "url_file": WEB,
    "api_url_file": (Reach(443),),
    "routing_key_file": (Reach(443),),
}
"""Ports of the channels of Alertmanager whose addresses are secrets or their services' own, by the key of the secret."""
_OUTSIDE: tuple[End, ...] = (ANYWHERE, EVERY_POD)
"""Ranges of addresses are no pods to some networks, so both are said."""
_Way = tuple[tuple[End, ...], tuple[Reach, ...], str]
"""Targets, their ports, and why."""


def flows(stack: Stack) -> tuple[Flow, ...]:
    """Every connection that the parts of a Kubernetes stack need, and no other."""
    return _Network(stack).flows()


def namespace_of(workload: Workload, kubernetes: Kubernetes) -> str:
    """The namespace of the pods of `workload`."""
    return f"{kubernetes.namespace}{NODE_NAMESPACE if workload.on_nodes else ''}"


class _Network:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._settings = stack.context.settings
        own = self._settings.kubernetes.namespace
        self._namespaces = (own, f"{own}{NODE_NAMESPACE}")
        self._parts = {workload.name: workload for workload in stack.workloads}

    def flows(self) -> tuple[Flow, ...]:
        found = merged(
            (
                *(flow for workload in self._stack.workloads for flow in self._outward(workload)),
                *(flow for job in self._stack.jobs for flow in self._scraped(job)),
                *(flow for workload in self._stack.workloads for flow in self._inward(workload)),
            )
        )
        askers = dict.fromkeys(flow.source for flow in found if isinstance(flow.source, Part))
        servers: tuple[End, ...] = (
            *NAME_SERVERS,
            *([Net(self._settings.kubernetes.dns)] if self._settings.kubernetes.dns else []),
        )
        names = (
            Flow(source=part, target=server, ports=DNS, why="asks for names") for part in askers for server in servers
        )
        return merged((*found, *names))

    def _part(self, workload: Workload) -> Part:
        return Part(workload.name, namespace_of(workload, self._settings.kubernetes))

    def _outward(self, workload: Workload) -> Iterator[Flow]:
        """What a workload dials, and its replicas each other."""
        part = self._part(workload)
        for targets, ports, why in (*self._told(workload), *self._asked(workload)):
            for target in targets:
                yield Flow(source=part, target=target, ports=ports, why=why)

    def _told(self, workload: Workload) -> Iterator[_Way]:
        """What stands in what is rendered for it, and in the settings."""
        for program in (workload, *workload.beside):
            for address in (*dialled(program), *self._named(program)):
                target, ports = self._end(address)
                yield (target,), ports, "is told its address"
        for text in self._settings.kubernetes.dials.get(workload.name, ()):
            for address in in_text(text):
                target, ports = self._end(address)
                yield (target,), ports, "kubernetes.dials"
        if workload.program.name == ALERTMANAGER.name:
            for ports in _channels(workload):
                yield _OUTSIDE, ports, "notifications"

    def _asked(self, workload: Workload) -> Iterator[_Way]:
        """What it asks for beside addresses."""
        for name in workload.peers:
            port = workload.port(name)
            yield (self._part(workload),), (Reach(port.number, port.protocol),), "replicas among themselves"
        if self._asks_identity(workload):
            for target, ports in IDENTITY:
                yield (target,), ports, "the identity of its pod"
        for extra in workload.extras:
            if isinstance(extra, ApiAccess):
                yield (ANYWHERE,), API_SERVER, "the API server"
            elif isinstance(extra, Dials):
                yield _OUTSIDE, tuple(Reach(port) for port in extra.ports), extra.why

    def _named(self, program: Workload) -> Iterator[Dialled]:
        """Addresses of the settings whose port does not stand where the host does."""
        storage, told = self._settings.object_storage, texts(program)
        if storage and storage.endpoint in told:
            host, _, port = storage.endpoint.partition(":")
            yield Dialled(host, int(port) if port else 80 if storage.insecure else 443)
        for server in self._settings.traces.servers:
            for address in in_text(server):
                if address.host in told:
                    yield address

    def _asks_identity(self, workload: Workload) -> bool:
        storage = self._settings.object_storage
        if storage is None or storage.access_key or storage.credentials:
            return False
        return any(storage.endpoint in texts(program) for program in (workload, *workload.beside))

    def _end(self, address: Dialled) -> tuple[End, tuple[Reach, ...]]:
        """What an address stands for."""
        host = address.host.rstrip(".")
        if host == NODE:
            return ANYWHERE, (Reach(address.port),)
        bare = host.removesuffix(".cluster.local").removesuffix(".svc")
        labels = bare.split(".")
        if bare != host or len(labels) == 1 or labels[-1] in self._namespaces:
            namespace = labels[-1] if len(labels) > 1 else self._namespaces[0]
            workload = self._workload(labels[-2] if len(labels) > 1 else bare, namespace)
            # Of a Service of others, the port of the pods behind it may be any: policies see that one.
            return (self._part(workload), _reached(workload, address)) if workload else (Pods(namespace), EVERY_TCP)
        ports = (Reach(address.port),) if address.port else EVERY_TCP
        if re.fullmatch(r"[\d.]+", host):
            return Net((f"{ip_address(host)}/32",)), ports
        return ANYWHERE, ports

    def _workload(self, name: str, namespace: str) -> Workload | None:
        if namespace not in self._namespaces:
            return None
        return self._parts.get(name) or self._parts.get(name.removesuffix(PEERS))

    def _scraped(self, job: ScrapeJob) -> Iterator[Flow]:
        """What Prometheus scrapes, and what exporters probe for it."""
        servers = [self._part(each) for each in self._parts.values() if each.program.name == PROMETHEUS.name]
        addresses = [address for target in job.targets for address in in_text(target.address)]
        if job.through:
            exporter, ports = self._end(next(in_text(job.through)))
            yield from (Flow(source=server, target=exporter, ports=ports, why=f"job {job.name}") for server in servers)
            yield from self._jobs([exporter], map(self._end, addresses), f"probes for job {job.name}")
        else:
            yield from self._jobs(servers, map(self._end, addresses), f"job {job.name}")
        if job.discovery:
            yield from self._jobs(servers, self._discovered(job.discovery), f"job {job.name}")

    @staticmethod
    def _jobs(sources: Iterable[End], targets: Iterable[tuple[End, tuple[Reach, ...]]], why: str) -> Iterator[Flow]:
        reached = list(targets)
        for source in sources:
            yield from (Flow(source=source, target=target, ports=ports, why=why) for target, ports in reached)

    def _discovered(self, found: Discovery) -> Iterator[tuple[End, tuple[Reach, ...]]]:
        if found.role == "node":
            yield ANYWHERE, _rewritten(found) or (Reach(KUBELET),)
            return
        if found.role != "pod":
            for namespace in found.namespaces:
                yield (ANYWHERE, API_SERVER) if namespace == "default" else (Pods(namespace), EVERY_TCP)
            return
        for workload in self._stack.workloads:
            for program in (workload, *workload.beside):
                for port in program.ports:
                    labels = _pod_labels(
                        workload, program, port.number, namespace_of(workload, self._settings.kubernetes)
                    )
                    if port.protocol == "tcp" and _kept(found, labels):
                        yield self._part(workload), (Reach(port.number),)
        others = [namespace for namespace in found.namespaces if namespace not in self._namespaces]
        yield from ((Pods(namespace), EVERY_TCP) for namespace in others)
        if not found.namespaces:
            yield EVERY_POD, EVERY_TCP

    def _inward(self, workload: Workload) -> Iterator[Flow]:
        """Who may dial a workload from outside of the stack."""
        part = self._part(workload)
        published = tuple(Reach(port.number, port.protocol) for port in workload.ports if port.published)
        if published:
            known = links.asks(workload.name) or workload.name in links.TAKERS
            clients = EVERY_POD if known else Pods(labels=(CLIENT,))
            why = "applications" if known else "applications that say so by a label"
            yield Flow(source=clients, target=part, ports=published, why=why)
        asked = links.ingress(self._stack.context)
        if asked and workload.name in asked.hosts:
            main = (Reach(workload.ports[0].number),)
            for source in _controllers(links.controllers(asked)):
                yield Flow(source=source, target=part, ports=main, why="people, by the way in from outside")


def _controllers(places: tuple[str, ...]) -> tuple[End, ...]:
    if not places:
        return (EVERY_POD, ANYWHERE)
    ranges = tuple(place for place in places if "/" in place)
    named: list[End] = [Pods(place) for place in places if "/" not in place]
    return (*named, *([Net(ranges)] if ranges else []))


def _reached(workload: Workload, address: Dialled) -> tuple[Reach, ...]:
    """The ports of `workload` that an address means; all of them where it names none."""
    ports = [port for program in (workload, *workload.beside) for port in program.ports]
    meant = [
        port
        for port in ports
        if (port.number == address.port if address.port else not address.port_name or port.name == address.port_name)
    ]
    return tuple(Reach(port.number, port.protocol) for port in meant) or (Reach(address.port),)


def _channels(workload: Workload) -> Iterator[tuple[Reach, ...]]:
    """Ports of the channels of an Alertmanager that no address stands for."""
    text = workload.files["alertmanager.yml"]
    yield from (ports for key, ports in _TELLS.items() if re.search(rf"^[ -]*{key}:", text, re.MULTILINE))


_META = "__meta_kubernetes_"


def _pod_labels(workload: Workload, program: Workload, port: int, namespace: str) -> dict[str, str]:
    """What discovery says of a port of one of the stack's own pods."""
    return {
        f"{_META}namespace": namespace,
        f"{_META}pod_phase": "Running",
        f"{_META}pod_container_init": "false",
        f"{_META}pod_container_name": program.name,
        f"{_META}pod_container_port_number": str(port),
        f"{_META}pod_label_app_kubernetes_io_part_of": "observability",
        f"{_META}pod_label_app_kubernetes_io_name": workload.program.name,
        f"{_META}pod_label_app_kubernetes_io_instance": workload.name,
    }


def _kept(found: Discovery, labels: Mapping[str, str]) -> bool:
    """Whether relabelling keeps a target with these labels."""
    if found.namespaces and labels[f"{_META}namespace"] not in found.namespaces:
        return False
    for step in found.relabel:
        value = ";".join(labels.get(label, "") for label in step.get("source_labels", ()))
        matches = re.fullmatch(step.get("regex", ".*"), value) is not None
        if (step.get("action") == "keep" and not matches) or (step.get("action") == "drop" and matches):
            return False
    return True


def _rewritten(found: Discovery) -> tuple[Reach, ...]:
    """Ports that relabelling puts in the place of the discovered one."""
    steps: Iterable[Mapping[str, Any]] = found.relabel
    to = [str(step.get("replacement", "")) for step in steps if step.get("target_label") == "__address__"]
    return tuple(Reach(int(port[1])) for text in to if (port := re.search(r":(\d+)$", text)))
