"""A stack whose programs are stand-ins: what they answer is what a test says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from specs.stack import Stack
from specs.workload import Port
from tools.doctor.findings import Finding
from tools.doctor.live import Instance, Live
from tools.doctor.opening import asked
from tools.doctor.placed import Files
from tools.health import Running

Answer = Callable[[httpx.Request], httpx.Response]
"""What a program answers; the request's host is the program's name."""


@dataclass(frozen=True)
class Kept:
    """What keeps no program: a test says how they are."""

    states: Mapping[str, Running] = field(default_factory=dict[str, Running])

    def running(self) -> Mapping[str, Running]:
        """As the test says."""
        return self.states

    def reaches(self, port: Port) -> bool:
        """None."""
        del port
        return False

    def targets(self) -> Mapping[str, bool]:
        """None."""
        return {}

    def forwarding(self) -> str:
        """Nowhere."""
        return ""

    def read(self) -> Mapping[str, Files]:
        """No files."""
        return {}


def found(
    check: Callable[[Live], Awaitable[Sequence[Finding]]], stack: Stack, answer: Answer, **more: Any
) -> list[Finding]:
    """What `check` finds at a stack whose programs answer `answer`."""

    async def look() -> list[Finding]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), timeout=5) as client:
            return list(await check(live(stack, client, **more)))

    return asyncio.run(look())


def live(stack: Stack, client: httpx.AsyncClient, **more: Any) -> Live:
    """The stack as checks ask it: each program that any of them asks, once, at a host of its name."""
    instances = {
        workload.name: (Instance(name=workload.name, workload=workload, url=f"http://{workload.name}"),)
        for workload in stack.workloads
        if asked(workload)
    }
    given: dict[str, Any] = {"name": "dev", "keeper": Kept(), "placed": Kept(), "instances": instances, **more}
    return Live(stack=stack, client=client, **given)


def series(*values: tuple[Mapping[str, str], float]) -> httpx.Response:
    """The answer to an instant query."""
    result = [{"metric": dict(labels), "value": [0, str(value)]} for labels, value in values]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})
