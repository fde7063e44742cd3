"""What has to be there before a stack is brought up on a Docker engine, so that it fails early, and in plain words."""

import contextlib
import errno
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from docker.errors import APIError, NotFound
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from processes.ports import holders, named
from specs.settings import KEY
from tools import images
from tools.docker_engine import ENDS, Containers, EngineError, published, words

_EVERYWHERE = {"0.0.0.0", ""}  # noqa: S104 - what engines answer
_AT_A_TIME = 3
"""Pulls: as many as Docker's own command has layers."""


def refuse(engine: Containers, deployed: Collection[str]) -> None:
    """Raise EngineError naming what stands in the way: a network that is missing, a port or a name that is taken, an
    image that cannot run there. `deployed` are the names that the stack's own containers and networks have already."""
    lines = [*_networks(engine), *_names(engine, deployed), *_ports(engine, deployed), *_architectures(engine)]
    if lines:
        raise EngineError("\n".join(lines))


def refuse_unreachable_grafana(engine: Containers) -> None:
    """Raise EngineError where Grafana's provider would wait in vain: an engine elsewhere publishes Grafana's port on
    its own loopback, and no tunnel brings it here."""
    content = engine.stack.grafana_content
    if content is None or content.elsewhere or engine.where.local:
        return
    address = urlsplit(content.url)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port), timeout=3):
        return
    there = urlsplit(engine.where.url)
    user = f"{there.username}@" if there.username else ""
    raise EngineError(
        f"{engine.stack.context.file}: {KEY}.grafana.delivery: the provider dials {content.url}, where nothing listens"
        f" (keep it open meanwhile: ssh -N -L {address.port}:127.0.0.1:{address.port} {user}{there.hostname};"
        " or accepted: files)"
    )


def _networks(engine: Containers) -> Iterator[str]:
    wanted = engine.stack.context.settings.docker.networks
    if not wanted:
        return
    there = sorted(_known_networks(engine))
    for name in wanted:
        if name not in there:
            yield (
                f"{engine.stack.context.file}: {KEY}.docker.networks: the engine has no network {name}"
                f" (make it: docker network create {name}; it has: {', '.join(there)})"
            )


def _known_networks(engine: Containers) -> set[str]:
    return {str(network["Name"]) for network in engine.api.networks()}


def _names(engine: Containers, deployed: Collection[str]) -> Iterator[str]:
    """Names of the stack's that something of somebody else's has: of a project of the same name, or a lost state."""
    file, own = engine.stack.context.file, engine.stack.context.settings.docker.network
    wanted = {engine.name(workload.name) + end for workload in engine.stack.workloads for end in ENDS}
    for container in sorted((engine.names() & wanted) - set(deployed)):
        yield (
            f"container {container} exists, and is not this stack's"
            f" (docker rm --force {container}, or another {file}: {KEY}.docker.network)"
        )
    if own not in deployed and own in _known_networks(engine):
        yield (
            f"network {own} exists, and is not this stack's"
            f" (docker network rm {own}, or another {file}: {KEY}.docker.network)"
        )


def _clash(one: str, other: str) -> bool:
    return one == other or bool({one, other} & _EVERYWHERE)


def _is_free(address: str, port: int, protocol: str) -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            # As the engine does: connections that are only lingering hold no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as problem:
            return problem.errno != errno.EADDRINUSE
    return True


def _ports(engine: Containers, deployed: Collection[str]) -> Iterator[str]:
    """Ports that somebody else holds: another container, or a program of this machine where the engine is here."""
    settings, file = engine.stack.context.settings, engine.stack.context.file
    # Those of the last `up` have other names where the network's has changed, and go before the new ones come.
    own = {*deployed, *(engine.name(workload.name) for workload in engine.stack.workloads)}
    held: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for container in engine.api.containers():
        name = str(container["Names"][0]).lstrip("/")
        mapped: list[dict[str, Any]] = container.get("Ports") or []
        for each in mapped:
            if "PublicPort" in each:
                held.setdefault((each["PublicPort"], each["Type"]), []).append((each.get("IP", ""), name))
    found: Mapping[tuple[int, str], int | None] | None = None
    for number, port, workload in published(engine.stack):
        names = {name for address, name in held.get((number, port.protocol), []) if _clash(address, settings.bind)}
        if names & own:
            continue
        who = f"container {min(names)}" if names else ""
        if not who and engine.where.local and not _is_free(settings.bind, number, port.protocol):
            found = holders() if found is None else found
            who = named(found.get((number, port.protocol)))
        if who:
            yield (
                f"port {number}/{port.protocol} of {workload.name} is held by {who}"
                f" (end that, or move this stack's ports: {file}: {KEY}.port_offset, now {settings.port_offset})"
            )


