"""Images made of nothing but the native programs, and a registry that serves them under everybody's names.

It is asked in the place of quay.io, docker.io and the rest, and has each repository under every tag, so that a stack of
another version is the same program under another name. A tag that begins with `missing` is not there.
"""

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from specs import programs
from specs.workload import Program
from tools import native

POD = "docker.io/cluster/pod:1"
"""The program of tools/native/modules/coredns that is neither CoreDNS nor of the stack."""
DNS = "docker.io/cluster/coredns:1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """A piece of an image."""

    path: Path
    digest: str
    size: int


def repository(image: str) -> str:
    """`quay.io/prometheus/prometheus:v3` → `prometheus/prometheus`, by which a registry knows it."""
    return re.sub(r"(:[^/]*)?(@.*)?$", "", image).partition("/")[2]


def executables() -> Mapping[str, Path]:
    """The executable of each image, by its repository: of the stack's images those whose program is here."""
    names = {repository(POD): "observability-pod", repository(DNS): "coredns"}
    names |= {
        repository(program.image): program.binary
        for program in vars(programs).values()
        if isinstance(program, Program) and program.image
    }
    found: dict[str, Path] = {}
    for image, name in names.items():
        # What no table names is a program of other registries, such as celery.
        with suppress(native.NativeError):
            if (located := native.locate(name)) is not None:
                found[image] = located.path.resolve()
    return found


def _libraries(binary: Path) -> list[Path]:
    """What the program is linked with: Debian's are, ours are not."""
    said = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", said.stdout)] if said.returncode == 0 else []


class Store:
    """Images below a directory, each made when it is first asked for."""

    def __init__(self, directory: Path, binaries: Mapping[str, Path]) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._binaries = binaries
        self._manifests: dict[str, bytes] = {}
        self._blobs: dict[str, Blob] = {}
        self._lock = Lock()

    def blob(self, digest: str) -> Blob | None:
        """A piece of an image that was asked for."""
        return self._blobs.get(digest)

    def manifest(self, name: str, reference: str) -> bytes | None:
        """The manifest of the repository `name`, by a tag or by its digest."""
        with self._lock:
            if reference.startswith("sha256:"):
                return self._manifests.get(reference)
            if name not in self._binaries or reference.startswith("missing"):
                return None
            return self._manifests.get(name) or self._make(name, self._binaries[name])

    def _make(self, name: str, binary: Path) -> bytes:
        layer = self._layer(name, binary)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/bin/{binary.name}"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        }
        path = self._directory / f"{layer.path.stem}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._described(path, _CONFIG),
            "layers": [self._described(layer.path, _LAYER)],
        }
        text = json.dumps(manifest).encode()
        self._manifests[name] = self._manifests[_digest(text)] = text
        return text

    def _layer(self, name: str, binary: Path) -> Blob:
        path = self._directory / f"{name.replace('/', '-')}.tar"
        with tarfile.open(path, "w") as archive:
            for directory in ("bin", "etc", "tmp"):
                entry = tarfile.TarInfo(directory)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            libraries = {str(path)[1:]: path for path in _libraries(binary)}
            for inside, file in {f"bin/{binary.name}": binary, **libraries}.items():
                with file.open("rb") as content:
                    entry = tarfile.TarInfo(inside)
                    entry.mode, entry.size = 0o755, file.stat().st_size
                    archive.addfile(entry, content)
        return self._kept(path)

    def _kept(self, path: Path) -> Blob:
        with path.open("rb") as content:
            digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
        return self._blobs.setdefault(digest, Blob(path, digest, path.stat().st_size))

    def _described(self, path: Path, media: str) -> Mapping[str, Any]:
        blob = self._kept(path)
        return {"mediaType": media, "digest": blob.digest, "size": blob.size}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Answer(BaseHTTPRequestHandler):
    """The part of the registries' protocol that pulling takes."""

    protocol_version = "HTTP/1.1"
    store: Store

    def do_GET(self) -> None:
        """Answer with what is asked for."""
        found = re.fullmatch(r"/v2/(?:(.+)/(manifests|blobs)/([^/]+))?", self.path.partition("?")[0])
        name, kind, reference = found.groups() if found else ("", "", "")
        if found and kind is None:
            self._say(200, "application/json", io.BytesIO(b"{}"), 2)
        elif kind == "manifests" and (text := self.store.manifest(name, reference)) is not None:
            self._say(200, _MANIFEST, io.BytesIO(text), len(text), _digest(text))
        elif kind == "blobs" and (blob := self.store.blob(reference)) is not None:
            with blob.path.open("rb") as content:
                self._say(200, "application/octet-stream", content, blob.size, blob.digest)
        else:
            self._say(404, "application/json", io.BytesIO(b"{}"), 2)

    do_HEAD = do_GET  # noqa: N815 - likewise

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
        """Say nothing."""

    def _say(self, status: int, media: str, content: io.BufferedIOBase, size: int, digest: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        while self.command == "GET" and (piece := content.read(_PIECE)):
            self.wfile.write(piece)


@contextmanager
def registry(directory: Path, address: str) -> Generator[str]:
    """Serve the images of all native programs there are at `address`; yields the registry's URL."""
    answer = type("Answer", (_Answer,), {"store": Store(directory, executables())})
    with ThreadingHTTPServer((address, 0), answer) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()
