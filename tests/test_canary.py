"""A unique marker as every secret: it is in files that only their program reads, and nowhere else."""

import base64
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import psutil
import pytest

from components.recording import Secret
from processes.keeper import marked
from specs.workload import SecretRef
from tests import deployment
from tests.local.servers import free_offset
from tests.local.stacks import Local, eventually
from tests.specs.support import ROOT
from tools import render

MARKER = "cAnArY/47+11=né"
"""What no program says by itself, with what each way of writing it down writes in another way."""
NOWHERE = "127.0.0.1:1"
"""Nothing listens there: what dials it fails, and says so in its log."""


def _forms() -> tuple[bytes, ...]:
    """The marker as it may stand in a text: as it is, escaped, in base64 at each of three offsets, in hexadecimal."""
    raw = MARKER.encode()
    # What is around it is not known, so that the first and last letters of base64 are not, either.
    coded = [
        coder(b"." * offset + raw)[4 if offset else 0 : -4]
        for offset in range(3)
        for coder in (base64.b64encode, base64.urlsafe_b64encode)
    ]
    escaped = [quote(MARKER, safe="/").encode(), quote(MARKER, safe="").encode(), json.dumps(MARKER)[1:-1].encode()]
    slashed = json.dumps(MARKER).replace("/", "\\/")[1:-1].encode()
    return tuple(
        {
            raw,
            raw.decode().split("/")[0].encode(),
            *coded,
            *escaped,
            slashed,
            raw.hex().encode(),
            raw.hex().upper().encode(),
        }
    )


FORMS = _forms()


def told(text: str | bytes) -> bool:
    """Whether `text` has the marker in some form."""
    found = text if isinstance(text, bytes) else text.encode()
    return any(form in found for form in FORMS)


@pytest.mark.parametrize(
    "text",
    [
        f"password={MARKER};",
        f"http://host/{quote(MARKER)}?a",
        quote(MARKER, safe=""),
        json.dumps({"a": MARKER}),
        base64.b64encode(f"user:{MARKER}".encode()).decode(),
        base64.b64encode(f"us:{MARKER}, and more".encode()).decode(),
        base64.b64encode(f"u:{MARKER}".encode()).decode(),
        MARKER.encode().hex(),
    ],
)
def test_every_form_is_seen(text: str) -> None:
    """Proves that the search of these tests finds the marker however it is written down."""
    assert told(f"before {text} after")
    assert not told("canary 4711 in a mine")


def _open(value: object) -> object:
    """`value` without what reached the engine as secret."""
    match value:
        case Secret():
            return "secret"
        case dict():
            return {key: _open(item) for key, item in cast("Mapping[str, object]", value).items()}
        case list():
            return [_open(item) for item in cast("list[object]", value)]
        case _:
            return value


def _marker(_: str) -> str:
    return MARKER


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_declared_stacks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that what engines are told of a stack has no secret that is not marked as one, so that previews, state and
    outputs have none; and that files which are rendered have none."""
    monkeypatch.setattr(deployment, "secret_of", _marker)
    stack = deployment.stack_of(name, absent=("grafana",) if name == "local" else ())
    found = deployment.deployed(stack)
    inputs = {resource.urn: resource.inputs for resource in found.resources}

    assert not [urn for urn, values in inputs.items() if told(repr(_open(values)))]
    assert not [line for line in found.warnings if told(line)]
    assert not [path for path, text in render.files(stack).items() if told(text)]
    # And yet they are there, for whom they are.
    assert bool(stack.secrets()) == any(told(repr(values)) for values in inputs.values())


SECRETS = {
    "postgres_password": MARKER,
    "redis_password": MARKER,
    "broker_url": f"redis://:{quote(MARKER, safe='')}@{NOWHERE}/0",
    "hook_url": f"http://{NOWHERE}/{quote(MARKER)}",
    "beat_url": f"http://{NOWHERE}/beat/{quote(MARKER)}",
    "slack_url": f"http://{NOWHERE}/slack/{quote(MARKER)}",
    "smtp_password": MARKER,
    "remote_token": MARKER.replace("é", "e"),
    "dsn": f"http://cAnArY@{NOWHERE}/1",
}


def _settings(offset: int) -> dict[str, Any]:
    def secret(key: str) -> dict[str, str]:
        return {"secret": key}

    return {
        "environment": "test",
        "cluster": "ci",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "grafana": False,
        "exporters": {
            "postgres": {
                "targets": {"main": {"address": NOWHERE, "user": "watcher", "password": secret("postgres-password")}}
            },
            "redis": {"targets": {"main": {"address": NOWHERE, "password": secret("redis-password")}}},
            "celery": {"targets": {"main": {"broker": secret("broker-url")}}},
        },
        "alerting": {
            "default": "all",
            "routes": {"critical": ["all"], "warning": ["all"]},
            "receivers": {
                "all": {
                    "webhook": {"url": secret("hook-url")},
                    "slack": {"url": secret("slack-url"), "channel": "#alerts"},
                    "email": {
                        "to": "a@example.com",
                        "from": "b@example.com",
                        "smarthost": NOWHERE,
                        "username": "stack",
                        "password": secret("smtp-password"),
                    },
                }
            },
            "dead_mans_switch": {"url": secret("beat-url")},
            "grouping": {"wait": "0s", "interval": "1s"},
            "overrides": {"ServiceDown": {"for": "0s"}},
        },
        "remote_write": {"url": f"http://{NOWHERE}/api/v1/write", "token": secret("remote-token")},
        "errors": {"to": "dsn", "dsn": secret("dsn")},
    }


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A real stack, each of whose secrets has the marker, and whose programs fail at whatever they need them for."""
    made = Local.make(tmp_path_factory.mktemp("canary") / "project", "canary", free_offset())
    made.write(_settings(made.offset), **SECRETS)
    try:
        made.cli("up")
        log = made.home.log("alertmanager")
        eventually(lambda: log.read_text().lower().count("attempt") >= 3, 60, "Alertmanager could not tell anybody")
        eventually(lambda: "remote" in made.home.log("prometheus").read_text(), 60, "Prometheus tried to send samples")
        yield made
    finally:
        made.cli("down", check=False)


