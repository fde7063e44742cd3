"""The container images of a stack: the list of them, and the digests that `images.lock` pins them to."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from docker import auth
from docker.errors import DockerException
from rich.console import Console

from components.runtimes.images import LOCK, read_lock, reference, split
from specs import programs as known
from specs.model import SettingsError
from specs.settings import RuntimeKind
from specs.stack import Stack
from specs.workload import Program

# Lists of manifests first: their digest is the one that every architecture shares.
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+)(:\d+)?$")
_HUB = "registry-1.docker.io"
_SECONDS = 30.0
_AT_A_TIME = 4


class RegistryError(Exception):
    """A registry did not tell the digest of an image. `str()` says why, in a few words."""


def programs(stack: Stack) -> tuple[Program, ...]:
    """What the stack's containers run, each once, by image. Raises SettingsError for a stack that has none."""
    kind = stack.context.settings.runtime
    if kind is RuntimeKind.PROCESS:
        raise SettingsError(
            f"{stack.context.file}: no images: runtime is process (accepted: a stack of docker or kubernetes)"
        )
    every = [workload.program for workload in stack.workloads]
    if kind is RuntimeKind.DOCKER:
        every.append(stack.context.program(known.PREPARE))
    found = {_tagged(program): program for program in every}
    return tuple(found[image] for image in sorted(found))


def _tagged(program: Program) -> str:
    """How the lock names the image."""
    return f"{program.image}:{program.version}"


def _mirror(stack: Stack) -> str | None:
    settings = stack.context.settings
    return settings.docker.registry if settings.runtime is RuntimeKind.DOCKER else None


def references(stack: Stack, lock: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Every image as the stack asks for it: through its mirror, and by the digests of `lock`, or of the file itself."""
    digests = read_lock() if lock is None else lock
    return tuple(reference(program, _mirror(stack), digests) for program in programs(stack))


def table(stack: Stack) -> list[dict[str, str | None]]:
    """Every image for machines: program, image, version, digest (None: not locked), and the reference they make."""
    lock = read_lock()
    return [
        {
            "program": program.name,
            "image": program.image,
            "version": program.version,
            "digest": lock.get(_tagged(program)),
            "reference": reference(program, _mirror(stack), lock),
        }
        for program in programs(stack)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a registry's API has an image."""

    host: str
    """As people write it, and as their logins are kept."""
    url: str
    """Of the manifest."""

    @classmethod
    def of(cls, image: str) -> "_Place":
        """The place of `host/repository:tag`, or of `repository:tag` on Docker's own registry."""
        repository, _, tag = image.rpartition(":")
        host, path = split(repository)
        host = host or "docker.io"
        api = host
        if host == "docker.io":
            api, path = _HUB, path if "/" in path else f"library/{path}"
        # Registries of this machine have no certificate, and Docker asks them for none.
        scheme = "http" if _LOOPBACK.match(host) else "https"
        return cls(host=host, url=f"{scheme}://{api}/v2/{path}/manifests/{tag}")


def _login(host: str) -> str:
    """The value of an Authorization header from what `docker login` keeps for `host`; empty: nothing."""
    try:
        found: Mapping[str, Any] = cast("Any", auth).load_config().resolve_authconfig(host) or {}
    except DockerException:
        return ""
    user, password = (found.get(key) or found.get(key.title()) for key in ("username", "password"))
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user and password else ""


def _token(client: httpx.Client, challenge: str, login: str) -> str:
    """The value of an Authorization header that answers a registry's `challenge` (WWW-Authenticate)."""
    kind, _, rest = challenge.partition(" ")
    if kind.lower() == "basic":
        return login
    asked: dict[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if kind.lower() != "bearer" or "realm" not in asked:
        raise RegistryError(f"asks for a login of an unknown kind ({kind or 'none named'})")
    realm = asked.pop("realm")
    params: dict[str, str] = {key: asked[key] for key in ("service", "scope") if key in asked}
    if not (realm.startswith("https://") or _LOOPBACK.match(urlsplit(realm).netloc)):
        # The registry names the realm: nobody's password goes there in the clear.
        login = ""
    answer = client.get(realm, params=params, headers={"Authorization": login} if login else {})
    if answer.status_code != 200:
        raise RegistryError(f"gives no token (answers {answer.status_code}; docker login)")
    try:
        body = answer.json()
        return f"Bearer {body.get('token') or body['access_token']}"
    except (ValueError, KeyError, AttributeError):
        raise RegistryError("gives no token (its answer has none)") from None


def digest(client: httpx.Client, image: str) -> str:
    """The digest that the registry has for `image` (`host/repository:tag`) at the moment: of its list of manifests.

    Raises RegistryError.
    """
    place = _Place.of(image)
    headers = {"Accept": _ACCEPT}
    try:
        answer = client.head(place.url, headers=headers)
        if answer.status_code == 401:
            login = _login(place.host)
            headers["Authorization"] = _token(client, answer.headers.get("www-authenticate", ""), login)
            answer = client.head(place.url, headers=headers)
        if answer.status_code == 405 or (answer.status_code == 200 and "docker-content-digest" not in answer.headers):
            answer = client.get(place.url, headers=headers)
    except httpx.TimeoutException:
        raise RegistryError("does not answer in time") from None
    except httpx.HTTPError as problem:
        raise RegistryError(f"does not answer: {problem}") from None
    if answer.status_code != 200:
        raise RegistryError(
            {
                401: f"wants a login (docker login {place.host})",
                403: f"wants another login (docker login {place.host})",
                404: "has no such image",
                429: "is asked too often (try again later, or docker login)",
            }.get(answer.status_code, f"answers {answer.status_code}")
        )
    found = answer.headers.get("docker-content-digest") or f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        raise RegistryError(f'tells a digest that is none ("{found[:80]}")')
    return found


def _asked(stack: Stack) -> Iterator[tuple[str, str]]:
    """Key in the lock and image to ask for, of every program."""
    for program in programs(stack):
        yield _tagged(program), reference(program, _mirror(stack), {})


def lock(stack: Stack, console: Console, path: Path = LOCK) -> int:
    """Ask the registries for the digest of every image of the stack, and write them to `path`.

    What other stacks have there stays, and so does what a registry does not tell now. Prints a line for each image
    as it is told. Returns how many were not told.
    """
    before = dict(read_lock(path))
    asked = list(_asked(stack))

    with httpx.Client(timeout=_SECONDS, follow_redirects=True) as client:

        def one(image: str) -> str | RegistryError:
            try:
                return digest(client, image)
            except RegistryError as problem:
                return problem

        found: dict[str, str] = {}
        with console.status(f"asking for {len(asked)} images"), ThreadPoolExecutor(max_workers=_AT_A_TIME) as pool:
            for (key, image), answer in zip(asked, pool.map(one, [image for _, image in asked]), strict=True):
                if isinstance(answer, RegistryError):
                    kept = f"; {path.name} keeps {before[key]}" if key in before else ""
                    _say(console, f"{image}: its registry {answer}{kept}", "red")
                    continue
                found[key] = answer
                # Tags here are fixed versions: one that moves is worth a look.
                moved = f" (was {before[key]})" if before.get(key, answer) != answer else ""
                _say(console, f"{image} {answer}{moved}", "yellow" if moved else "")
    if found:
        _write(path, {**before, **found})
    return len(asked) - len(found)


def _say(console: Console, line: str, style: str) -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _write(path: Path, digests: Mapping[str, str]) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(path)
