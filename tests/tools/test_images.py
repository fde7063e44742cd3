"""`make images`: the list is complete, and digests come from registries, by their own HTTP API."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from rich.console import Console

from components.runtimes.images import read_lock
from specs.model import SettingsError
from specs.settings import RuntimeKind, load
from specs.stack import Stack, build
from tests.deployment import CONTAINER, deployed, settings_for
from tools import images, paths

LIST = b'{"schemaVersion": 2, "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(LIST).hexdigest()}"
OLD = f"sha256:{'0' * 64}"
TOKEN = "a-token-of-this-test"  # noqa: S105 - nobody's


@dataclass
class Registry:
    """A registry on this machine, which gives tokens as the large ones do."""

    host: str = ""
    missing: set[str] = field(default_factory=set[str])
    """Repositories that it does not have."""
    status: int = 0
    """What it answers to everything, if anything."""
    login: str = ""
    """`user:password` that a token takes; empty: none."""
    basic: bool = False
    """Whether it wants that with each request, instead of a token."""
    heads: bool = True
    """Whether it answers HEAD, and with the digest."""
    asked: list[str] = field(default_factory=list[str])


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        del format, args

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _token(self, query: dict[str, list[str]]) -> None:
        login = base64.b64encode(self.registry.login.encode()).decode()
        if self.registry.login and self.headers.get("Authorization") != f"Basic {login}":
            self._answer(401)
            return
        assert query["service"] == ["the-registry"]
        self._answer(200, json.dumps({"token": f"{TOKEN}:{query['scope'][0]}"}).encode())

    def do_GET(self) -> None:
        """Answer as the distribution's specification says."""
        registry, parts = self.registry, urlsplit(self.path)
        registry.asked.append(f"{self.command} {parts.path}")
        if registry.status:
            self._answer(registry.status)
            return
        if parts.path == "/token":
            self._token(parse_qs(parts.query))
            return
        repository = parts.path.removeprefix("/v2/").rpartition("/manifests/")[0]
        scope = f"repository:{repository}:pull"
        expected = f"Bearer {TOKEN}:{scope}"
        challenge = f'Bearer realm="http://{registry.host}/token",service="the-registry",scope="{scope}"'
        if registry.basic:
            expected = f"Basic {base64.b64encode(registry.login.encode()).decode()}"
            challenge = 'Basic realm="the-registry"'
        if self.headers.get("Authorization") != expected:
            self._answer(401, WWW_Authenticate=challenge)
        elif repository in registry.missing:
            self._answer(404)
        elif "application/vnd.oci.image.index.v1+json" not in self.headers["Accept"].split(", "):
            self._answer(200, b"of one architecture")
        elif registry.heads:
            self._answer(200, LIST, Docker_Content_Digest=DIGEST)
        else:
            self._answer(405 if self.command == "HEAD" else 200, LIST)

    do_HEAD = do_GET  # noqa: N815 - the library's name


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Registry, None, None]:
    """Yield a registry that has every image; nobody is logged in."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Registry()
    handler = type("Handler", (_Handler,), {"registry": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join(timeout=5)


def log_in(directory: Path, host: str, login: str) -> None:
    """Leave what `docker login` does."""
    (directory / "docker").mkdir()
    auths = {host: {"auth": base64.b64encode(login.encode()).decode()}}
    (directory / "docker" / "config.json").write_text(json.dumps({"auths": auths}))


def stack_on(kind: RuntimeKind, **more: Any) -> Stack:
    """Return a small stack."""
    url = {"url": "http://127.0.0.1:9/"}
    alerting = {"default": "team", "receivers": {"team": {"webhook": url}}, "dead_mans_switch": url}
    return build(settings_for(kind, alerting=alerting, **more), file="Pulumi.test.yaml")


def mirrored(registry: Registry) -> Stack:
    """Return a small stack whose images come from the registry."""
    return stack_on(RuntimeKind.DOCKER, docker={"registry": registry.host})


def lock(stack: Stack, path: Path) -> tuple[int, list[str]]:
    """Lock; return how many images were not told, and what was said."""
    shown = Console(file=io.StringIO(), width=80)
    untold = images.lock(stack, shown, path)
    assert isinstance(shown.file, io.StringIO)
    return untold, shown.file.getvalue().splitlines()


class TestList:
    """What a machine without a network has to be given."""

    def test_every_image_that_a_deployment_names_is_listed(self) -> None:
        """Proves, on the shipped stack dev, that no container takes an image that is not on the list."""
        file = paths.stack_file("dev")
        stack = build(load(file), file=file.name)
        named = {each.inputs["image"] for each in deployed(stack).resources if each.type == CONTAINER}
        assert named == set(images.references(stack, {}))

    def test_the_list_is_sorted_and_has_each_image_once(self) -> None:
        """Proves that two lists can be compared."""
        found = images.references(stack_on(RuntimeKind.DOCKER), {})
        assert list(found) == sorted(set(found))

    def test_a_mirror_is_in_every_reference(self) -> None:
        """Proves that what is listed is what is pulled."""
        stack = stack_on(RuntimeKind.DOCKER, docker={"registry": "mirror.example.com/all"})
        found = images.references(stack, {})
        assert all(reference.startswith("mirror.example.com/all/") for reference in found)
        assert "mirror.example.com/all/prometheus/prometheus:v3.14.0" in found

    def test_digests_of_the_lock_are_in_the_references(self) -> None:
        """Proves that a locked image is listed by its digest, the others by their tag."""
        stack = stack_on(RuntimeKind.DOCKER, versions={"loki": "3.7.0"})
        found = images.references(stack, {"docker.io/grafana/loki:3.7.0": OLD})
        assert f"docker.io/grafana/loki:3.7.0@{OLD}" in found
        assert sum("@" in reference for reference in found) == 1

    def test_a_cluster_needs_nothing_to_prepare_volumes(self) -> None:
        """Proves that each runtime's list is its own."""
        assert any("busybox" in reference for reference in images.references(stack_on(RuntimeKind.DOCKER), {}))
        assert not any("busybox" in reference for reference in images.references(stack_on(RuntimeKind.KUBERNETES), {}))

    def test_a_process_stack_has_none(self) -> None:
        """Proves that the question is answered in one line."""
        file = paths.stack_file("local")
        with pytest.raises(SettingsError, match=r"^Pulumi.local.yaml: no images: runtime is process \(accepted: "):
            images.references(build(load(file), file=file.name))


