"""The pods of a Kubernetes stack as processes of this machine, each with an address of its own on loopback.

    made = build(settings, file=…)
    with Pods(home, made.workloads, made.context.settings.kubernetes.namespace) as pods:
        pods.start("alertmanager")               # every replica, ready
        pods.kill("alertmanager", 1)             # as a node that burns down; `stop` asks kindly
        pods.start("alertmanager", 1)            # again, with the data that it had
        httpx.get(pods.url("alertmanager", "http", 2))

A pod's ports are those of its workload; its address is one of 127.0.0.0/8. Names in files and arguments become
addresses: a replica's name its own, the name of all replicas one list item or argument for each, and a Service's name
that of something which hands connections on to whichever replica takes them. What is not among `workloads` is an
address at which nobody listens. A change for a test is a change of the workload, by `dataclasses.replace`, before it is
given here.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from processes.place import executable
from specs.addresses import PEERS
from specs.workload import CONFIG, DATA, Identity, Port, SecretRef, Workload
from tests.distributed.services import Services

OUTSIDE = "127.0.0.2"
"""Where a test's own servers listen: 127.0.0.1 in a file is the pod's own address."""
_NOBODY = "127.0.0.3"
_STOP_SECONDS = 60
_OWN = re.compile(r"(?<![\d.])(?:0\.0\.0\.0|127\.0\.0\.1)(?![\d.]|/\d)|\blocalhost(?=:\d)")
"""What a pod calls itself."""
_LIST_ITEM = re.compile(r"^\s*- ")
Place = tuple[str, int]
"""Name of a workload, and which of its replicas."""


class Pods:
    """Addresses for all of `workloads`, and processes for those that are started. Ends them all when it is left."""

    def __init__(
        self, home: Path, workloads: Sequence[Workload], namespace: str, secrets: Mapping[str, str] | None = None
    ) -> None:
        """`secrets` are values by key; any other secret reads `secret <key>`."""
        self.home = home
        self._workloads = {workload.name: workload for workload in workloads}
        self._secrets = secrets or {}
        self._name = re.compile(
            r"(?P<search>dns\+|dns:///|dnssrv\+_(?P<srv>[\w-]+)\._tcp\.)?"
            rf"(?P<host>[a-z0-9][a-z0-9.-]*)\.{re.escape(namespace)}\.svc(?:\.cluster\.local\.?)?(?P<port>:\d+)?"
        )
        self._namespace = namespace
        self._ips: dict[Place, str] = {}
        self._services: dict[str, str] = {}
        self._running: dict[Place, dict[str, subprocess.Popen[bytes]]] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._take_addresses()
        behind = {
            (ip, port.number): [
                (self._ips[name, index], port.number) for index in range(self._workloads[name].replicas)
            ]
            for name, ip in self._services.items()
            for port in _ports(self._workloads[name])
            if port.protocol == "tcp"
        }
        self._open.enter_context(Services(behind))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for place in list(self._running):
            self.kill(*place)
        self._open.close()

    def _take_addresses(self) -> None:
        """An address for each replica, and one for each Service of several, in a part of loopback that nobody uses."""
        busy: OSError | None = None
        for attempt in range(50):
            network = f"127.{64 + (os.getpid() + attempt * 37) % 190}"
            numbers = (f"{network}.{number // 250}.{number % 250 + 1}" for number in range(5000))
            self._ips = {
                (name, index): next(numbers)
                for name, workload in self._workloads.items()
                for index in range(workload.replicas)
            }
            self._services = {
                name: next(numbers) for name, workload in self._workloads.items() if workload.replicas > 1
            }
            owners = [*((name, ip) for (name, _), ip in self._ips.items()), *self._services.items()]
            try:
                for name, ip in owners:
                    for port in _ports(self._workloads[name]):
                        kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
                        with socket.socket(type=kind) as probe:
                            probe.bind((ip, port.number))
            except OSError as problem:
                busy = problem
                continue
            return
        raise AssertionError(f"no free addresses: {busy}")

    def ip(self, name: str, index: int = 0) -> str:
        """Address of a replica."""
        return self._ips[name, index]

    def url(self, name: str, port: str = "http", index: int | None = 0) -> str:
        """Base URL of a replica's port, by the port's name; index None: of the Service."""
        ip = self._ips[name, 0 if index is None else index]
        if index is None:
            ip = self._services.get(name, ip)
        found = next(each for each in _ports(self._workloads[name]) if each.name == port)
        return f"http://{ip}:{found.number}"

    def pids(self) -> dict[int, str]:
        """Name of the workload of each process that runs."""
        return {process.pid: name for (name, _), running in self._running.items() for process in running.values()}

    def data(self, name: str, index: int = 0) -> Path:
        """Data directory of a replica."""
        return self.home / f"{name}-{index}" / name / "data"

    def log(self, name: str, index: int = 0, container: str = "") -> str:
        """What a program of the pod has written to its output."""
        return self._log_file((name, index), container or name).read_text(encoding="utf-8", errors="replace")

    def start(self, name: str, index: int | None = None) -> None:
        """Start a replica, or every one that does not run, with what is beside it; returns once all are ready."""
        self.start_all(
            *((name, number) for number in (range(self._workloads[name].replicas) if index is None else [index]))
        )

    def start_all(self, *places: Place) -> None:
        """Start replicas of several workloads at once, since some are ready only when they have found each other."""
        for place in places:
            if place not in self._running:
                self._launch(place)
        for place in places:
            for workload in _containers(self._workloads[place[0]]):
                self._await(place, workload)

    def kill(self, name: str, index: int = 0) -> None:
        """End a replica at once. Its data stay."""
        self._end((name, index), signal.SIGKILL)

    def stop(self, name: str, index: int = 0) -> None:
        """End a replica as a cluster does when it makes room: it is told, and given a minute."""
        self._end((name, index), signal.SIGTERM)

    def _end(self, place: Place, how: signal.Signals) -> None:
        processes = self._running.pop(place)
        for process in processes.values():
            process.send_signal(how)
        for process in processes.values():
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=_STOP_SECONDS)
                raise

    def _launch(self, place: Place) -> None:
        name, _ = place
        pod = self._workloads[name]
        data = self.data(*place)
        data.mkdir(parents=True, exist_ok=True)
        identity = any(isinstance(extra, Identity) for extra in pod.extras)
        names = self._identity(place) if identity else {}
        self._running[place] = {}
        for workload in _containers(pod):
            config = data.parent.with_name(workload.name) / "config"
            for path, text in self.files(workload, place).items():
                file = config / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            given = {key: "".join(self._mapped(value, place)) for key, value in workload.environment.items()}
            arguments = [mapped for arg in workload.args for mapped in self._mapped(arg, place)]
            arguments = [re.sub(r"\$\((\w+)\)", lambda found: names.get(found[1], found[0]), arg) for arg in arguments]
            if workload is not pod:
                # Its working directory is the other one's, so that relative paths would lead to the other one's files.
                arguments = [arg.replace(CONFIG, str(config)) for arg in arguments]
                given = {key: value.replace(CONFIG, str(config)) for key, value in given.items()}
            with self._log_file(place, workload.name).open("ab") as output:
                self._running[place][workload.name] = subprocess.Popen(
                    [str(executable(workload.program.binary)), *arguments],
                    cwd=data / DATA,
                    env={**os.environ, **given, **names},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )

    def files(self, workload: Workload, place: Place) -> dict[str, str]:
        """What the workload finds below its configuration, as a part of the pod `place`."""
        secrets = {path: self._secret(ref) for path, ref in workload.secrets.items()}
        texts = {path: "".join(self._lines(text, place)) for path, text in workload.files.items()}
        if workload.name != place[0]:
            config = self.data(*place).parent.with_name(workload.name) / "config"
            texts = {path: text.replace(CONFIG, str(config)) for path, text in texts.items()}
        return {**texts, **secrets}

    def _secret(self, ref: SecretRef) -> str:
        values = {each.key: self._secrets.get(each.key, f"secret {each.key}") for each in ref.each()}
        if not ref.template:
            return values[ref.key]
        return re.sub(
            r"\$secret|\$\{([a-z0-9-]+)\}",
            lambda place: values[place[1]] if place[1] else json.dumps(values[ref.key]),
            ref.template,
        )

    def _identity(self, place: Place) -> dict[str, str]:
        name, index = place
        return {
            "POD_NAME": f"{name}-{index}",
            "POD_NAMESPACE": self._namespace,
            "POD_IP": self._ips[place],
            "NODE_NAME": f"node-{index}",
        }

    def _lines(self, text: str, place: Place) -> Iterator[str]:
        for line in text.splitlines(keepends=True):
            yield from self._mapped(line, place)

    def _mapped(self, text: str, place: Place) -> list[str]:
        """An argument or a line of a file with addresses in the place of names; one for each replica where the name is
        that of all of them."""
        text = _OWN.sub(self._ips[place], text)
        several = text.startswith("-") or bool(_LIST_ITEM.match(text))
        found = [
            workload
            for match in self._name.finditer(text)
            if (workload := self._workloads.get(match["host"].removesuffix(PEERS))) and match["host"].endswith(PEERS)
        ]
        if not found or not several:
            return [self._name.sub(lambda match: self._address(match, None), text)]
        return [
            self._name.sub(lambda match, index=index: self._address(match, index), text)  # type: ignore[misc]
            for index in range(found[0].replicas)
        ]

    def _address(self, match: re.Match[str], index: int | None) -> str:
        host: str = match["host"]
        one = re.fullmatch(rf"(?P<name>.+)-(?P<index>\d+)\.(?P=name){PEERS}", host)
        name = one["name"] if one else host if host in self._workloads else host.removesuffix(PEERS)
        if name not in self._workloads:
            return f"{_NOBODY}{match['port'] or ''}"
        ports = {port.name: port.number for port in _ports(self._workloads[name])}
        port = f":{ports[match['srv']]}" if match["srv"] else match["port"] or ""
        if one:
            return f"{self._ips[name, int(one['index'])]}{port}"
        if index is not None and host.endswith(PEERS):
            return f"{self._ips[name, index]}{port}"
        return f"{self._services.get(name, self._ips[name, 0])}{port}"

    def _log_file(self, place: Place, container: str) -> Path:
        return self.home / f"{place[0]}-{place[1]}" / f"{container}.log"

    def _await(self, place: Place, workload: Workload) -> None:
        """Until a program's probe is content."""
        process = self._running[place][workload.name]
        probe = workload.probe
        url = f"http://{self._ips[place]}:{workload.port(probe.port).number}{probe.path}"
        deadline = time.monotonic() + probe.start_seconds

        def ready() -> bool:
            if probe.command:
                command = [str(executable(probe.command[0])), *probe.command[1:]]
                return not subprocess.run(command, cwd=self.data(*place), capture_output=True, check=False).returncode
            try:
                return httpx.get(url, timeout=3).status_code == 200
            except httpx.HTTPError:
                return False

        while not ready():
            said = self.log(*place, container=workload.name)[-4000:]
            assert process.poll() is None, f"{workload.name} {place[1]} ended:\n{said}"
            assert time.monotonic() < deadline, f"{workload.name} {place[1]} is not ready ({url}):\n{said}"
            time.sleep(0.1)


def _containers(workload: Workload) -> tuple[Workload, ...]:
    return (workload, *workload.beside)


def _ports(workload: Workload) -> list[Port]:
    return [port for each in _containers(workload) for port in each.ports]