def test_processes(live: Local) -> None:
    """Proves that no process of a stack has a secret in its arguments or environment."""
    processes = marked(live.home)
    assert {process.name() for process in processes} >= {"prometheus", "alertmanager", "postgres_exporter"}
    for process in processes:
        try:
            lines = [*process.cmdline(), *(f"{key}={value}" for key, value in process.environ().items())]
        except psutil.NoSuchProcess:
            continue
        assert lines
        assert not [line for line in lines if told(line)], process.name()


def test_files(live: Local) -> None:
    """Proves that below the project a secret stands in files of the programs' own secrets alone, which only their owner
    can read; in no log, no state, no data and no backup."""
    holding: set[Path] = set()
    for directory, _, names in os.walk(live.project):
        for name in names:
            file = Path(directory) / name
            if file.is_file() and not file.is_symlink() and told(file.read_bytes()):
                holding.add(file)
    places = {file.relative_to(live.home.path).parts[1:3] for file in holding}

    assert places == {("config", "secrets")}, sorted(map(str, holding))
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in holding} == {0}
    # What is searched is where they would be.
    assert len(holding) >= len(SECRETS) - 1
    logs = [live.home.log(name).read_text() for name in ("alertmanager", "prometheus", "redis-exporter-main")]
    assert all(logs)


@pytest.mark.timeout(600)
def test_what_the_engine_says(live: Local) -> None:
    """Proves that previews, exported state, outputs, configuration and the project's own commands show no secret."""
    said = {
        "preview": live.pulumi("preview", "--json", "--stack", live.name).stdout,
        "state": live.pulumi("stack", "export", "--stack", live.name).stdout,
        "outputs": json.dumps(live.outputs()),
        "config": live.pulumi("config", "--json", "--stack", live.name).stdout,
        **{command: live.cli(command, check=False).stdout for command in ("status", "logs")},
    }

    assert all(said.values())
    assert not [name for name, text in said.items() if told(text)]


PAGES = (
    *(
        (9090, path)
        for path in ("api/v1/status/config", "api/v1/status/flags", "api/v1/targets", "api/v1/rules", "metrics")
    ),
    *((9093, path) for path in ("api/v2/status", "api/v2/receivers", "api/v2/alerts", "metrics")),
    *((3100, path) for path in ("config", "metrics")),
    (8888, "metrics"),
)


@pytest.mark.parametrize(("port", "path"), PAGES)
def test_pages(live: Local, port: int, path: str) -> None:
    """Proves that no program shows a secret to who asks it."""
    answer = httpx.get(f"{live.url(port)}/{path}", timeout=20)

    assert answer.status_code == httpx.codes.OK
    assert answer.text
    assert not told(answer.content)


def test_a_templated_secret_is_seen() -> None:
    """Proves that a secret inside of a file of its own form would be found, too."""
    assert told(SecretRef("a", template=f"x: {json.dumps(MARKER)}").template)


def _chunks(picture: bytes) -> Iterator[str]:
    at = 8
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        yield picture[at + 4 : at + 8].decode("ascii")
        at += 12 + length


def test_pictures_say_nothing_beside_what_they_show() -> None:
    """Proves that pictures of dashboards have no text and nothing of their making in them: pixels and colours alone."""
    pictures = sorted((ROOT / "docs/pictures").rglob("*.png"))
    kinds = {kind for picture in pictures for kind in _chunks(picture.read_bytes())}

    assert pictures
    assert kinds <= {"IHDR", "PLTE", "tRNS", "IDAT", "IEND", "sRGB", "gAMA", "pHYs", "cHRM", "sBIT"}
