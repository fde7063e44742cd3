"""Fixtures of the sample app's tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from sample_app_support import Receiver, Service, receiving, running


@pytest.fixture(scope="session")
def receiver() -> Generator[Receiver]:
    """Receive traces."""
    with receiving() as one:
        yield one


@pytest.fixture(scope="session")
def service(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """Run a sample app in which nothing goes wrong, exporting to the receiver."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_RESOURCE_ATTRIBUTES": "team=tea",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with running(tmp_path_factory.mktemp("normal"), environment=environment) as one:
        yield one
