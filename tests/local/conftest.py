"""One real stack for all tests of this folder: brought up once, with real databases beside it."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.local.around import POSTGRES_PASSWORD, REDIS_PASSWORD, Around
from tests.local.servers import celery_worker, free_offset, nginx, postgres, redis, webhook
from tests.local.stacks import Local
from tools import native


@pytest.fixture(scope="session")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    """A webhook receiver, PostgreSQL, Redis and nginx."""
    base = tmp_path_factory.mktemp("servers")
    with (
        webhook() as hook,
        postgres(base / "postgres", POSTGRES_PASSWORD) as pg_port,
        redis(base / "redis", REDIS_PASSWORD) as redis_port,
        nginx(base / "nginx") as nginx_port,
        celery_worker(base / "worker", f"redis://:{REDIS_PASSWORD}@127.0.0.1:{redis_port}/0"),
    ):
        yield Around(hook, pg_port, redis_port, nginx_port, base / "worker")


@contextmanager
def _up(project: Path, name: str, around: Around) -> Generator[Local, None, None]:
    """A stack, up from nothing: scraped and evaluated every second so that tests need not wait."""
    native.ensure(["promtool", "logcli"])
    made = Local.make(project, name, free_offset())
    made.write(
        _settings(around, name, made.offset),
        postgres_password=POSTGRES_PASSWORD,
        redis_password=REDIS_PASSWORD,
        hook_url=f"{around.webhook.url}/alerts",
        broker_url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:{around.redis}/0",
    )
    try:
        made.cli("up")
        yield made
    finally:
        made.cli("demo-stop", check=False)
        made.cli("down", check=False)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, around: Around) -> Iterator[Local]:
    """The stack that tests share."""
    with _up(tmp_path_factory.mktemp("local") / "project", "test", around) as made:
        yield made


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory, around: Around) -> Iterator[Local]:
    """A stack that no other test has touched: what others broke on theirs is told for an hour, and rightly so."""
    with _up(tmp_path_factory.mktemp("fresh") / "project", "fresh", around) as made:
        yield made


def _settings(around: Around, name: str, offset: int) -> dict[str, object]:
    return {
        "environment": "test",
        "cluster": "ci",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "exporters": {
            "node": {},
            "blackbox": {},
            "postgres": {
                "targets": {
                    "main": {
                        "address": f"127.0.0.1:{around.postgres}",
                        "user": "exporter",
                        "password": {"secret": "postgres-password"},
                        "sslmode": "disable",
                        "app": "shop",
                    }
                }
            },
            "redis": {
                "targets": {"main": {"address": f"127.0.0.1:{around.redis}", "password": {"secret": "redis-password"}}}
            },
            "celery": {"targets": {"main": {"broker": {"secret": "broker-url"}, "app": "shop"}}},
            "nginx": {"targets": {"main": {"status_url": f"http://127.0.0.1:{around.nginx}/status"}}},
        },
        "alerting": {
            "default": "hook",
            "receivers": {"hook": {"webhook": {"url": {"secret": "hook-url"}}}},
            "dead_mans_switch": {"url": f"{around.webhook.url}/beat/{name}"},
            "grouping": {"wait": "0s", "interval": "1s"},
            "overrides": {"ServiceDown": {"for": "0s"}},
        },
        "links": {"runbooks": "https://runbooks.example.com"},
    }


@pytest.fixture
def changed(local: Local) -> Iterator[Path]:
    """The stack file, put back and deployed again after a test that changes it."""
    before = local.file.read_text()
    yield local.file
    local.file.write_text(before)
    local.cli("up")
