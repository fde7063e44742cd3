"""A Prometheus, Thanos or Loki that answers about its history, asked with restraint."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import httpx

from specs.model import SettingsError
from tools.backtest.rules import Language

ANSWER = 64 * 2**20
"""Most bytes of one answer."""
SECONDS = 30
"""How long one answer may take."""
_TRIES = 4
_BUSY = frozenset({429, 502, 503, 504})
_LOOKS_LIKE_SIZE = ("too many", "exceeded maximum", "timed out", "timeout", "too large", "limit", "canceled", "aborted")
_NO_API = "answers with something else than an API"
_EXACT = {"max_source_resolution": "0s", "partial_response": "false"}
"""Thanos would take downsampled series for a long time, and answer with what some of its stores have."""
_KINDS = {Language.PROMQL: "Prometheus or Thanos", Language.LOGQL: "Loki"}


class TooMuchError(Exception):
    """The server would answer less: fewer steps, or a shorter time."""


class RefusedError(Exception):
    """The server does not answer this; `str()` has its words."""


@dataclass
class Pace:
    """How often a server is asked."""

    rate: float
    """Queries a second."""
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Until the next query may be asked."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + 1 / self.rate
        time.sleep(at - now)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server, and how it is asked."""

    url: str
    """Without a slash at the end; may have a user and a password."""
    language: Language
    pace: Pace
    client: httpx.Client
    """Its time limit is a little more than SECONDS."""
    sleep: Callable[[float], None] = time.sleep

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def option(self) -> str:
        """What the user calls it."""
        return "PROMETHEUS" if self.language is Language.PROMQL else "LOKI"

    def check(self) -> None:
        """Refuse what is no such server. Raises SettingsError."""
        accepted = f"(accepted: the URL of a {_KINDS[self.language]} that this machine reaches)"
        query = "vector(1)"
        try:
            self._ask("query", {"query": query}, tries=1)
        except (RefusedError, TooMuchError) as problem:
            raise SettingsError(f"{self.option}={self.shown}: {problem} {accepted}") from None

    def range(self, query: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Every series of the result, from `start` to `end` (seconds since 1970, both included).

        Raises TooMuchError for what a smaller question would do, RefusedError for everything else.
        """
        asked = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        # Loki has a limit of its own, and knows no such wish; the others are Thanos'.
        wishes = {"timeout": f"{SECONDS}s", **_EXACT} if self.language is Language.PROMQL else {}
        match self._ask("query_range", {**asked, **wishes}):
            case {"resultType": "matrix", "result": [*series]}:
                return cast("list[dict[str, Any]]", series)
            case {"resultType": kind}:
                raise RefusedError(f"answers with {kind}, which is no range of an expression")
            case _:
                raise RefusedError(_NO_API)

    def has(self, selector: str, start: float, end: float) -> bool | None:
        """Whether the history has a series for `selector`; None when the server does not tell."""
        asked = {"match[]": selector, "start": f"{start:.3f}", "end": f"{end:.3f}", "limit": "1"}
        try:
            return bool(self._ask("series", asked))
        except (RefusedError, TooMuchError):
            return None

    def _ask(self, what: str, asked: Mapping[str, str], tries: int = _TRIES) -> Any:
        base = "/api/v1/" if self.language is Language.PROMQL else "/loki/api/v1/"
        problem = ""
        for attempt in range(tries):
            self.pace.wait()
            pause = float(2**attempt)
            try:
                with self.client.stream("POST", f"{self.url}{base}{what}", data=dict(asked)) as answer:
                    body = _body(answer)
            except (httpx.ReadTimeout, httpx.WriteTimeout):
                raise TooMuchError("no answer within the time limit") from None
            except httpx.HTTPError as failed:
                problem = f"no answer ({type(failed).__name__})"
            else:
                status = answer.status_code
                if status == 200:
                    return _data(body)
                words = _words(body) or f"answers {status}"
                if status in {400, 413, 422, 500, 503} and any(word in words.lower() for word in _LOOKS_LIKE_SIZE):
                    raise TooMuchError(words)
                if status not in _BUSY:
                    raise RefusedError(words)
                problem = words
                pause = max(pause, _retry_after(answer))
            if attempt + 1 < tries:
                self.sleep(pause)
        raise RefusedError(problem)


def _body(answer: httpx.Response) -> bytes:
    """The whole answer, unless that is too much of it."""
    found = bytearray()
    for piece in answer.iter_bytes():
        found += piece
        if len(found) > ANSWER:
            raise TooMuchError(f"answers with more than {ANSWER >> 20} MiB")
    return bytes(found)


def _data(body: bytes) -> Any:
    try:
        found = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        raise RefusedError(_NO_API) from None
    if found is None:
        raise RefusedError(_NO_API)
    return found


def _words(body: bytes) -> str:
    """What an API says of its refusal, in one line."""
    text = body.decode(errors="replace").strip()
    try:
        text = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        if text.startswith("<"):
            text = ""
    return " ".join(text.split())[:300]


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(30.0, float(answer.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
