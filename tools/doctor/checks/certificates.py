"""Certificates of every https address of the stack are valid, and stay so for a while."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from specs import links
from specs.stack import Stack
from tools.doctor.findings import Finding, fail, ok, warn
from tools.doctor.live import Live, SilentError

SECONDS = 5
"""How long an address is waited for."""
_DAY = 86400.0
_FAIL, _WARN = 7 * _DAY, 21 * _DAY
"""What automatic renewal leaves is 30 days, of the usual 90."""
_ABOUT = frozenset({"links"})
"""Settings whose addresses are for people to read on, not the stack's."""


def addresses(stack: Stack) -> tuple[tuple[str, int], ...]:
    """Host and port of everything that is dialled, or opened by people, by https: once each."""
    context = stack.context
    settings = cast("dict[str, object]", context.settings.model_dump(mode="json", exclude=set(_ABOUT)))
    urls = [
        *(links.public_url(context, workload.name) or "" for workload in stack.workloads),
        *_texts(settings),
        *_texts(stack.outputs()["urls"]),
    ]
    found = [urlsplit(url) for url in urls if url.startswith("https://")]
    return tuple(dict.fromkeys((parts.hostname, parts.port or 443) for parts in found if parts.hostname))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[str, object]", value).values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("list[object]", value):
            yield from _texts(inner)


async def check(live: Live) -> list[Finding]:
    """Every address, dialled from here, and what probes of the stack have seen."""
    asked = addresses(live.stack)
    dialled = await asyncio.gather(*(_dialled(host, port) for host, port in asked))
    probed: list[tuple[Mapping[str, str], float]] = []
    with contextlib.suppress(SilentError):
        # What does not answer has a finding of its own elsewhere.
        probed = await live.query("min by (instance) (probe_ssl_earliest_cert_expiry)")
    found = [*dialled, *(_ends(labels.get("instance", "a probe"), moment) for labels, moment in probed)]
    count = len(asked) + len(probed)
    return [each for each in found if each] or [
        ok(f"{count} certificates are good for {_WARN / _DAY:.0f} days" if count else "there is no https address")
    ]


async def _dialled(host: str, port: int) -> Finding | None:
    name = f"{host}:{port}"
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(
                host, port, ssl=ssl.create_default_context(), server_hostname=host
            )
    except ssl.SSLCertVerificationError as problem:
        return fail(
            f"{name}: {problem.verify_message}",
            "renew it; SSL_CERT_FILE=<file> where an authority of your own made it",
        )
    except (OSError, TimeoutError) as problem:
        return warn(
            f"{name}: cannot be reached from here ({type(problem).__name__})", "look from where it can be reached"
        )
    try:
        told = cast("dict[str, Any]", writer.get_extra_info("peercert"))
        return _ends(name, ssl.cert_time_to_seconds(str(told["notAfter"])))
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


def _ends(name: str, moment: float) -> Finding | None:
    left = moment - time.time()
    words = f"{name}: its certificate ends in {left / _DAY:.1f} days" if left > 0 else f"{name}: its certificate ended"
    if left < _FAIL:
        return fail(words, "renew it, and see why that did not happen by itself")
    return warn(words, "see that it is renewed in time") if left < _WARN else None
