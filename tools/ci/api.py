"""How a forge is asked: its variables, its REST API, and what is tried again."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from specs.model import SettingsError

_TRIES = 3
_PASSING = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Api:
    """A REST API that answers in JSON, page by page."""

    name: str
    """What messages call it."""
    client: httpx.Client
    """Which knows its address and the token."""

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """An answer below 400, or 404. Raises SettingsError with the API's words."""
        answer = self._asked(method, path, **content)
        # What a passing trouble refused is asked again, unless it makes something: a comment whose answer was lost
        # would stand twice.
        for waited in range(1, _TRIES):
            if answer.status_code not in _PASSING or method == "POST":
                break
            time.sleep(waited)
            answer = self._asked(method, path, **content)
        if answer.status_code >= 400 and answer.status_code != 404:
            raise SettingsError(f"{self.name}: {method} {path}: {answer.status_code} {_words(answer)}")
        return answer

    def _asked(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self.client.request(method, path, **content)
        except httpx.HTTPError as problem:
            raise SettingsError(f"{self.name}: {method} {path}: {problem}") from problem

    def have(self, method: str, path: str, **content: Any) -> Any:
        """What an answer says. Raises SettingsError when it is refused, or there is no such thing."""
        answer = self.ask(method, path, **content)
        if answer.status_code == 404:
            # GitHub says this of what the token may not see, too.
            raise SettingsError(f"{self.name}: {method} {path}: 404 {_words(answer)} (or the token has no right to it)")
        return answer.json() if answer.content else None

    def pages(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Every entry of a list."""
        wanted: str | None = path
        asked: dict[str, str] | None = {**parameters, "per_page": "100"}
        while wanted:
            answer = self.ask("GET", wanted, params=asked)
            if answer.status_code == 404:
                raise SettingsError(f"{self.name}: GET {path}: 404 {_words(answer)}")
            yield from answer.json()
            # The next page's address has the parameters already.
            wanted, asked = answer.links.get("next", {}).get("url"), None


def _words(answer: httpx.Response) -> str:
    try:
        said: dict[str, Any] = dict(answer.json())
    except (ValueError, TypeError):
        return answer.reason_phrase
    return str(said.get("message") or said.get("error") or answer.reason_phrase)


def have(variables: Mapping[str, str], name: str) -> str:
    """A variable of the job. Raises SettingsError when it is not set."""
    found = variables.get(name, "")
    if not found:
        raise SettingsError(f"{name}: not set (accepted: what the forge sets for a job, and its token; docs/ci.md)")
    return found
