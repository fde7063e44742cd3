"""The middleware that gives every request its ids, span, metrics and log line."""

from __future__ import annotations

import logging
import random
import time
from typing import Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sample_app.context import UNMATCHED, RequestContext, current_request, request_id_of, user_id_of
from sample_app.database import DatabaseUnavailableError
from sample_app.metrics import Metrics
from sample_app.tracing import record_error

_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_OTHER_METHOD: Final = "_OTHER"
_MACHINE_PATHS: Final = ("/metrics", "/health")
_CLIENT_GONE: Final = 499

_log = logging.getLogger("sample_app.requests")


class Telemetry:
    """Pure ASGI middleware, for the handlers and the threads they use to run inside the request's span."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracer: Tracer, seed: int | None) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics
        self._tracer = tracer
        self._random = random.Random(seed)
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP is passed on untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # Scrapes and health checks are nobody's visit: they must not raise active_users.
        human = not str(scope["path"]).startswith(_MACHINE_PATHS)
        user_id = user_id_of(headers.get("x-user-id"), self._random) if human else None
        request = RequestContext(request_id_of(headers.get("x-request-id")), user_id, scope)
        method = str(scope["method"])
        span = self._tracer.start_span(
            method if method in _METHODS else "HTTP",
            context=self._propagator.extract(dict(headers.items())),
            kind=SpanKind.SERVER,
            attributes=_request_attributes(scope, headers, request),
        )
        token = current_request.set(request)
        try:
            with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                if user_id is not None:
                    self._metrics.saw_user(user_id)
                with self._metrics.in_progress.track_inprogress():
                    await self._answer(request, span, scope, receive, send)
        finally:
            current_request.reset(token)

    async def _answer(self, request: RequestContext, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["X-Request-ID"] = request.request_id
            await send(message)

        failure: Exception | None = None
        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # There is nobody left to answer, and nothing of ours has failed.
        except Exception as error:  # noqa: BLE001 - whatever the application raises is an answer of 500
            failure = error
            if status is None:
                await _failure_response(error, request)(scope, receive, send_with_id)
        finally:
            # Still None only when the request was cut off, by its client or by the end of the process.
            self._finish(request, span, status or _CLIENT_GONE, time.perf_counter() - start, failure)

    def _finish(
        self, request: RequestContext, span: Span, status: int, seconds: float, failure: Exception | None
    ) -> None:
        raw_method = str(request.scope["method"])
        method = raw_method if raw_method in _METHODS else _OTHER_METHOD
        endpoint = request.endpoint
        self._metrics.observe_request(method, endpoint, status, seconds)
        span.set_attribute("http.response.status_code", status)
        if endpoint != UNMATCHED:
            span.update_name(f"{raw_method if raw_method in _METHODS else 'HTTP'} {endpoint}")
            span.set_attribute("http.route", endpoint)
        extra: dict[str, object] = {"status": status, "duration_ms": round(seconds * 1000, 3)}
        if failure is not None:
            record_error(span, failure)
            extra["error_type"] = type(failure).__qualname__
        elif status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))
        level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
        _log.log(level, "%s %s answered %d", method, endpoint, status, exc_info=failure, extra=extra)


def _failure_response(error: Exception, request: RequestContext) -> JSONResponse:
    if isinstance(error, DatabaseUnavailableError):
        return JSONResponse({"error": "the database is unavailable", "request_id": request.request_id}, 503)
    return JSONResponse({"error": "internal error", "request_id": request.request_id}, 500)


def _request_attributes(scope: Scope, headers: Headers, request: RequestContext) -> dict[str, str | int]:
    method = str(scope["method"])
    attributes: dict[str, str | int] = {
        "http.request.method": method if method in _METHODS else _OTHER_METHOD,
        "url.path": str(scope["path"]),
        "url.scheme": str(scope["scheme"]),
        "network.protocol.version": str(scope["http_version"]),
        "request.id": request.request_id,
    }
    if method not in _METHODS:
        attributes["http.request.method_original"] = method
    if query := bytes(scope["query_string"]).decode("latin-1"):
        attributes["url.query"] = query
    if agent := headers.get("user-agent"):
        attributes["user_agent.original"] = agent
    server: tuple[str, int] | None = scope.get("server")
    if server:
        attributes["server.address"], attributes["server.port"] = server
    client: tuple[str, int] | None = scope.get("client")
    if client:
        attributes["client.address"] = client[0]
    return attributes
