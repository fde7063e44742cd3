"""A Docker engine as far as the commands ask one: its HTTP API on a Unix socket, with what a test puts there."""

import json
import re
import socketserver
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

STARTED = "2026-01-02T03:04:05.678901234Z"


@dataclass
class Engine:
    """What the engine has, and what it was asked to do."""

    url: str = ""
    architecture: str = "amd64"
    containers: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By name, as an inspection has them."""
    ports: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """By the container's name, as a list has them."""
    logs: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    """By the container's name, in the pieces that the engine sends."""
    memory: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of every container, as statistics have it."""
    images: dict[str, str] = field(default_factory=dict[str, str])
    """Reference → architecture."""
    registry: dict[str, "list[dict[str, Any]] | tuple[int, str]"] = field(
        default_factory=dict[str, "list[dict[str, Any]] | tuple[int, str]"]
    )
    """What a pull of a reference answers: its events, or a status and a message."""
    networks: list[str] = field(default_factory=lambda: ["bridge", "host", "none"])
    volumes: dict[str, str] = field(default_factory=dict[str, str])
    """Name → why it cannot be removed; empty: it can."""
    said: bytes = b""
    """What a command prints that is executed in a container."""
    archives: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """What is read out of a container: a tar by the container's name."""
    asked: list[str] = field(default_factory=list[str])
    """What changed something or executed a command: method, path without version, and more."""

    def add(self, name: str, status: str = "running", *, restarts: int = 0, **state: Any) -> None:
        """Put a container there."""
        self.containers[name] = {
            "Id": f"id-of-{name}",
            "Name": f"/{name}",
            "RestartCount": restarts,
            "Config": {"Tty": False},
            "State": {"Status": status, "ExitCode": 0, "OOMKilled": False, "StartedAt": STARTED, **state},
        }

    def find(self, reference: str) -> dict[str, Any] | None:
        """A container by name or id."""
        return self.containers.get(reference.removeprefix("id-of-"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        del format, args

    def _answer(self, value: object, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status, "application/json")

    def _send(self, body: bytes, status: int = 200, kind: str = "application/vnd.docker.raw-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: list[dict[str, Any]]) -> None:
        """One chunk for each event, as an engine sends them while it works."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = json.dumps(event).encode() + b"\r\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")

    def _not_found(self, what: str) -> None:
        self._answer({"message": f"No such {what}"}, 404)

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        path = unquote(re.sub(r"^/v[\d.]+", "", parts.path))
        return path, {key: values[0] for key, values in parse_qs(parts.query).items()}

    def do_GET(self) -> None:  # noqa: C901, PLR0912 - one branch for each page of the API
        """Answer what there is."""
        path, query = self._asked()
        engine = self.engine
        if path == "/version":
            self._answer({"ApiVersion": "1.41", "Version": "20.10.24", "Os": "linux", "Arch": engine.architecture})
        elif path == "/containers/json":
            self._answer(
                [
                    {"Id": found["Id"], "Names": [found["Name"]], "Ports": engine.ports.get(name, [])}
                    for name, found in engine.containers.items()
                    if query.get("all") == "1" or found["State"]["Status"] == "running"
                ]
            )
        elif match := re.fullmatch(r"/containers/([^/]+)/(json|stats|logs)", path):
            found = engine.find(match[1])
            if found is None:
                self._not_found(f"container: {match[1]}")
            elif match[2] == "json":
                self._answer(found)
            elif match[2] == "stats":
                self._answer({"memory_stats": engine.memory})
            else:
                pieces = engine.logs.get(found["Name"][1:], [])
                if query["tail"] != "all" and query["follow"] == "0":
                    lines = b"".join(pieces).splitlines(keepends=True)[-int(query["tail"]) :]
                    pieces = [b"".join(lines)]
                self._send(b"".join(struct.pack(">BxxxL", 1, len(piece)) + piece for piece in pieces))
        elif match := re.fullmatch(r"/containers/([^/]+)/archive", path):
            if match[1] in engine.archives:
                self._send(engine.archives[match[1]], kind="application/x-tar")
            else:
                self._not_found(f"container: {match[1]}")
        elif match := re.fullmatch(r"/images/(.+)/json", path):
            if match[1] in engine.images:
                self._answer({"Id": f"sha256:{match[1]}", "Architecture": engine.images[match[1]]})
            else:
                self._not_found(f"image: {match[1]}")
        elif path == "/networks":
            self._answer([{"Name": name, "Id": name} for name in engine.networks])
        elif path == "/volumes":
            self._answer({"Volumes": [{"Name": name} for name in engine.volumes]})
        elif match := re.fullmatch(r"/volumes/([^/]+)", path):
            self._answer({"Name": match[1]})
        elif re.fullmatch(r"/exec/[^/]+/json", path):
            self._answer({"ProcessConfig": {"tty": False}})
        else:
            self._not_found(f"page: {path}")

    def do_POST(self) -> None:
        """Do what is asked."""
        path, query = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        engine = self.engine
        if path == "/images/create":
            reference = f"{query['fromImage']}{'@' if query['tag'].startswith('sha256:') else ':'}{query['tag']}"
            engine.asked.append(f"pull {reference}")
            answer = engine.registry.get(reference, (500, "no registry"))
            if isinstance(answer, tuple):
                self._answer({"message": answer[1]}, answer[0])
                return
            if not any("error" in event for event in answer):
                engine.images[reference] = engine.architecture
            self._stream(answer)
        elif match := re.fullmatch(r"/containers/([^/]+)/start", path):
            engine.asked.append(f"start {match[1]}")
            engine.containers[match[1]]["State"]["Status"] = "running"
            self._send(b"", 204)
        elif match := re.fullmatch(r"/containers/([^/]+)/exec", path):
            engine.asked.append(f"exec {match[1]} {' '.join(json.loads(body)['Cmd'])}")
            self._answer({"Id": "executed"}, 201)
        elif path == "/exec/executed/start":
            # As the engine does: what follows is no HTTP, and ends with the connection.
            self.send_response(101)
            self.send_header("Upgrade", "tcp")
            self.end_headers()
            self.wfile.flush()
            # A command takes a moment before it prints. What came with the headers, the SDK's buffer would swallow.
            time.sleep(0.2)
            self.wfile.write(struct.pack(">BxxxL", 1, len(engine.said)) + engine.said)
            self.close_connection = True
        else:
            self._not_found(f"page: {path}")

    def do_DELETE(self) -> None:
        """Remove a volume."""
        name = self._asked()[0].removeprefix("/volumes/")
        if self.engine.volumes[name]:
            self._answer({"message": self.engine.volumes[name]}, 409)
            return
        del self.engine.volumes[name]
        self.engine.asked.append(f"remove {name}")
        self._send(b"", 204)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    # Connections to a Unix socket are refused once this many wait: health asks for all parts at once.
    request_queue_size = 128


@contextmanager
def serving(socket: Path) -> Generator[Engine, None, None]:
    """An engine that answers on `socket`."""
    engine = Engine(url=f"unix://{socket}")
    handler = type("Handler", (_Handler,), {"engine": engine})
    server = _Server(str(socket), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def now() -> str:
    """This moment, as engines write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime())
