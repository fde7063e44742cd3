"""An object storage that speaks as much of S3 as Loki and Thanos ask for, in memory, on loopback."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.distributed.processes import OUTSIDE

ACCESS_KEY = "the-access-key"


@dataclass(slots=True)
class Storage:
    """Objects by `<bucket>/<key>`, and who asked."""

    address: str
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    askers: set[str] = field(default_factory=set[str])
    """Access keys that requests were signed with; empty text: unsigned ones."""
    broken: bool = False
    """Whether every request fails now."""


def _plain(body: bytes) -> bytes:
    """A body without the frames of a signed stream: `<length in hex>;chunk-signature=…`."""
    found = b""
    while body:
        head, _, body = body.partition(b"\r\n")
        length = int(head.partition(b";")[0], 16)
        if not length:
            break
        found, body = found + body[:length], body[length + 2 :]
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((OUTSIDE, 0), _Handler)
        self.made = Storage(address=f"{OUTSIDE}:{self.server_port}")


@contextmanager
def storage() -> Generator[Storage]:
    """A running object storage, in which any bucket exists."""
    with _Server() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.made
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Store an object."""
        if asked := self._asked():
            made, name, _, body = asked
            made.objects[name] = body
            self._answer(200, ETag=_etag(body))

    def do_DELETE(self) -> None:
        """Drop an object."""
        if asked := self._asked():
            made, name, _, _ = asked
            made.objects.pop(name, None)
            self._answer(204)

    def do_POST(self) -> None:
        """Drop several."""
        if asked := self._asked():
            made, name, _, body = asked
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                made.objects.pop(f"{name}/{key}", None)
            self._answer(200, b"<DeleteResult/>")

    def do_HEAD(self) -> None:
        """Describe an object."""
        self.do_GET()

    def do_GET(self) -> None:
        """Hand out an object, or list a bucket."""
        if not (asked := self._asked()):
            return
        made, name, query, _ = asked
        if "location" in query:
            self._answer(200, b"<LocationConstraint/>")
        elif "/" not in name:
            self._answer(200, _listing(made, name, query).encode(), Content_Type="application/xml")
        elif name in made.objects:
            self._object(made.objects[name])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")

    def _object(self, whole: bytes) -> None:
        headers = {"ETag": _etag(whole), "Last_Modified": formatdate(usegmt=True)}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not part:
            self._answer(200, whole, **headers)
            return
        first = int(part[1])
        found = whole[first : int(part[2] or len(whole)) + 1]
        where = f"bytes {first}-{first + len(found) - 1}/{len(whole)}"
        self._answer(206, found, **headers, Content_Range=where)

    def _asked(self) -> tuple[Storage, str, dict[str, list[str]], bytes] | None:
        """The storage, the path without its slash, the query and the body; None when nothing works."""
        assert isinstance(self.server, _Server)
        made = self.server.made
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("x-amz-content-sha256", "").startswith("STREAMING"):
            body = _plain(body)
        signed = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        made.askers.add(signed[1] if signed else "")
        if made.broken:
            self._answer(503)
            return None
        parts = urlsplit(self.path)
        return made, unquote(parts.path).strip("/"), parse_qs(parts.query, keep_blank_values=True), body

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def _etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def _listing(made: Storage, bucket: str, query: dict[str, list[str]]) -> str:
    """Everything at once: nobody here has more than a thousand objects."""
    prefix = query.get("prefix", [""])[0]
    delimiter = query.get("delimiter", [""])[0]
    contents: list[str] = []
    below: set[str] = set()
    for name, body in sorted(made.objects.items()):
        key = name.removeprefix(f"{bucket}/")
        if key == name or not key.startswith(prefix):
            continue
        head, found, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else ("", "", "")
        if found:
            below.add(f"{prefix}{head}{delimiter}")
            continue
        contents.append(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{_etag(body)}</ETag><Size>{len(body)}</Size></Contents>"
        )
    prefixes = "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(below))
    return (
        f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>"
        f"<KeyCount>{len(contents) + len(below)}</KeyCount>{''.join(contents)}{prefixes}</ListBucketResult>"
    )
