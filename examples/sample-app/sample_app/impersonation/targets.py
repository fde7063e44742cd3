"""How a stand-in has itself scraped: as the services and the exporters of the system that it stands in for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from specs.profile import Profile


class Entry(TypedDict):
    """An entry of a file of targets, as Prometheus' file discovery reads it."""

    targets: list[str]
    labels: dict[str, str]


def targets(system: str, profile: Profile, address: str, labels: Mapping[str, str]) -> list[Entry]:
    """Entries of a file of targets. `labels` are what every target of the stack carries."""
    pages = [
        (name, "/metrics", {"__param_service": name})
        for name, service in profile.services.items()
        if service.metrics is not None
    ]
    exporters = [
        *profile.exporters,
        *(["json"] if profile.json_pages else []),
        *(["blackbox"] if profile.probes else []),
    ]
    pages += [(name, "/exporters", {"__param_name": name}) for name in exporters]
    return [
        {
            "targets": [address],
            "labels": {**labels, "app": system, "service": service, "__metrics_path__": path, **query},
        }
        for service, path, query in pages
    ]
