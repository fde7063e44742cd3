"""The shop itself: what it answers, and what it refuses."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sample_app_support import Service, eventually, running


def test_an_order_is_written_and_read_back(service: Service) -> None:
    """Proves that POST /orders stores an order, that its Location leads to it, and that ten are a tenth cheaper."""
    product = service.client.get("/products/3").json()
    made = service.client.post("/orders", json={"product_id": 3, "quantity": 10}, headers={"X-User-ID": "user-42"})
    assert made.status_code == 201
    read = service.client.get(made.headers["Location"]).json()
    assert read.items() >= made.json().items()
    assert (read["user_id"], read["quantity"]) == ("user-42", 10)
    assert read["total_cents"] == product["price_cents"] * 9


def test_the_catalogue_lists_what_each_product_page_shows(service: Service) -> None:
    """Proves that GET /products and GET /products/{id} agree."""
    products = service.client.get("/products").json()
    assert len(products) == 10
    assert products[4] == service.client.get(f"/products/{products[4]['id']}").json()


def test_health_names_each_part(service: Service) -> None:
    """Proves that both health endpoints answer 200 and say which part is healthy."""
    whole = service.client.get("/health")
    assert whole.status_code == 200
    assert whole.json()["healthy"] is True
    assert {name: part["healthy"] for name, part in whole.json()["parts"].items()} == {"database": True, "log": True}
    database = service.client.get("/health/database")
    assert (database.status_code, database.json()["healthy"]) == (200, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"\xff\xfe", 400),
        (b"[" * 8000, 400),
        (b"[]", 422),
        (b'{"product_id": "3", "quantity": 1}', 422),
        (b'{"product_id": true, "quantity": 1}', 422),
        (b'{"product_id": 3, "quantity": 0}', 422),
        (b'{"product_id": 3, "quantity": 101}', 422),
        (b'{"product_id": 99999999999999999999, "quantity": 1}', 422),
        (b'{"product_id": 11, "quantity": 1}', 404),
        (b" " * 20000, 413),
    ],
)
def test_a_wrong_order_is_refused(service: Service, body: bytes, status: int) -> None:
    """Proves that no body, however odd or large, is the service's error (500) rather than the caller's."""
    assert service.client.post("/orders", content=body).status_code == status


def test_a_client_that_hangs_up_is_no_error(service: Service) -> None:
    """Proves that a request whose body never comes whole is counted as 499 and not as a failure of the shop."""
    labels = {"method": "POST", "endpoint": "/orders"}
    before = service.value("http_requests_total", status="499", **labels)
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.2)
    eventually(lambda: service.value("http_requests_total", status="499", **labels) == before + 1, "a 499")
    assert service.value("http_requests_total", status="500", **labels) == 0


def test_the_first_orders_may_come_all_at_once(tmp_path: Path) -> None:
    """Proves that many users at once on a new database neither meet its locks nor share an order number."""

    def order(user: int) -> int:
        headers = {"X-User-ID": f"user-{user}"}
        made = fresh.client.post("/orders", json={"product_id": 1, "quantity": 1}, headers=headers)
        assert made.status_code == 201
        return int(made.json()["id"])

    with running(tmp_path) as fresh, ThreadPoolExecutor(30) as pool:
        assert sorted(pool.map(order, range(60))) == list(range(1, 61))
        assert fresh.value("db_connection_pool_used") == 0


@pytest.mark.parametrize("path", ["/products/11", "/products/x", "/products/" + "9" * 5000, "/orders/-1", "/nowhere"])
def test_an_unknown_thing_is_not_found(service: Service, path: str) -> None:
    """Proves that an id that leads nowhere, be it not even a number, answers 404."""
    assert service.client.get(path).status_code == 404
