"""A run's figures on their way to Prometheus, while it runs."""

from collections.abc import Iterable
from datetime import UTC, datetime

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from requests import Session

from loadtests.measurements import Verdict

SERVICE = "load-test"
_EVERY_MS = 5000
_TIMEOUT_SECONDS = 2
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)


class Export:
    """Sends what it is told over OTLP, every five seconds and once more at its end."""

    def __init__(self, otlp: str, *, app: str, shape: str, endpoints: Iterable[str]) -> None:
        session = Session()
        # The collector is near: no proxy of the environment knows the way to it.
        session.trust_env = False
        exporter = OTLPMetricExporter(f"{otlp}/v1/metrics", timeout=_TIMEOUT_SECONDS, session=session)
        # Each run has series of its own, so that none begins with the count of the one before.
        run = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        resource = Resource({"service.name": SERVICE, "service.instance.id": run, "app": app})
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=_EVERY_MS)
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = self._provider.get_meter(SERVICE)
        self._labels = {"service": SERVICE, "shape": shape}
        self._users = meter.create_gauge("load_test_users", description="Users at this moment.")
        self._requests = meter.create_counter("load_test_requests", description="Requests made.")
        self._seconds = meter.create_histogram(
            "load_test_request_duration",
            unit="s",
            description="Time until a request was answered.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._passed = meter.create_gauge(
            "load_test_criterion_passed", description="1 when the run kept the criterion, 0 when it did not."
        )
        self.users(0)
        # A rate takes two points: without a nought, what happens until the first export would never be seen.
        for endpoint in endpoints:
            for result in ("ok", "failed"):
                self._requests.add(0, {**self._labels, "endpoint": endpoint, "result": result})
        self._provider.force_flush()

    def users(self, count: int) -> None:
        """Say how many users there are."""
        self._users.set(count, self._labels)

    def request(self, endpoint: str, milliseconds: float, *, good: bool) -> None:
        """Count a request."""
        labels = {**self._labels, "endpoint": endpoint}
        self._requests.add(1, {**labels, "result": "ok" if good else "failed"})
        self._seconds.record(milliseconds / 1000, labels)

    def close(self, verdicts: Iterable[Verdict]) -> None:
        """Say how it ended; returns when that is on its way, or cannot be."""
        self.users(0)
        for verdict in verdicts:
            labels = {**self._labels, "criterion": verdict.criterion, "endpoint": verdict.endpoint}
            self._passed.set(int(verdict.passed), labels)
        self._provider.shutdown()
