"""The web shop: its routes, and the making of the ASGI application."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Final, cast

from opentelemetry.trace import Tracer
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sample_app.context import current_request
from sample_app.database import Database, DatabaseUnavailableError, Order, Product
from sample_app.logs import JsonFileHandler
from sample_app.metrics import Metrics
from sample_app.scenarios import Scenarios
from sample_app.settings import Settings
from sample_app.telemetry import Telemetry
from sample_app.tracing import record_error

MAX_BODY_BYTES: Final = 16 * 1024
MAX_QUANTITY: Final = 100
_DISCOUNT_FROM: Final = 10
_NUMBER: Final = re.compile(r"[0-9]{1,18}")

_log = logging.getLogger("sample_app.shop")


@dataclass(frozen=True)
class Shop:
    """The request handlers and what they work with."""

    settings: Settings
    service: str
    metrics: Metrics
    tracer: Tracer
    database: Database
    scenarios: Scenarios
    log_file: JsonFileHandler

    async def products(self, _request: Request) -> Response:
        """GET /products."""
        products = await run_in_threadpool(self.database.products)
        prices = await self._price([(product, 1) for product in products])
        return JSONResponse([_shown(product, price) for product, price in zip(products, prices, strict=True)])

    async def product(self, request: Request) -> Response:
        """GET /products/{id}."""
        product = await self._product(_number(request.path_params["id"]))
        [price] = await self._price([(product, 1)])
        return JSONResponse(_shown(product, price))

    async def create_order(self, request: Request) -> Response:
        """POST /orders."""
        product_id, quantity = _wanted(await request.body())
        product = await self._product(product_id)
        [total] = await self._price([(product, quantity)])
        context = current_request.get()
        user_id = (context and context.user_id) or "nobody"
        order = await run_in_threadpool(self.database.create_order, product_id, quantity, user_id, total)
        self.metrics.orders.inc()
        _log.info("order %d created", order.id, extra={"order_id": order.id})
        return JSONResponse(asdict(order), 201, {"Location": f"/orders/{order.id}"})

    async def order(self, request: Request) -> Response:
        """GET /orders/{id}."""
        order: Order | None = await run_in_threadpool(self.database.order, _number(request.path_params["id"]))
        if order is None:
            raise HTTPException(404, "no such order")
        product = await self._product(order.product_id)
        [now] = await self._price([(product, order.quantity)])
        return JSONResponse(asdict(order) | {"total_cents_today": now})

    async def health(self, _request: Request) -> Response:
        """GET /health."""
        database, _ = await self._database_health()
        parts: dict[str, dict[str, object]] = {"database": database, "log": {"healthy": self.log_file.healthy}}
        healthy = all(part["healthy"] is True for part in parts.values())
        body = {
            "healthy": healthy,
            "service": self.service,
            "version": self.settings.version,
            "environment": self.settings.environment,
            "parts": parts,
        }
        return JSONResponse(body, 200 if healthy else 503)

    async def health_database(self, _request: Request) -> Response:
        """GET /health/database."""
        database, healthy = await self._database_health()
        return JSONResponse(database, 200 if healthy else 503)

    async def exposition(self, request: Request) -> Response:
        """GET /metrics."""
        body, content_type = self.metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    async def _product(self, product_id: int) -> Product:
        product: Product | None = await run_in_threadpool(self.database.product, product_id)
        if product is None:
            raise HTTPException(404, "no such product")
        return product

    async def _price(self, items: Sequence[tuple[Product, int]]) -> list[int]:
        """Return what each quantity of a product costs: ten or more of one are a tenth cheaper."""
        with self.tracer.start_as_current_span(
            "pricing", attributes={"shop.items": len(items)}, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                await self.scenarios.disturb_pricing()
                prices = [
                    product.price_cents * quantity * (90 if quantity >= _DISCOUNT_FROM else 100) // 100
                    for product, quantity in items
                ]
            except Exception as error:
                record_error(span, error)
                raise
            span.set_attribute("shop.total_cents", sum(prices))
            return prices

    async def _database_health(self) -> tuple[dict[str, object], bool]:
        start = time.perf_counter()
        try:
            await run_in_threadpool(self.database.ping)
        except DatabaseUnavailableError as error:
            return {"healthy": False, "error": str(error)}, False
        return {"healthy": True, "duration_ms": round((time.perf_counter() - start) * 1000, 3)}, True


def build(shop: Shop) -> Starlette:
    """Return the ASGI application."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with shop.scenarios.background():
            yield
        shop.database.close()

    telemetry = Middleware(Telemetry, metrics=shop.metrics, tracer=shop.tracer, seed=shop.settings.seed)
    return Starlette(
        routes=[
            Route("/products", shop.products),
            Route("/products/{id}", shop.product),
            Route("/orders", shop.create_order, methods=["POST"], max_body_size=MAX_BODY_BYTES),
            Route("/orders/{id}", shop.order),
            Route("/health", shop.health),
            Route("/health/database", shop.health_database),
            Route("/metrics", shop.exposition),
        ],
        middleware=[telemetry],
        exception_handlers={HTTPException: _refusal},
        lifespan=lifespan,
    )


async def _refusal(_request: Request, error: Exception) -> Response:
    refusal = cast(HTTPException, error)
    return JSONResponse({"error": refusal.detail}, refusal.status_code, refusal.headers)


def _shown(product: Product, price_cents: int) -> dict[str, object]:
    return {"id": product.id, "name": product.name, "price_cents": price_cents}


def _number(text: str) -> int:
    # Eighteen digits always fit SQLite's integers; more cannot be the id of anything.
    if not _NUMBER.fullmatch(text):
        raise HTTPException(404, "an id is a number")
    return int(text)


def _wanted(body: bytes) -> tuple[int, int]:
    """Read the body of an order: {"product_id": 3, "quantity": 2}."""
    try:
        order: object = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(order, dict):
        raise HTTPException(422, "the body is not a JSON object")
    fields = cast(dict[str, object], order)
    product_id, quantity = fields.get("product_id"), fields.get("quantity")
    if type(product_id) is not int or not 0 < product_id < 10**18:
        raise HTTPException(422, "product_id must be a positive number")
    if type(quantity) is not int or not 0 < quantity <= MAX_QUANTITY:
        raise HTTPException(422, f"quantity must be a number from 1 to {MAX_QUANTITY}")
    return product_id, quantity
