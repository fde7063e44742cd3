"""The Docker engine as the commands use it: which one, what runs on it, what it says.

Everything is asked through the engine's own API, so that it works wherever the engine is.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast
from urllib.parse import urlsplit

import docker
import requests
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig

from processes.errors import ProcessError
from specs import prometheus
from specs.model import SettingsError
from specs.settings import read_yaml
from specs.stack import Stack
from specs.workload import Port, Workload
from tools import health

SOCKET = "unix:///var/run/docker.sock"
ENDS = ("", "-files", "-secrets")
"""Ends of the names of a workload's containers: its own, and those that put its files into place and exit."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LAST_WORDS = 200
"""Characters: some programs end with a whole stack of calls on one line."""
_TUNNEL_SECONDS = 60
"""Somebody may have to type a passphrase."""


class EngineError(ProcessError):
    """There is no Docker engine, or it does not do what is asked. `str()` is the whole message, a line each problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Which Docker engine."""

    url: str
    """As Docker writes it: `unix:///path`, `ssh://user@host`, `tcp://host:2376`."""
    chosen_by: str
    """Who says so, for people."""
    certificates: str = ""
    """Directory with `ca.pem`, `cert.pem` and `key.pem`; empty: no TLS."""
    by_context: bool = False
    """Whether a context of Docker's own command names it, of which Pulumi's provider knows nothing."""

    @property
    def local(self) -> bool:
        """Whether published ports are this machine's."""
        parts = urlsplit(self.url)
        return parts.scheme in {"unix", "npipe"} or parts.hostname in _LOOPBACK

    def __str__(self) -> str:
        return f"{self.url} ({self.chosen_by})"


def where(file: Path, base: Mapping[str, str] = os.environ) -> Where:
    """The engine of a stack file: its `docker:host`, else DOCKER_HOST, else the context of Docker's own command.

    Raises SettingsError when the file's is not text, and EngineError when there is no such context.
    """
    config = cast("dict[str, object]", read_yaml(file).get("config") or {})
    given = {key: config.get(f"docker:{key}") for key in ("host", "certPath")}
    for key, value in given.items():
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{file.name}: docker:{key}: not text (accepted: in the clear, since commands read it)")
    certificates = str(given["certPath"] or base.get("DOCKER_CERT_PATH") or "")
    if given["host"]:
        return Where(url=str(given["host"]), chosen_by=f"docker:host in {file.name}", certificates=certificates)
    if base.get("DOCKER_HOST"):
        return Where(url=base["DOCKER_HOST"], chosen_by="DOCKER_HOST", certificates=certificates)
    return _of_context(base.get("DOCKER_CONTEXT"), certificates)


def _of_context(wanted: str | None, certificates: str) -> Where:
    try:
        context: Any = ContextAPI.get_context(wanted)
    except Exception as problem:  # noqa: BLE001 - the SDK raises bare Exceptions about files it cannot read
        raise EngineError(f"Docker context {wanted or '(current)'}: cannot be read: {problem}") from None
    if context is None:
        raise EngineError(f"Docker context {wanted or '(current)'}: no such context (docker context ls shows them)")
    if context.Name == "default":
        return Where(url=SOCKET, chosen_by="Docker's default", certificates=certificates)
    tls = Path(str(context.tls_path)) / "docker"
    return Where(
        url=str(context.Host),
        chosen_by=f"Docker context {context.Name}",
        certificates=str(tls) if (tls / "key.pem").is_file() else certificates,
        by_context=True,
    )


def environment(engine: Where) -> dict[str, str]:
    """How Pulumi's provider is told of `engine`: it knows no current context."""
    return {
        "DOCKER_HOST": engine.url,
        **({"DOCKER_CERT_PATH": engine.certificates} if engine.certificates else {}),
    }


def _reason(problem: BaseException) -> str:
    """What the system said, out of the wrappings of three libraries."""
    waiting: list[object] = [problem]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            waiting += [*found.args, getattr(found, "reason", None), found.__cause__, found.__context__]
    return str(problem)


