"""The shop's SQLite database: a small pool of connections, every query traced and timed."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opentelemetry.trace import SpanKind, Tracer

from sample_app.metrics import Metrics
from sample_app.tracing import record_error

POOL_SIZE: Final = 5
WAIT_SECONDS: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    price_cents INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    total_cents INTEGER NOT NULL
);
INSERT OR IGNORE INTO products (id, name, price_cents) VALUES
    (1, 'Kettle', 3490), (2, 'Teapot', 2450), (3, 'Cup', 650), (4, 'Saucer', 420), (5, 'Spoon', 210),
    (6, 'Tea strainer', 780), (7, 'Sugar bowl', 1120), (8, 'Milk jug', 1290), (9, 'Tray', 1890), (10, 'Tea cosy', 1640);
"""


class DatabaseUnavailableError(Exception):
    """The database cannot be used now."""


@dataclass(frozen=True)
class Product:
    """Something the shop sells."""

    id: int
    name: str
    price_cents: int


@dataclass(frozen=True)
class Order:
    """Something a user bought."""

    id: int
    product_id: int
    quantity: int
    user_id: str
    total_cents: int


@dataclass(frozen=True)
class _Statement:
    operation: str
    verb: str
    table: str
    text: str

    @property
    def summary(self) -> str:
        return f"{self.verb} {self.table}".strip()


_PING: Final = _Statement("ping", "SELECT", "products", "SELECT 1 FROM products LIMIT 1")
_SELECT_PRODUCTS: Final = _Statement(
    "select_products", "SELECT", "products", "SELECT id, name, price_cents FROM products ORDER BY id"
)
_SELECT_PRODUCT: Final = _Statement(
    "select_product", "SELECT", "products", "SELECT id, name, price_cents FROM products WHERE id = ?"
)
_INSERT_ORDER: Final = _Statement(
    "insert_order",
    "INSERT",
    "orders",
    "INSERT INTO orders (product_id, quantity, user_id, total_cents) VALUES (?, ?, ?, ?) RETURNING id",
)
_SELECT_ORDER: Final = _Statement(
    "select_order",
    "SELECT",
    "orders",
    "SELECT id, product_id, quantity, user_id, total_cents FROM orders WHERE id = ?",
)


class Database:
    """The shop's queries. Each may be called from any thread; each may raise DatabaseUnavailableError."""

    def __init__(self, file: Path, metrics: Metrics, tracer: Tracer) -> None:
        """Open nothing yet: a database that is down must not keep the app from starting."""
        self._pool = _Pool(file, metrics)
        self._name = file.name
        self._metrics = metrics
        self._tracer = tracer

    def ping(self) -> None:
        """Make sure that the database answers."""
        with self._query(_PING) as connection:
            connection.execute(_PING.text).fetchone()

    def products(self) -> list[Product]:
        """Return all products."""
        with self._query(_SELECT_PRODUCTS) as connection:
            return [Product(*row) for row in connection.execute(_SELECT_PRODUCTS.text)]

    def product(self, product_id: int) -> Product | None:
        """Return one product, if there is such a one."""
        with self._query(_SELECT_PRODUCT) as connection:
            row = connection.execute(_SELECT_PRODUCT.text, (product_id,)).fetchone()
            return Product(*row) if row else None

    def create_order(self, product_id: int, quantity: int, user_id: str, total_cents: int) -> Order:
        """Write an order and return it with its number."""
        with self._query(_INSERT_ORDER) as connection:
            values = (product_id, quantity, user_id, total_cents)
            [order_id] = connection.execute(_INSERT_ORDER.text, values).fetchone()
            return Order(order_id, product_id, quantity, user_id, total_cents)

    def order(self, order_id: int) -> Order | None:
        """Return one order, if there is such a one."""
        with self._query(_SELECT_ORDER) as connection:
            row = connection.execute(_SELECT_ORDER.text, (order_id,)).fetchone()
            return Order(*row) if row else None

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    @contextmanager
    def _query(self, statement: _Statement) -> Generator[sqlite3.Connection]:
        """Trace and time a query, its wait for a connection included."""
        attributes = {
            "db.system.name": "sqlite",
            "db.namespace": self._name,
            "db.operation.name": statement.verb,
            "db.collection.name": statement.table,
            "db.query.summary": statement.summary,
            "db.query.text": statement.text,
        }
        with self._tracer.start_as_current_span(
            statement.summary,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            start = time.perf_counter()
            try:
                with self._pool.connection() as connection:
                    yield connection
            except sqlite3.Error as error:
                record_error(span, error)
                if name := getattr(error, "sqlite_errorname", None):
                    span.set_attribute("db.response.status_code", name)
                raise DatabaseUnavailableError(str(error)) from error
            except DatabaseUnavailableError as error:
                record_error(span, error)
                raise
            finally:
                self._metrics.query_seconds.labels(statement.operation).observe(time.perf_counter() - start)


class _Pool:
    """At most POOL_SIZE connections, opened when first needed and dropped when they fail."""

    def __init__(self, file: Path, metrics: Metrics) -> None:
        self._file = file
        self._used = metrics.pool_used
        self._free = threading.BoundedSemaphore(POOL_SIZE)
        self._opening = threading.Lock()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        metrics.pool_size.set(POOL_SIZE)

    @contextmanager
    def connection(self) -> Generator[sqlite3.Connection]:
        if not self._free.acquire(timeout=WAIT_SECONDS):
            raise DatabaseUnavailableError(f"no free connection within {WAIT_SECONDS:.0f} s")
        self._used.inc()
        try:
            connection = self._take()
            try:
                with connection:
                    yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)
        finally:
            self._used.dec()
            self._free.release()

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            # One at a time: SQLite does not wait for the lock that the change to WAL needs.
            with self._opening:
                return self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=WAIT_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection
