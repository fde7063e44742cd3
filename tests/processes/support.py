"""A small program that does what the programs of a stack do, its checker, and homes to run it in."""

import json
import random
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from processes.place import Placement, Reloading

PROGRAM = '''
"""Serves what its configuration says: python program.py PORT [ARGUMENT …]; started in its data directory."""

import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

def read():
    return json.loads(Path("../config/app.json").read_text())

loaded, good, at = read(), 1, time.time()
if loaded.get("crash"):
    sys.exit("cannot run with this configuration")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            self.answer(200, f"app_good {good}\\napp_at {at!r}\\n")
        elif self.path == "/healthy":
            self.answer(503 if loaded.get("sick") else 200, "")
        else:
            self.answer(200, json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:], "environment": dict(os.environ),
                                         "directory": os.getcwd(), "loaded": loaded}))

    def do_POST(self):
        global loaded, good, at
        found = read()
        if found.get("refused"):
            good = 0
            self.answer(500, "cannot load: refused is set")
        else:
            if not found.get("ignored"):
                loaded, good, at = found, 1, time.time()
            self.answer(200, "")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''

CHECKER = '''
"""Refuses app.json of the working directory when that says so: python checker.py."""

import json, sys, time
from pathlib import Path

found = json.loads(Path("app.json").read_text())
time.sleep(found.get("slow_check", 0))
sys.exit("app.json:1: invalid is set" if found.get("invalid") else 0)
'''


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port nobody has, below the range from which connections get theirs."""
    while True:
        port = random.randrange(20000, 27000)
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass(frozen=True)
class App:
    """The small program under a name, on a port of its own."""

    name: str
    port: int
    directory: Path
    """Where program and checker stand."""

    @classmethod
    def make(cls, directory: Path, name: str = "app") -> "App":
        """Write program and checker to `directory`."""
        (directory / "program.py").write_text(PROGRAM, encoding="utf-8")
        (directory / "checker.py").write_text(CHECKER, encoding="utf-8")
        return cls(name, free_port(), directory)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> tuple[str, ...]:
        """What starts it."""
        return (sys.executable, str(self.directory / "program.py"), str(self.port), *arguments)

    def placement(  # noqa: PLR0913 - a placement has many fields
        self,
        config: Mapping[str, object],
        *arguments: str,
        files: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        generated: tuple[str, ...] = (),
        reloads: bool = False,
        start_seconds: int = 20,
    ) -> Placement:
        """The program with `config`, which its checker checks."""
        reload = Reloading(
            url=f"{self.url}/-/reload",
            metrics_url=f"{self.url}/metrics",
            metric="app_good",
            timestamp_metric="app_at",
        )
        return Placement(
            name=self.name,
            command=self.command(*arguments),
            environment={},
            files={"app.json": json.dumps(config), **(files or {})},
            secrets=secrets or {},
            generated=generated,
            checks=((sys.executable, str(self.directory / "checker.py")),),
            reload=reload if reloads else None,
            probe_url=f"{self.url}/healthy",
            start_seconds=start_seconds,
        )

    def say(self) -> dict[str, Any]:
        """What the running program says of itself."""
        found: dict[str, Any] = httpx.get(self.url, timeout=3).json()
        return found

    def await_say(self) -> dict[str, Any]:
        """The same, as soon as it answers."""
        found: dict[str, Any] = eventually(self.say)
        return found


def eventually(check: Callable[[], object], seconds: float = 20) -> Any:
    """Wait until `check` gives something true, and return that."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = check()
        except httpx.HTTPError as problem:
            last = problem
        else:
            if last:
                return last
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s (last: {last!r})")


def tree(directory: Path) -> dict[str, str]:
    """Every file below a directory with its text."""
    return {
        str(path.relative_to(directory)): path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
