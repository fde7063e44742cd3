"""Errors: exceptions go to Sentry or GlitchTip, without secrets, and only where the environment asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

FILTERED: Final = "[Filtered]"
_SECRET: Final = r"authorization|password|passwd|pwd|api[-_ ]?key|token|secret|cookie|credential"  # noqa: S105 - names of secrets
_NAMED: Final = re.compile(_SECRET, re.IGNORECASE)
_IN_TEXT: Final = re.compile(
    # `password=x`, `"token": "x"`, `X-Api-Key: x`, `Authorization: Bearer x`: the name, what follows it, the value.
    rf"""((?:{_SECRET})[\w-]*["']?\s*[=:]\s*["']?)(?:(?:bearer|basic)\s+)?[^\s"',;&)}}\]]+"""
    # A token by itself.
    r"|(\b(?:bearer|basic)\s+)[\w.~+/-]{8,}=*",
    re.IGNORECASE,
)


class ErrorsError(Exception):
    """The SENTRY_* environment asks for something that cannot be done."""


def configure(environment: Mapping[str, str], *, release: str, deployment: str) -> bool:
    """Send what goes wrong to the DSN of the environment; False where it does not ask for that.

    ``release`` and ``deployment`` are told where SENTRY_RELEASE and SENTRY_ENVIRONMENT are not set.
    Raises ErrorsError for what cannot be: no DSN, or a rate that is none.
    """
    if environment.get("ENABLE_SENTRY", "false").lower() != "true":
        return False
    dsn = environment.get("SENTRY_DSN")
    if not dsn:
        raise ErrorsError("SENTRY_DSN: required with ENABLE_SENTRY=true, but missing (accepted: the DSN of a project)")
    # Only here: whoever sends nothing does not need the SDK.
    import sentry_sdk
    from sentry_sdk.utils import BadDsn

    try:
        sentry_sdk.init(
            dsn=dsn,
            release=environment.get("SENTRY_RELEASE") or release,
            environment=environment.get("SENTRY_ENVIRONMENT") or deployment,
            traces_sample_rate=_rate(environment.get("SENTRY_TRACES_SAMPLE_RATE", "0.1")),
            # Frames hold the request as bytes and pairs, headers and all: nothing finds every secret in there.
            include_local_variables=False,
            before_send=without_secrets,
            before_send_transaction=without_secrets,
            # GlitchTip knows no sessions.
            auto_session_tracking=False,
        )
    except BadDsn as error:
        raise ErrorsError(f"SENTRY_DSN: {error} (accepted: the DSN of a project)") from None
    return True


def flush(seconds: float) -> None:
    """Send what is left, for at most ``seconds``."""
    import sentry_sdk

    sentry_sdk.flush(timeout=seconds)


def without_secrets(event: Event, _hint: Hint) -> Event:
    """The event with nothing in it that lets somebody in: authorization headers, passwords, API keys and tokens."""
    return cast("Event", scrub(event))


def scrub(value: object) -> object:
    """``value``, in which ``[Filtered]`` stands for what a name calls secret, and for secrets inside texts."""
    if isinstance(value, Mapping):
        named = cast("Mapping[object, object]", value)
        return {
            key: FILTERED if _NAMED.search(str(key)) and inner is not None else scrub(inner)
            for key, inner in named.items()
        }
    if isinstance(value, list | tuple):
        return [scrub(inner) for inner in cast("list[object]", value)]
    if isinstance(value, str):
        return _IN_TEXT.sub(lambda found: f"{found[1] or found[2]}{FILTERED}", value)
    return value


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate <= 1:
        raise ErrorsError(f'SENTRY_TRACES_SAMPLE_RATE: "{text}" is not a share (accepted: a number from 0 to 1)')
    return rate
