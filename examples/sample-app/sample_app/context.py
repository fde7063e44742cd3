"""What is known of the request being answered, for whoever logs or counts on its way."""

from __future__ import annotations

import random
import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from starlette.routing import Route
from starlette.types import Scope

UNMATCHED: Final = "unmatched"
FAKE_USERS: Final = 200
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_USER_ID: Final = re.compile(r"user-[0-9]{1,6}")


@dataclass(frozen=True)
class RequestContext:
    """One request: its ids (a health check or a scrape has no user), and its route once the router has found it."""

    request_id: str
    user_id: str | None
    scope: Scope

    @property
    def endpoint(self) -> str:
        """The route's template; never the raw path, whose values are without number."""
        route: object = self.scope.get("route")
        return route.path_format if isinstance(route, Route) else UNMATCHED


current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def request_id_of(header: str | None) -> str:
    """Return the caller's X-Request-ID when it is a sane one, else a new one."""
    return header if header is not None and _REQUEST_ID.fullmatch(header) else uuid.uuid4().hex


def user_id_of(header: str | None, users: random.Random) -> str:
    """Return the fake user an X-User-ID header names when it is of the form ``user-7``, else any one."""
    return header if header is not None and _USER_ID.fullmatch(header) else f"user-{users.randint(1, FAKE_USERS)}"
