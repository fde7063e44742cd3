"""Every part runs and is healthy: what `make status` shows."""

import asyncio

from tools import health
from tools.doctor.findings import Finding, fail, ok
from tools.doctor.live import Live


async def check(live: Live) -> list[Finding]:
    """What keeps the programs is asked, and each part of which it does not know."""
    found = await asyncio.to_thread(health.look, live.stack, live.keeper)
    bad = [part for part in found if not part.healthy]
    return [fail(f"{part.name}: {part.words}", f"make logs {live.of}PART={part.name}") for part in bad] or [
        ok(f"{len(found)} parts are healthy")
    ]
