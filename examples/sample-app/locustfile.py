"""A light load for the sample app: users look around, order and read their order. Loopback hosts only."""

from __future__ import annotations

import random
import re
import sys
import time
from typing import Final

from locust import HttpUser, between, events, task
from locust.env import Environment

DEFAULT_HOST: Final = "http://127.0.0.1:8000"
_PAUSE_SECONDS: Final = (0.3, 1.0)
# A strict pattern rather than a URL parser: parsers differ about what follows a backslash or an at sign.
_LOOPBACK: Final = re.compile(r"https?://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?/?", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Tell whether a base URL leads to this machine and nowhere else."""
    return _LOOPBACK.fullmatch(host) is not None


def _refuse_other_hosts(environment: Environment, **_others: object) -> None:
    host = environment.host or DEFAULT_HOST
    if not is_loopback(host):
        print(f"sample-app load: refused, {host!r} is not a loopback address", file=sys.stderr, flush=True)
        sys.exit(2)


events.init.add_listener(_refuse_other_hosts)  # type: ignore[no-untyped-call]
# Locust's web page can change the host after the start.
events.test_start.add_listener(_refuse_other_hosts)  # type: ignore[no-untyped-call]


def _pause() -> None:
    time.sleep(random.uniform(*_PAUSE_SECONDS))


class Shopper(HttpUser):
    """A fake user of the shop."""

    host = DEFAULT_HOST
    wait_time = between(*_PAUSE_SECONDS)

    def on_start(self) -> None:
        """Become somebody, and never go through a proxy."""
        self.client.trust_env = False
        self.client.headers["X-User-ID"] = f"user-{random.randint(1, 200)}"

    @task
    def visit(self) -> None:
        """Look at everything, then at one product, order something and read the order."""
        self.client.get("/products")
        _pause()
        self.client.get(f"/products/{random.randint(1, 10)}", name="/products/{id}")
        _pause()
        wanted = {"product_id": random.randint(1, 10), "quantity": random.randint(1, 12)}
        response = self.client.post("/orders", json=wanted)
        if response.status_code == 201:
            _pause()
            self.client.get(response.headers["Location"], name="/orders/{id}")
