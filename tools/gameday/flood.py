"""A flood of log lines: one application that writes far more than it should, and the tally of what became of it."""

import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

LINES = 1_000
"""Of a request."""
LINE_BYTES = 250
SENDERS = 4
"""Connections."""
_BATCH = "batch=00000000"
_TIME = 0x1122334455667788
"""Stands where the time of a line belongs."""
PATIENCE = 30.0
"""Seconds after which a request counts as unanswered."""


@dataclass
class Tally:
    """What became of the lines."""

    accepted: int = 0
    """By an answer that says so: none of these may be lost."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Lines by the answer that refused them: the sender knows, and can try again."""
    unanswered: int = 0
    """Nobody knows of these: the connection ended before an answer."""
    seconds: float = 0.0
    """How long it took to send them all."""

    @property
    def offered(self) -> int:
        """All lines that were sent."""
        return self.accepted + self.refused.total() + self.unanswered


def _label(key: str, value: str) -> KeyValue:
    made = KeyValue(key=key)
    made.value.string_value = value
    return made


def _template(app: str) -> bytes:
    """A request whose lines differ; what tells requests apart is put into it later, at the same length."""
    request = ExportLogsServiceRequest()
    found = request.resource_logs.add()
    found.resource.attributes.extend([_label("service.name", app), _label("service.namespace", app)])
    scope = found.scope_logs.add()
    for number in range(LINES):
        record = scope.log_records.add(time_unix_nano=_TIME, severity_text="INFO")
        text = f"{_BATCH} line={number:04d} retrying without a pause: upstream said no, and it will say so again "
        record.body.string_value = text + f"{number * 2654435761 % 2**32:08x}" * ((LINE_BYTES - len(text)) // 8)
    return request.SerializeToString()


def _requests(app: str, first: int, step: int) -> Iterator[bytes]:
    template, time_of = _template(app), struct.pack("<Q", _TIME)
    number = first
    while True:
        made = template.replace(time_of, struct.pack("<Q", time.time_ns()))
        yield made.replace(_BATCH.encode(), f"batch={number:08d}".encode())
        number += step


def _post(client: httpx.Client, body: bytes) -> tuple[int, str]:
    """Send a request; how many of its lines were accepted, and the status of the answer, empty where there is none."""
    try:
        answer = client.post("/v1/logs", content=body)
    except httpx.HTTPError:
        return 0, ""
    if not answer.is_success:
        return 0, str(answer.status_code)
    rejected = ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records
    return LINES - rejected, str(answer.status_code)


def flood(  # noqa: PLR0913 - one for each wish
    url: str, app: str, rate: int, seconds: float, *, patience: float = PATIENCE, ended: Event | None = None
) -> Tally:
    """Send `rate` lines a second for so long to the collector at `url` (OTLP over HTTP), as `app`, and wait for the
    answers. Who answers slowly is sent less: it takes about twice the time at most. `ended` ends it
    early."""
    tally, lock = Tally(), Lock()
    count = max(1, round(rate * seconds / LINES / SENDERS))
    began = time.monotonic()

    def send(sender: int) -> None:
        requests = _requests(app, sender, SENDERS)
        headers = {"Content-Type": "application/x-protobuf"}
        with httpx.Client(base_url=url, timeout=patience, trust_env=False, headers=headers) as client:
            for turn in range(count):
                if time.monotonic() > began + 2 * seconds or (ended and ended.is_set()):
                    return
                time.sleep(max(0.0, began + turn * seconds / count - time.monotonic()))
                accepted, status = _post(client, next(requests))
                with lock:
                    tally.accepted += accepted
                    if status:
                        tally.refused[status] += LINES - accepted
                    else:
                        tally.unanswered += LINES

    senders = [Thread(target=send, args=(sender,), daemon=True) for sender in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    tally.seconds = time.monotonic() - began
    return tally