def _architecture(engine: Containers) -> str:
    return str(engine.client.version()["Arch"])


def _architectures(engine: Containers) -> Iterator[str]:
    """Images that are there, but for other processors."""
    here = _architecture(engine)
    for reference in images.references(engine.stack):
        try:
            made_for = engine.client.images.get(reference).attrs.get("Architecture") or here
        except NotFound:
            continue
        if made_for != here:
            yield (
                f"{reference}: made for {made_for}, but the engine runs {here}"
                f" (docker pull --platform linux/{here} {reference})"
            )


def absent(engine: Containers) -> list[str]:
    """Images of the stack that the engine does not have."""
    found: list[str] = []
    for reference in images.references(engine.stack):
        try:
            engine.client.images.get(reference)
        except NotFound:
            found.append(reference)
    return found


def refused(reference: str, said: str, status: int | None, *, architecture: str, file: str) -> str:
    """Why an image could not be pulled, from what the engine `said` with an HTTP `status`: one line that helps."""
    lower = said.lower()
    if "no matching manifest" in lower or "specified platform" in lower:
        return f"{reference}: there is none for {architecture} (take a version that has one: {file}: {KEY}.versions)"
    if any(phrase in lower for phrase in ("unauthorized", "denied", "authentication required")):
        return f"{reference}: there is none, or its registry wants a login: {said} (docker login; or another version)"
    if status == 404 or "not found" in lower or "manifest unknown" in lower:
        return f"{reference}: its registry has no such image: {said} (look at {file}: {KEY}.versions)"
    return (
        f"{reference}: its registry does not answer: {said} (bring it by docker save and docker load,"
        f" or name a mirror: {file}: {KEY}.docker.registry)"
    )


def pull(engine: Containers, references: Iterable[str], console: Console) -> None:
    """Pull images and show how far they are. Raises EngineError with one line for each that does not come."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=console,
        transient=True,
    )

    def one(reference: str) -> str:
        task = progress.add_task(reference, total=None)
        try:
            problem = _pull(engine, reference, _shown(progress, task))
        finally:
            progress.remove_task(task)
        if not problem:
            progress.console.print(f"pulled {reference}", highlight=False, soft_wrap=True)
        return problem

    with progress, ThreadPoolExecutor(max_workers=_AT_A_TIME) as pool:
        lines = [problem for problem in pool.map(one, references) if problem]
    if lines:
        raise EngineError("\n".join(lines))


def _shown(progress: Progress, task: TaskID) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return show


def _pull(engine: Containers, reference: str, show: Callable[[int, int], None]) -> str:
    """Pull one image, telling `show` bytes done and all bytes known of. What went wrong, in one line, or nothing."""
    said, status = "", None
    layers: dict[str, tuple[int, int]] = {}
    try:
        for event in engine.api.pull(reference, stream=True, decode=True):
            said = event.get("error", said)
            detail: dict[str, int] = event.get("progressDetail") or {}
            if event.get("status") == "Downloading" and detail.get("total"):
                layers[event["id"]] = (detail["current"], detail["total"])
            elif event.get("status") == "Download complete" and event["id"] in layers:
                total = layers[event["id"]][1]
                layers[event["id"]] = (total, total)
            show(sum(done for done, _ in layers.values()), sum(total for _, total in layers.values()) or 1)
    except APIError as problem:
        said, status = words(problem), problem.status_code
    if not said:
        return ""
    return refused(reference, said, status, architecture=_architecture(engine), file=engine.stack.context.file)