class TestLock:
    """`make images LOCK=1`."""

    def test_every_digest_is_asked_for_with_a_token(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that the digest is the list's, that keys are without the mirror, and that the file is stable."""
        path = tmp_path / "images.lock"
        stack = mirrored(registry)
        untold, said = lock(stack, path)
        assert untold == 0
        assert said == [f"{reference} {DIGEST}" for reference in images.references(stack, {})]
        found = json.loads(path.read_text())
        assert set(found.values()) == {DIGEST}
        assert found.keys() == {f"{entry['image']}:{entry['version']}" for entry in images.table(stack)}
        before = path.read_bytes()
        assert lock(stack, path)[0] == 0
        assert path.read_bytes() == before
        assert list(tmp_path.glob(".*")) == []

    def test_what_is_locked_is_what_is_deployed(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that the file this writes is the one that the runtimes read."""
        path = tmp_path / "images.lock"
        stack = mirrored(registry)
        lock(stack, path)
        found = images.references(stack, read_lock(path))
        assert all(reference.endswith(f"@{DIGEST}") for reference in found)

    def test_a_registry_without_digests_in_headers(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that the digest is then computed from the list itself."""
        registry.heads = False
        path = tmp_path / "images.lock"
        assert lock(mirrored(registry), path)[0] == 0
        assert set(json.loads(path.read_text()).values()) == {DIGEST}

    def test_other_entries_stay_and_moved_tags_are_told(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that other stacks' images stay locked, and that a tag that moved does not do so in silence."""
        path = tmp_path / "images.lock"
        path.write_text(json.dumps({"quay.io/other:1": OLD, "quay.io/prometheus/prometheus:v3.14.0": OLD}))
        _, said = lock(mirrored(registry), path)
        assert f"{registry.host}/prometheus/prometheus:v3.14.0 {DIGEST} (was {OLD})" in said
        found = json.loads(path.read_text())
        assert (found["quay.io/other:1"], found["quay.io/prometheus/prometheus:v3.14.0"]) == (OLD, DIGEST)
        assert list(found) == sorted(found)

    def test_an_image_that_is_not_told_is_one_line(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that the others are locked all the same, and that its old digest stays."""
        registry.missing = {"grafana/loki", "prometheus/alertmanager"}
        path = tmp_path / "images.lock"
        path.write_text(json.dumps({"docker.io/grafana/loki:3.7.6": OLD}))
        untold, said = lock(mirrored(registry), path)
        assert untold == 2
        assert f"{registry.host}/prometheus/alertmanager:v0.34.0: its registry has no such image" in said
        (loki,) = [line for line in said if "loki" in line]
        assert loki == f"{registry.host}/grafana/loki:3.7.6: its registry has no such image; images.lock keeps {OLD}"
        found = json.loads(path.read_text())
        assert found["docker.io/grafana/loki:3.7.6"] == OLD
        assert "quay.io/prometheus/alertmanager:v0.34.0" not in found
        assert found["quay.io/prometheus/prometheus:v3.14.0"] == DIGEST

    def test_nothing_told_is_nothing_written(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that without a network no file comes to be."""
        registry.status = 503
        path = tmp_path / "images.lock"
        stack = mirrored(registry)
        untold, said = lock(stack, path)
        assert untold == len(images.references(stack, {})) == len(said)
        assert all(line.endswith(": its registry answers 503") for line in said)
        assert not path.exists()

    def test_a_broken_lock_is_refused_before_anybody_is_asked(self, registry: Registry, tmp_path: Path) -> None:
        """Proves that a file somebody edited is not silently replaced."""
        path = tmp_path / "images.lock"
        path.write_text('{"quay.io/x:1": "latest"}')
        with pytest.raises(SettingsError, match=r"^images.lock: quay.io/x:1: not a digest"):
            lock(mirrored(registry), path)
        assert registry.asked == []


class TestDigest:
    """One question to a registry."""

    @staticmethod
    def ask(image: str) -> str:
        """Return the digest of an image."""
        with httpx.Client(timeout=5) as client:
            return images.digest(client, image)

    @pytest.mark.parametrize("basic", [False, True], ids=["token", "basic"])
    def test_a_login_is_used(self, registry: Registry, tmp_path: Path, basic: bool) -> None:
        """Proves that what `docker login` keeps opens a private registry."""
        registry.login, registry.basic = "me:secret", basic
        log_in(tmp_path, registry.host, "me:secret")
        assert self.ask(f"{registry.host}/private/image:1") == DIGEST

    def test_a_missing_login_is_said(self, registry: Registry) -> None:
        """Proves that the way in is told."""
        registry.login = "me:secret"
        with pytest.raises(images.RegistryError, match=r"^gives no token \(answers 401; docker login\)$"):
            self.ask(f"{registry.host}/private/image:1")
        registry.basic = True
        with pytest.raises(images.RegistryError, match=rf"^wants a login \(docker login {registry.host}\)$"):
            self.ask(f"{registry.host}/private/image:1")

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (403, r"^wants another login \(docker login 127"),
            (404, r"^has no such image$"),
            (429, r"^is asked too often \(try again later, or docker login\)$"),
            (500, r"^answers 500$"),
        ],
    )
    def test_what_a_registry_answers_is_said(self, registry: Registry, status: int, message: str) -> None:
        """Proves that each has its few words."""
        registry.status = status
        with pytest.raises(images.RegistryError, match=message):
            self.ask(f"{registry.host}/x/image:1")

    def test_no_registry_is_said(self) -> None:
        """Proves that a closed port is no traceback."""
        with pytest.raises(images.RegistryError, match=r"^does not answer: "):
            self.ask("127.0.0.1:1/x/image:1")

    @pytest.mark.parametrize(
        ("image", "url"),
        [
            ("docker.io/grafana/loki:3.7.6", "https://registry-1.docker.io/v2/grafana/loki/manifests/3.7.6"),
            ("docker.io/library/busybox:1", "https://registry-1.docker.io/v2/library/busybox/manifests/1"),
            ("busybox:1", "https://registry-1.docker.io/v2/library/busybox/manifests/1"),
            ("quay.io/prometheus/prometheus:v3", "https://quay.io/v2/prometheus/prometheus/manifests/v3"),
            ("mirror.example.com:5000/all/x:v3", "https://mirror.example.com:5000/v2/all/x/manifests/v3"),
            ("localhost:5000/x:v3", "http://localhost:5000/v2/x/manifests/v3"),
        ],
    )
    def test_where_an_image_is(self, image: str, url: str) -> None:
        """Proves that names mean what they mean to Docker: its hub, its library, and no TLS on this machine alone."""
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url))
            return httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})

        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            assert images.digest(client, image) == DIGEST
        assert asked == [url]

    def test_a_password_never_goes_in_the_clear(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proves that a registry cannot have logins sent to a realm without TLS."""
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        log_in(tmp_path, "r.example.com", "me:secret")
        sent: list[str | None] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/token":
                sent.append(request.headers.get("Authorization"))
                return httpx.Response(200, json={"access_token": TOKEN})
            if request.headers.get("Authorization") == f"Bearer {TOKEN}":
                return httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})
            return httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})

        for realm in ("http://auth.example.com/token", "https://auth.example.com/token"):  # noqa: B007 - `answer` reads it
            with httpx.Client(transport=httpx.MockTransport(answer)) as client:
                assert images.digest(client, "r.example.com/x:1") == DIGEST
        assert sent == [None, f"Basic {base64.b64encode(b'me:secret').decode()}"]

    def test_a_digest_that_is_none_is_refused(self) -> None:
        """Proves that nothing but a digest gets into the lock."""
        transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"Docker-Content-Digest": "latest"}))
        with (
            httpx.Client(transport=transport) as client,
            pytest.raises(images.RegistryError, match=r'^tells a digest that is none \("latest"\)$'),
        ):
            images.digest(client, "quay.io/x:1")
