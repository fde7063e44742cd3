"""What runs beside the stack of these tests."""

from dataclasses import dataclass
from pathlib import Path

from tests.local.servers import Webhook

POSTGRES_PASSWORD = "canary-postgres-7d2f"  # noqa: S105 - a canary that must not be found anywhere
REDIS_PASSWORD = "canary-redis-91ab"  # noqa: S105 - likewise


@dataclass(frozen=True)
class Around:
    """What runs beside the stack."""

    webhook: Webhook
    postgres: int
    redis: int
    nginx: int
    worker: Path
    """Directory of the Celery worker, whose broker is the Redis."""
