"""What a stand-in answers over HTTP: metrics of its services and exporters, health checks, pages of JSON, routes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sample_app.impersonation.levels import PROBE
from sample_app.impersonation.simulation import Impersonation
from specs.profile import JsonPage

ALIVE: Final = "/alive"
"""Answers 200 as long as the stand-in itself runs, also when what it stands in for is down."""
EXPORTERS: Final = "/exporters"
"""Path of the exporters' metrics; the query `name` says whose."""
_PATH: Final = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True, kw_only=True)
class Pages:
    """A system that real time passes for, and what it answers."""

    impersonation: Impersonation
    down: bool = False
    """Whether it listens and answers nothing but 503."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(default_factory=time.monotonic)

    def metrics(self, request: Request) -> Response:
        """A service's metrics: `?service=`; none: the first."""
        service = request.query_params.get("service") or self.impersonation.profile.first
        return self._page(request, "service", service)

    def exporters(self, request: Request) -> Response:
        """An exporter's metrics: `?name=postgres`."""
        return self._page(request, "exporter", request.query_params.get("name", ""))

    def _page(self, request: Request, kind: str, name: str) -> Response:
        known = [each for of, each in self.impersonation.levels.pages if of == kind]
        if name not in known:
            return PlainTextResponse(f"{kind} {name!r}: no such page (accepted: {', '.join(known)})\n", 404)
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        show = self.impersonation.exposition if kind == "service" else self.impersonation.exporters
        with self.lock:
            self.catch_up()
            body = show(name, openmetrics=openmetrics)
        kind = CONTENT_TYPE_LATEST if openmetrics else CONTENT_TYPE_PLAIN_0_0_4
        return Response(body, headers={"Content-Type": kind})

    def catch_up(self) -> None:
        """Let as much time pass for the system as really did. The caller holds the lock."""
        self.impersonation.advance(time.monotonic() - self.began - self.impersonation.elapsed)

    def app(self) -> Starlette:
        """The ASGI application."""
        alive = Route(ALIVE, self._alive)
        if self.down:
            away = Route("/{path:path}", self._away, methods=["GET", "POST", "PUT", "DELETE"])
            return Starlette(routes=[alive, away])
        profile = self.impersonation.profile
        pages = {page.path: self._json(page) for page in profile.json_pages.values()}
        for name, probe in profile.probes.items():
            pages.setdefault(probe.path, self._probe(name))
        pages.setdefault("/health", self._probe(""))
        metrics = {"/metrics", *(service.metrics for service in profile.services.values() if service.metrics)}
        return Starlette(
            routes=[
                alive,
                *(Route(path, self.metrics) for path in sorted(metrics)),
                Route(EXPORTERS, self.exporters),
                *(Route(path, page) for path, page in pages.items()),
                *(Route(path, self._answer, methods=["GET", "POST"]) for path in self._routes() - {*metrics, *pages}),
            ]
        )

    def _routes(self) -> set[str]:
        """The routes that the system's requests are counted by."""
        http = self.impersonation.profile.http
        if http is None:
            return set()
        streams = self.impersonation.levels.metrics[http.requests].streams
        named = {value for stream in streams for label, value in stream.labels if label == http.route}
        return {route for route in named if route.startswith("/")}

    def _alive(self, _request: Request) -> Response:
        return PlainTextResponse(f"stands in for {self.impersonation.system}\n")

    def _away(self, _request: Request) -> Response:
        return PlainTextResponse(f"{self.impersonation.system} is down: this is what was asked for\n", 503)

    def _answer(self, _request: Request) -> Response:
        return JSONResponse({"system": self.impersonation.system})

    def _probe(self, name: str) -> Callable[[Request], Response]:
        def page(_request: Request) -> Response:
            probes = self.impersonation.levels.metrics.get(PROBE)
            failing = [
                dict(stream.labels)["probe"] for stream in (probes.streams if probes else ()) if stream.level < 1
            ]
            healthy = name not in failing
            return JSONResponse({"healthy": healthy}, 200 if healthy else 503)

        return page

    def _json(self, page: JsonPage) -> Callable[[Request], Response]:
        def answer(_request: Request) -> Response:
            with self.lock:
                self.catch_up()
                values = {metric: self.impersonation.value(metric) for metric in page.metrics}
            return JSONResponse(nested({path: values[metric] for metric, path in page.metrics.items()}))

        return answer


def nested(values: Mapping[str, float]) -> dict[str, Any]:
    """The JSON in which each JSONPath, like `{ .database.healthy }`, finds its value."""
    made: dict[str, Any] = {}
    for path, value in values.items():
        *above, last = _PATH.findall(path)
        inside = made
        for step in above:
            inside = inside.setdefault(step, {})
        # Health is told by true and false, as people write it.
        inside[last] = bool(value) if last.endswith("healthy") else json.loads(f"{value:.6g}")
    return made
