"""A stack that runs, as checks ask it."""

import asyncio
import calendar
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from specs import prometheus
from specs.settings import RuntimeKind
from specs.stack import Stack
from specs.workload import Workload
from tools import stacks
from tools.doctor.findings import Finding, fail
from tools.doctor.placed import Files, Placed
from tools.health import Keeper

REQUEST_SECONDS = 10
"""How long one request may take."""
UNREACHABLE = "cannot be reached from here (kubectl port-forward)"


class SilentError(Exception):
    """A part does not answer, or not as it should; `str()` is for people."""

    def __init__(self, part: str, words: str) -> None:
        super().__init__(f"{part}: {words}")
        self.part = part


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One running program that answers by HTTP."""

    name: str
    """`prometheus`, or `prometheus-1` where each of several is asked."""
    workload: Workload
    url: str
    """Of its main port, as it is reached from here, without a slash at its end; empty: it cannot be reached."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """What an answer said of its sender's clock."""

    name: str
    ahead: float
    """Seconds before this machine's clock; negative: behind."""
    doubt: float
    """Seconds that this may be wrong by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """A stack that runs."""

    name: str
    """Of its file: Pulumi.<name>.yaml."""
    stack: Stack
    keeper: Keeper
    placed: Placed
    instances: Mapping[str, tuple[Instance, ...]]
    """By the name of the workload."""
    client: httpx.AsyncClient
    send: bool = False
    """Whether receivers are told of a test alert."""
    grafana_login: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Headers by which Grafana answers; none: nobody is known there."""
    clocks: dict[str, Clock] = field(default_factory=dict[str, Clock])
    """Of every program that was asked, by its name."""
    _reading: "list[asyncio.Task[Mapping[str, Files]]]" = field(
        default_factory=list["asyncio.Task[Mapping[str, Files]]"]
    )

    @property
    def of(self) -> str:
        """What `make` needs to be told to mean this stack, with a space at its end; empty for the default."""
        return stacks.argument(self.name)

    def put_back(self, workload: Workload) -> str:
        """How what is declared of a part comes into effect, for people: plain `up` looks at its state alone."""
        up = f"make up {self.of}".strip()
        if stacks.on(self.stack, RuntimeKind.DOCKER):
            # No engine says what is in a volume: files are placed anew by a container that is not there.
            own = f"{self.stack.context.settings.docker.network}-{workload.name}"
            return f"{up}; where it was changed by hand, docker rm -f {own} {own}-files before"
        return f"{up} where the model changed; pulumi up --refresh --stack {self.name} undoes a change by hand"

    def every(self, program: str) -> tuple[Instance, ...]:
        """All instances of a program, as `specs.programs` calls it."""
        return tuple(
            instance
            for workload in self.stack.workloads
            if workload.program.name == program
            for instance in self.instances.get(workload.name, ())
        )

    def one(self, workload: str) -> Instance:
        """The first instance of a workload that can be reached. Raises SilentError where none can."""
        found = [instance for instance in self.instances.get(workload, ()) if instance.url]
        if not found:
            raise SilentError(workload, UNREACHABLE)
        return found[0]

    async def files(self) -> Mapping[str, Files]:
        """What `placed` reads, which it does once. Raises ProcessError."""
        if not self._reading:
            self._reading.append(asyncio.create_task(asyncio.to_thread(self.placed.read)))
        # Whoever runs out of time gives up for itself alone.
        return await asyncio.shield(self._reading[0])

    async def ask(
        self, instance: Instance, path: str, params: Mapping[str, str] | None = None, *, post: Any = None
    ) -> httpx.Response:
        """What an instance answers; `post`: a value to post as JSON. Raises SilentError unless the status is 2xx."""
        if not instance.url:
            raise SilentError(instance.name, UNREACHABLE)
        before = time.time()
        try:
            answer = await (
                self.client.get(f"{instance.url}{path}", params=params)
                if post is None
                else self.client.post(f"{instance.url}{path}", json=post)
            )
        except httpx.HTTPError as problem:
            raise SilentError(instance.name, f"no answer ({type(problem).__name__})") from None
        self._note(instance.name, answer.headers.get("Date", ""), before)
        if not answer.is_success:
            raise SilentError(instance.name, f"{path} answers {answer.status_code}: {_first_line(answer.text)}")
        return answer

    async def json(self, instance: Instance, path: str, params: Mapping[str, str] | None = None) -> Any:
        """What an instance answers, as a value. Raises SilentError."""
        answer = await self.ask(instance, path, params)
        try:
            return answer.json()
        except ValueError:
            raise SilentError(instance.name, f"{path} is not JSON: {_first_line(answer.text)}") from None

    async def query(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and value of each series of an instant query, over all replicas and shards. Raises SilentError."""
        found = await self.json(
            self.one(prometheus.query_address(self.stack.context)[0]), "/api/v1/query", {"query": promql}
        )
        return [(series["metric"], float(series["value"][1])) for series in found["data"]["result"]]

    async def of_each(
        self, instances: Iterable[Instance], look: Callable[["Live", Instance], Awaitable[Sequence[Finding]]]
    ) -> list[Finding]:
        """What `look` finds at each of `instances`, all at once: one that is silent hides none of the others."""

        async def guarded(instance: Instance) -> Sequence[Finding]:
            try:
                return await look(self, instance)
            except SilentError as problem:
                return (self.silent(problem),)

        found = await asyncio.gather(*(guarded(instance) for instance in instances))
        return [finding for findings in found for finding in findings]

    def silent(self, problem: SilentError) -> Finding:
        """The finding that a part does not answer."""
        part = next((name for name, found in self.instances.items() if problem.part in _names(name, found)), "")
        return fail(str(problem), f"make logs {self.of}PART={part}" if part else f"make status {self.of}".strip())

    def _note(self, name: str, date: str, before: float) -> None:
        """Remember what a `Date`, which has whole seconds and those behind the point cut off, says of a clock."""
        with contextlib.suppress(ValueError):
            told = calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) + 0.5
            after = time.time()
            self.clocks[name] = Clock(name=name, ahead=told - (before + after) / 2, doubt=0.5 + (after - before) / 2)


def _names(workload: str, found: Sequence[Instance]) -> set[str]:
    return {workload, *(instance.name for instance in found)}


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing"])[0][:120]


@contextlib.asynccontextmanager
async def client() -> AsyncGenerator[httpx.AsyncClient, None]:
    """What asks: without the environment's proxies, since what is asked is this machine's or forwarded to it."""
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False, limits=limits) as made:
        yield made