def words(problem: Exception) -> str:
    """The engine's own words, on one line."""
    said = problem.explanation if isinstance(problem, APIError) and problem.explanation else _reason(problem)
    return " ".join(str(said).split())


@contextlib.contextmanager
def _tunnel(url: str) -> Generator[str, None, None]:
    """A socket of this machine that leads to the engine's on an `ssh://` host. One connection serves all requests."""
    parts = urlsplit(url)
    target = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
    with tempfile.TemporaryDirectory(prefix="observability-") as directory:
        socket = Path(directory) / "docker.sock"
        command = [
            "ssh",
            *("-N", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10"),
            *(["-p", str(parts.port)] if parts.port else []),
            *("-L", f"{socket}:{parts.path or '/var/run/docker.sock'}", "--", target),
        ]
        try:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise EngineError(f"{url}: there is no ssh on PATH (install OpenSSH's client)") from None
        try:
            deadline = time.monotonic() + _TUNNEL_SECONDS
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    process.terminate()
                    said = " ".join(process.communicate()[1].split()) or f"not there after {_TUNNEL_SECONDS} s"
                    raise EngineError(f"{url}: no way there by ssh: {said}")
                time.sleep(0.05)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait()


def _client(url: str, certificates: str) -> "docker.DockerClient":
    pems = [str(Path(certificates) / name) for name in ("cert.pem", "key.pem", "ca.pem")]
    tls = TLSConfig(client_cert=(pems[0], pems[1]), ca_cert=pems[2], verify=True) if certificates else False
    # Threads ask for many containers at once.
    return docker.DockerClient(base_url=url, version="auto", tls=tls, max_pool_size=16)


def _advice(problem: BaseException, file: str) -> str:
    if _reason(problem) == "Permission denied":
        return "join the group docker and log in again, or use a rootless engine"
    return f"start Docker, or name another engine: DOCKER_HOST, docker context use, or docker:host in {file}"


@contextlib.contextmanager
def connected(engine: Where, stack: Stack) -> Generator["Containers", None, None]:
    """The stack's containers on `engine`. Raises EngineError in one line when it does not answer."""
    with contextlib.ExitStack() as kept:
        url = engine.url
        if urlsplit(url).scheme == "ssh":
            url = kept.enter_context(_tunnel(url))
        try:
            client = kept.enter_context(contextlib.closing(_client(url, engine.certificates)))
        except (DockerException, requests.RequestException, ValueError) as problem:
            raise EngineError(
                f"{engine}: no Docker engine answers: {words(problem)} ({_advice(problem, stack.context.file)})"
            ) from None
        try:
            yield Containers(client=client, where=engine, stack=stack)
        except (DockerException, requests.RequestException) as problem:
            raise EngineError(f"{engine}: the engine says: {words(problem)}") from None


def _seconds_since(moment: str) -> float:
    """Since an engine's time, which has nine digits of a second and is in UTC."""
    return max(0.0, time.time() - datetime.fromisoformat(f"{moment[:19]}+00:00").timestamp())


def state_words(state: Mapping[str, Any], restarts: int = 0) -> str:
    """The `State` of an inspected container: what is wrong, `healthy`, or nothing when it runs and says no more."""
    status = state["Status"]
    ended = "out of memory" if state.get("OOMKilled") else f"exit status {state['ExitCode']}"
    match status:
        case "running":
            asked: Mapping[str, Any] = state.get("Health") or {}
            found = str(asked.get("Status", ""))
            if found != "unhealthy":
                return "" if found == "none" else found
            answers: list[dict[str, Any]] = asked.get("Log") or [{}]
            said = str(answers[-1].get("Output", "")).split("\n")[0].strip()
            return f"unhealthy: {said[:60]}" if said else "unhealthy"
        case "restarting":
            return f"restarting ({ended}, {restarts} times)"
        case "exited" | "dead":
            return f"{status} ({ended})"
        case "created":
            return f"never started: {state['Error']}" if state.get("Error") else "never started"
        case _:
            return str(status)


def resident(stats: Mapping[str, Any]) -> int:
    """Bytes that a container holds, as `docker stats` counts them: without files that could be dropped; 0: unknown."""
    memory: Mapping[str, Any] = stats.get("memory_stats") or {}
    more: Mapping[str, int] = memory.get("stats") or {}
    return max(0, int(memory.get("usage", 0)) - int(more.get("total_inactive_file", more.get("inactive_file", 0))))


@dataclass(frozen=True, kw_only=True)
class Containers:
    """A stack's containers on an engine that answers. A `tools.health.Keeper`."""

    client: "docker.DockerClient"
    where: Where
    stack: Stack

    @property
    def api(self) -> Any:
        """The engine's API, whose answers are JSON."""
        return self.client.api

    def name(self, workload: str) -> str:
        """Name of a workload's container, and the beginning of its volumes' names."""
        return f"{self.stack.context.settings.docker.network}-{workload}"

    def names(self) -> set[str]:
        """Names of all containers that the engine has, running or not."""
        return {str(name).lstrip("/") for found in self.api.containers(all=True) for name in found["Names"]}

    def gone(self, deployed: Collection[str]) -> list[str]:
        """Parts whose container was deployed, by the names of `deployed`, and is no more."""
        there = self.names()
        return [
            workload.name
            for workload in self.stack.workloads
            if self.name(workload.name) in deployed and self.name(workload.name) not in there
        ]

    def stopped(self) -> list[str]:
        """Parts whose container was stopped, or killed, by hand: the engine does not start such again."""
        return [
            workload.name
            for workload in self.stack.workloads
            if (found := self._inspected(self.name(workload.name))) and found["State"]["Status"] == "exited"
        ]

    def start(self, parts: Iterable[str]) -> None:
        """Start what was stopped. What does not start is told by its health."""
        for part in parts:
            with contextlib.suppress(APIError):
                self.api.start(self.name(part))

    def _inspected(self, container: str) -> "Mapping[str, Any] | None":
        try:
            found: Mapping[str, Any] = self.api.inspect_container(container)
        except NotFound:
            return None
        return found

    def running(self) -> Mapping[str, health.Running]:
        """Every part as the engine sees it, all asked at the same time."""
        names = [workload.name for workload in self.stack.workloads]
        with ThreadPoolExecutor(max_workers=16) as pool:
            return dict(zip(names, pool.map(self._running, names), strict=True))

    def _running(self, workload: str) -> health.Running:
        found = self._inspected(self.name(workload))
        if found is None:
            return health.Running(words="no container")
        state = found["State"]
        said = state_words(state, found.get("RestartCount", 0))
        if state["Status"] != "running":
            return health.Running(words=said)
        try:
            memory = resident(self.api.stats(found["Id"], stream=False, one_shot=True))
        except DockerException:
            # Engines before 20.10 have no quick figures, and a container may have ended meanwhile.
            memory = 0
        return health.Running(words=said, memory=memory, uptime=_seconds_since(state["StartedAt"]))

    def reaches(self, port: Port) -> bool:
        """Published ports of an engine on this machine."""
        return port.published and self.where.local

    def targets(self) -> Mapping[str, bool]:
        """Asked through the published port; of an engine elsewhere inside Prometheus' own container."""
        if self.where.local:
            return health.scraped(self.stack)
        client = self.stack.workload(prometheus.NAME).program.client
        url = health.targets_url(self.stack, f"127.0.0.1:{prometheus.PORT}")
        command = {"wget": ["wget", "-q", "-O", "-", url], "curl": ["curl", "-sf", url]}.get(client)
        if command is None:
            return {}
        try:
            # What is printed at once, the SDK loses now and then with the answer's headers: then it is asked again.
            for _ in range(3):
                asked = self.api.exec_create(self.name(prometheus.NAME), command, stderr=False)
                if said := self.api.exec_start(asked["Id"]):
                    return health.told(json.loads(said))
        except (APIError, ValueError):
            pass
        return {}

    def forwarding(self) -> str:
        """How the URLs of an engine elsewhere come to this machine; empty for one of this machine."""
        parts = urlsplit(self.where.url)
        if self.where.local:
            return ""
        ports = [
            self.stack.context.settings.port_offset + workload.ports[0].number
            for workload in self.stack.workloads
            if workload.ports[0].published
        ]
        forwards = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
        user = f"{parts.username}@" if parts.username else ""
        return f"the URLs are {parts.hostname}'s own; here they work with: ssh -N {forwards} {user}{parts.hostname}"

    def troubles(self) -> list[str]:
        """One line for each container that did not do what it should: with the last line that it said."""
        lines: list[str] = []
        for workload in self.stack.workloads:
            for end in ENDS:
                found = self._inspected(self.name(workload.name) + end)
                if found is None:
                    continue
                said = state_words(found["State"], found.get("RestartCount", 0))
                # What prepares is done when it exited well.
                if said in {"", "healthy", "starting"} or (end and said == "exited (exit status 0)"):
                    continue
                last = self._lines(found["Id"], 1)
                lines.append(f"{workload.name}{end}: {said}" + (f": {last[-1].strip()[:_LAST_WORDS]}" if last else ""))
        return lines

    def _lines(self, container: str, count: int) -> list[str]:
        text: bytes = self.api.logs(container, stdout=True, stderr=True, tail=count)
        return text.decode(errors="replace").splitlines()

    def logs(self, names: Sequence[str], *, lines: int, follow: bool) -> Iterator[str]:
        """What the parts `names` say: the last `lines` of each, then what comes when `follow`. With more than one part,
        each line begins with whose it is. Raises EngineError for parts none of which has a container."""
        there = [name for name in names if self._inspected(self.name(name))]
        if not there:
            raise EngineError(f"no container of {', '.join(names)} on {self.where} (make up brings it up)")
        width = max(len(name) for name in there)

        def marked(name: str, line: str) -> str:
            return f"{name:{width}} | {line}" if len(there) > 1 else line

        if follow:
            yield from self._follow(there, lines, marked)
            return
        for name in there:
            for line in self._lines(self.name(name), lines):
                yield marked(name, line)

    def _follow(self, names: Sequence[str], lines: int, marked: Callable[[str, str], str]) -> Iterator[str]:
        came: SimpleQueue[str | None] = SimpleQueue()

        def listen(name: str) -> None:
            rest = ""
            try:
                for chunk in self.api.logs(self.name(name), stream=True, follow=True, tail=lines):
                    *whole, rest = (rest + cast("bytes", chunk).decode(errors="replace")).split("\n")
                    for line in whole:
                        came.put(marked(name, line))
            finally:
                came.put(None)

        for name in names:
            # Nobody waits for them at the end: an interrupt ends the command.
            threading.Thread(target=listen, args=(name,), daemon=True).start()
        ended = 0
        while ended < len(names):
            line = came.get()
            if line is None:
                ended += 1
            else:
                yield line

    def volumes(self) -> list[str]:
        """Names of this stack's volumes that the engine has, and of nobody else's."""
        known = {self.name("registry")}
        for workload in self.stack.workloads:
            known |= {self.name(f"{workload.name}-data"), self.name(f"{workload.name}-config")}
        return sorted(known & {str(volume.name) for volume in self.client.volumes.list()})

    def remove_volumes(self) -> list[str]:
        """Delete the stack's volumes and what is in them; their names. Raises EngineError when one is in use."""
        names = self.volumes()
        for name in names:
            try:
                self.client.volumes.get(name).remove()
            except APIError as problem:
                raise EngineError(f"volume {name}: cannot be removed: {words(problem)}") from None
        return names


def published(stack: Stack) -> Iterator[tuple[int, Port, Workload]]:
    """Every port of the host that the stack's containers publish: its number, the port inside, and whose it is."""
    for workload in stack.workloads:
        for port in workload.ports:
            if port.published:
                yield port.number + stack.context.settings.port_offset, port, workload
