"""Waiting for Grafana: the dynamic resource that everything made in it comes after.

The engine's state refers to these classes by module and name, so they are never moved or renamed
(docs/decisions/003-dynamic-resources.md). Pulumi's plugin imports this module: no SDK of a provider belongs here.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx
import pulumi
from pulumi.dynamic import ConfigureRequest, CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.plain_errors import PlainError, speak_plainly

_PAUSE = 1.0
_TIMEOUT = 10.0
_PROVIDER = "__provider"
TEAMS_SINCE = 11
"""Oldest major version in which teams are made; in 9 the provider crashes over them, and leaves half of the rest."""


def _headers(login: str) -> tuple[httpx.BasicAuth | None, dict[str, str]]:
    """As Grafana's provider reads it: what has a colon is user and password, anything else a token."""
    user, colon, password = login.partition(":")
    return (httpx.BasicAuth(user, password), {}) if colon else (None, {"Authorization": f"Bearer {login}"})


def _refuse_old(url: str, health: httpx.Response) -> None:
    """Raises PlainError for a Grafana in which the provider cannot make teams; one that hides its version passes."""
    try:
        version = str(health.json()["version"])
        major = int(version.partition(".")[0])
    except (ValueError, KeyError, TypeError):
        return
    if major < TEAMS_SINCE:
        raise PlainError(
            f"{url}: Grafana {version} is too old for teams (accepted: {TEAMS_SINCE} or newer, or grafana.teams: false)"
        )


def wait(url: str, *, login: str, key: str, seconds: float, teams: bool = False) -> None:
    """Return as soon as the Grafana at `url` answers, and takes `login` for an administrator's.

    With `teams` it must be one that has them as the provider expects.

    `login` is `user:password` or a token, `key` that of the secret it comes from, for the message. Raises
    PlainError when nothing healthy answers within `seconds`, or when the login is refused; it is tried once, since
    Grafana locks an account that is tried in vain.
    """
    deadline = time.monotonic() + seconds
    auth, headers = _headers(login)
    with httpx.Client(timeout=_TIMEOUT) as client:
        while True:
            try:
                answer = client.get(f"{url}/api/health")
                if answer.is_success:
                    if teams:
                        _refuse_old(url, answer)
                    break
                last = f"answers {answer.status_code}"
            except httpx.HTTPError as problem:
                last = str(problem) or type(problem).__name__
            if time.monotonic() + _PAUSE > deadline:
                raise PlainError(f"{url}/api/health: no Grafana within {seconds:g} s: {last}")
            time.sleep(_PAUSE)
        try:
            # What only an administrator may ask, and every Grafana since service accounts answers.
            taken = client.get(f"{url}/api/serviceaccounts/search?perpage=1", auth=auth, headers=headers)
        except httpx.HTTPError as problem:
            raise PlainError(f"{url}: Grafana went away: {problem or type(problem).__name__}") from None
    if taken.status_code == HTTPStatus.UNAUTHORIZED:
        raise PlainError(
            f"{url}: Grafana refuses the secret {key}"
            " (after five wrong logins it refuses the right password too, for five minutes)"
        )
    if not taken.is_success:
        raise PlainError(
            f"{url}: Grafana answers {taken.status_code} where an administrator is asked for"
            f" (accepted as {key}: an account of the role Admin)"
        )


def _inputs(props: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in props.items() if key != _PROVIDER}


class ReadyProvider(ResourceProvider):
    """Waits whenever something that Grafana was started with has changed.

    Inputs: `url`, `login` (user:password, or a token), `secret` (the key of where that comes from), `seconds` (how
    long to wait), `server` (any text that changes when Grafana is started anew) and `teams` (whether there will be
    any).
    """

    def configure(self, req: ConfigureRequest) -> None:
        """Called once in the plugin."""
        del req
        speak_plainly()

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait."""
        self._wait(props)
        return CreateResult("grafana", _inputs(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compares inputs, and dials nobody: previews work while Grafana is down."""
        return DiffResult(changes=_inputs(_olds) != _inputs(_news))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Wait again."""
        self._wait(_news)
        return UpdateResult(_inputs(_news))

    @staticmethod
    def _wait(props: Mapping[str, Any]) -> None:
        wait(
            props["url"],
            login=props["login"],
            key=props["secret"],
            seconds=float(props["seconds"]),
            teams=props["teams"],
        )


class Ready(Resource, module="observability", name="Ready"):
    """There once Grafana answers and takes the login."""

    def __init__(
        self, name: str, props: Mapping[str, pulumi.Input[Any]], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`props` are the inputs of `ReadyProvider`."""
        super().__init__(ReadyProvider(), name, dict(props), opts)
