"""Traces of work that never was: the spans a well instrumented system would have made of it."""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, format_span_id, format_trace_id
from opentelemetry.trace import set_span_in_context as within

from sample_app.impersonation.traffic import Call, Work

_NANO = 10**9
_SYSTEMS = {"cache_lookup": "redis", "database_query": "postgresql"}


@dataclass(frozen=True)
class Traced:
    """Where a piece of work is found in the traces."""

    trace_id: str
    span_id: str


def told(tracer: Tracer, work: Work, ended: float) -> Traced:
    """Make the spans of `work`, which ended at the time `ended`: a root, and a child for each call it waited for."""
    start = int((ended - work.seconds) * _NANO)
    root = tracer.start_span(
        work.name,
        kind=SpanKind.SERVER if work.status else SpanKind.CONSUMER,
        attributes=_of(work),
        start_time=start,
    )
    context = within(root)
    at = start
    for call in work.calls:
        length = int(call.seconds * _NANO)
        child = tracer.start_span(
            call.name, context=context, kind=SpanKind.CLIENT, attributes=_called(call), start_time=at
        )
        child.end(at + length)
        at += length
    if work.failed:
        _fail(root, work, int(ended * _NANO))
    root.end(int(ended * _NANO))
    found = root.get_span_context()
    return Traced(format_trace_id(found.trace_id), format_span_id(found.span_id))


def _of(work: Work) -> dict[str, str | int]:
    ids: dict[str, str | int] = {"request.id": work.request_id, "user.id": work.user_id}
    if not work.status:
        return ids
    return {
        **ids,
        "http.request.method": work.method,
        "http.route": work.route,
        "url.path": work.route,
        "url.scheme": "http",
        "http.response.status_code": work.status,
    }


def _called(call: Call) -> dict[str, str]:
    system = _SYSTEMS.get(call.name) or ("postgresql" if call.of_database else "")
    return {**call.attributes, **({"db.system.name": system} if system else {})}


def _fail(root: Span, work: Work, at: int) -> None:
    root.add_event(
        "exception",
        {"exception.type": "UpstreamError", "exception.message": f"{work.name} could not be answered"},
        timestamp=at,
    )
    root.set_attribute("error.type", str(work.status))
    root.set_status(Status(StatusCode.ERROR))
