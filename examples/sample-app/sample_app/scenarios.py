"""What can be made to go wrong, each in the way it goes wrong in earnest."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from sample_app.settings import Scenario, Settings

ERROR_SHARE: Final = 0.25
# The 95th percentile of an even spread from 0.1 to 2.1 s is 2 s.
SLOW_SECONDS: Final = (0.1, 2.1)
BURST_PER_SECOND: Final = 50
LEAK_BYTES_PER_SECOND: Final = 1024 * 1024
_LEAK_STEPS_PER_SECOND: Final = 4

_log = logging.getLogger("sample_app.scenarios")


class PricingError(Exception):
    """A price could not be computed."""


class Scenarios:
    """The scenario of this run."""

    def __init__(self, settings: Settings) -> None:
        """Take the scenario and its numbers from the command line."""
        self._scenario = settings.scenario
        self._crash_after = settings.crash_after
        self._leak_limit = settings.leak_limit_mb * 1024 * 1024
        self._random = random.Random(settings.seed)
        self._leaked: list[bytes] = []

    def database_file(self, data: Path) -> Path:
        """Return where the database is; when it is down, that is somewhere no file can be opened."""
        if self._scenario is Scenario.DATABASE_DOWN:
            return data / "lost-volume" / "shop.db"
        return data / "shop.db"

    async def disturb_pricing(self) -> None:
        """Delay or fail the pricing of one request."""
        if self._scenario is Scenario.SLOW:
            await asyncio.sleep(self._random.uniform(*SLOW_SECONDS))
        if self._scenario is Scenario.ERRORS and self._random.random() < ERROR_SHARE:
            raise PricingError("no price list is valid for this request")

    @asynccontextmanager
    async def background(self) -> AsyncGenerator[None]:
        """Run what the scenario does beside the requests, for as long as the app runs."""
        if self._scenario is not Scenario.NORMAL:
            _log.warning("scenario %s is on", self._scenario)
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        if self._scenario is Scenario.CRASH:
            await self._crash()
        elif self._scenario is Scenario.LOG_BURST:
            await self._burst()
        elif self._scenario is Scenario.LEAK:
            await self._leak()

    async def _crash(self) -> None:
        await asyncio.sleep(self._crash_after)
        _log.critical("the heap is corrupted: giving up")
        # Not sys.exit(): a crash neither finishes its requests nor flushes its traces.
        os._exit(1)

    async def _burst(self) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        written = 0
        while True:
            # Counting from the start keeps the rate when a sleep is late.
            due = int((clock() - start) * BURST_PER_SECOND)
            for _ in range(due - written):
                written += 1
                _log.error("stock service refused connection %d", written)
            await asyncio.sleep(1 / BURST_PER_SECOND)

    async def _leak(self) -> None:
        step = LEAK_BYTES_PER_SECOND // _LEAK_STEPS_PER_SECOND
        while step * (len(self._leaked) + 1) <= self._leak_limit:
            # Written bytes: zeroed ones would be reserved, yet not resident.
            self._leaked.append(b"\x5a" * step)
            await asyncio.sleep(1 / _LEAK_STEPS_PER_SECOND)
        _log.warning("the cache holds %d MB and stops growing", step * len(self._leaked) // 1024**2)
