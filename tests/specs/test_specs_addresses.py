"""The three kinds of addresses."""

import pytest

from specs.addresses import Addresses, Cluster, Containers, Loopback
from tests.specs.support import context

ALL = "0.0.0.0"  # noqa: S104 - under test


@pytest.mark.parametrize(
    ("addresses", "answers"),
    [
        (Loopback(), (9090, "127.0.0.1", "127.0.0.1:9090", "127.0.0.1:9090", "127.0.0.1:9090")),
        (Loopback(offset=20000), (29090, "127.0.0.1", "127.0.0.1:29090", "127.0.0.1:29090", "127.0.0.1:29090")),
        (Loopback(offset=1, bind=ALL), (9091, ALL, f"{ALL}:9091", "127.0.0.1:9091", "127.0.0.1:9091")),
        (Containers(), (9090, ALL, f"{ALL}:9090", "prometheus:9090", "127.0.0.1:9090")),
        (Containers(offset=20000), (9090, ALL, f"{ALL}:9090", "prometheus:9090", "127.0.0.1:29090")),
        (
            Cluster("watch"),
            (9090, ALL, f"{ALL}:9090", "prometheus.watch.svc:9090", "prometheus.watch.svc:9090"),
        ),
    ],
)
def test_addresses(addresses: Addresses, answers: tuple[int, str, str, str, str]) -> None:
    """Proves what each kind says of a port, of what is bound, of what is dialled inside, and of what is dialled from
    outside."""
    given = (
        addresses.port(9090),
        addresses.host(),
        addresses.listen(9090),
        addresses.dial("prometheus", 9090),
        addresses.outside("prometheus", 9090),
    )

    assert given == answers


@pytest.mark.parametrize(
    ("changes", "addresses"),
    [
        ({"port_offset": 7, "bind": ALL}, Loopback(offset=7, bind=ALL)),
        ({"runtime": "docker", "port_offset": 7}, Containers(offset=7)),
        ({"runtime": "kubernetes", "kubernetes": {"namespace": "watch"}}, Cluster("watch")),
    ],
)
def test_each_runtime_has_its_kind(changes: dict[str, object], addresses: Addresses) -> None:
    """Proves that the settings' runtime decides, with the settings that belong to it."""
    assert context(**changes).addresses == addresses
