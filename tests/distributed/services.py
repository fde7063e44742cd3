"""Stands in for a cluster's Services: an address that hands connections on to one of the replicas that are there."""

import asyncio
from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Services:
    """Listens on addresses until it is left; each connection goes to the next replica that takes it."""

    def __init__(self, behind: Mapping[tuple[str, int], Sequence[tuple[str, int]]]) -> None:
        """`behind` are the addresses of replicas by the address of their Service."""
        self._behind = behind
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(timeout=30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _listen(self) -> None:
        for (host, port), replicas in self._behind.items():

            async def connected(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                replicas: Sequence[tuple[str, int]] = replicas,
            ) -> None:
                await self._hand_on(reader, writer, replicas)

            await asyncio.start_server(connected, host, port)

    async def _end(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hand_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replicas: Sequence[tuple[str, int]]
    ) -> None:
        self._turn += 1
        for step in range(len(replicas)):
            try:
                inside, outside = await asyncio.open_connection(*replicas[(self._turn + step) % len(replicas)])
            except OSError:
                continue
            await asyncio.gather(_pump(reader, outside), _pump(inside, writer), return_exceptions=True)
            return
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
