"""Ports of pods on this machine, by kubectl, for as long as they are needed."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence

SECONDS = 15
"""How long a port is waited for."""
_LISTENS = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ->")


async def _forwarded(command: Sequence[str], kept: contextlib.AsyncExitStack) -> int:
    """The port of this machine that `command` opens, until `kept` closes; 0: it did not come in time."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # An interrupt ends the command, which then ends these.
        start_new_session=True,
    )
    kept.push_async_callback(_end, process)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while process.stdout and (line := await process.stdout.readline()):
                if found := _LISTENS.match(line):
                    return int(found[1])
    return 0


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(3):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def forwards(commands: Mapping[str, Sequence[str]]) -> AsyncGenerator[Mapping[str, int], None]:
    """Run each of `commands`, all at once, and yield the port of this machine that each opened, by its name; those that
    did not come are not there. All are ended at the end."""
    async with contextlib.AsyncExitStack() as kept:
        ports = await asyncio.gather(*(_forwarded(command, kept) for command in commands.values()))
        yield {name: port for name, port in zip(commands, ports, strict=True) if port}
