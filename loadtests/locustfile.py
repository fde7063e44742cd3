"""Locust's side of a load test: `make load`, or with its web page by `locust --locustfile loadtests/locustfile.py`."""

import json
import logging
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, cast

from locust import FastHttpUser, LoadTestShape, constant_pacing, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner
from rich.console import Console

from loadtests import plan
from loadtests.export import Export
from loadtests.measurements import FAILED_FROM, Measurements, Report, answers, throughput
from loadtests.plan import LONGEST, MOST_USERS, Plan
from loadtests.shapes import SHAPES
from specs.model import SettingsError

_TIMEOUT_SECONDS = 10
_LOOK_SECONDS = 1
_SAY_SECONDS = 30

console = Console()


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixed:
    """What only the command line decides: Locust's web page takes any option from whoever can reach it."""

    allow_remote: str
    report: str
    otlp: str


@dataclass(kw_only=True)
class Run:
    """A load test that goes on."""

    plan: Plan
    fixed: Fixed
    export: Export | None
    measurements: Measurements = field(default_factory=Measurements)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.perf_counter)
    ended: float | None = None

    def report(self) -> Report:
        """What it came to."""
        seconds = (self.ended or time.perf_counter()) - self.began
        together = self.measurements.together(seconds)
        return Report(
            target=self.plan.target,
            app=self.plan.app,
            shape=self.plan.shape.name,
            scale=self.plan.scale,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            complete=seconds >= self.plan.shape.seconds,
            users=self.plan.shape.peak,
            endpoints=self.measurements.endpoints(seconds),
            criteria=[*answers(together), throughput(together, self.plan.scale)],
        )


class _State:
    """Locust calls functions, and gives them nowhere to keep anything."""

    fixed = Fixed(allow_remote="", report="", otlp="")
    run: Run | None = None


def _options(parser: LocustArgumentParser) -> None:
    add = cast("Any", parser).add_argument
    # Locust's own --users and --run-time mean a load of another form.
    add("--shape", choices=list(SHAPES), default="normal", help="How many users come when.")
    add("--app", default="sample-app", help="System under test: whose journey users take.")
    add("--scale", type=float, default=1.0, help="Part of users, time and load.")
    add("--peak", type=int, default=0, help=f"Most users at a time, up to {MOST_USERS}; 0: the shape's.")
    add("--length", default="", help=f"How long it takes, up to {LONGEST // 60}m; none: the shape's.")
    add("--report", default="", include_in_web_ui=False, help="JSON file for the results.")
    add("--otlp", default="", include_in_web_ui=False, help="Base URL of an OTLP endpoint (HTTP) for the metrics.")
    add("--allow-remote", default="", include_in_web_ui=False, help="The host, where the target is another machine.")


def _plan(environment: Environment) -> Plan:
    options: Any = environment.parsed_options
    return plan.make(
        shape=options.shape,
        target=environment.host or "",
        allow_remote=_State.fixed.allow_remote,
        app=options.app,
        scale=options.scale,
        users=options.peak or None,
        run_time=options.length,
    )


def _refused(why: str) -> NoReturn:
    print(why, file=sys.stderr, flush=True)  # noqa: T201 - a command's answer
    sys.exit(2)


def _refuse(environment: Environment, **_others: object) -> None:
    """Wrong wishes end a run without web page before it begins."""
    options: Any = environment.parsed_options
    _State.fixed = Fixed(allow_remote=options.allow_remote, report=options.report, otlp=options.otlp)
    if not isinstance(environment.runner, LocalRunner):
        _refused("--master, --worker, --processes: figures are of one process (accepted: without them)")
    if options.headless:
        try:
            _plan(environment)
        except SettingsError as problem:
            _refused(str(problem))
    # Until a run was judged, nothing has passed.
    environment.process_exit_code = 1
    environment.stop_timeout = _TIMEOUT_SECONDS
    # Its tables are estimates, and not in the order of the criteria.
    logging.getLogger("locust.stats_logger").setLevel(logging.WARNING)


def _begin(environment: Environment) -> Run | None:
    """Start what the wishes of this moment ask for; none, and a line, when it cannot be."""
    try:
        planned = _plan(environment)
    except SettingsError as problem:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        return None
    shape = planned.shape
    console.print(
        f"{planned.app} at {planned.target}: {shape.name}, up to {shape.peak} users and {shape.rate:g} req/s"
        f" for {shape.seconds:g} s; Ctrl-C ends it early",
        highlight=False,
        soft_wrap=True,
    )
    paths = [step.path for step in planned.journey]
    otlp = _State.fixed.otlp
    export = Export(otlp, app=planned.app, shape=shape.name, endpoints=paths) if otlp else None
    run = Run(plan=planned, fixed=_State.fixed, export=export)
    # Locust has made threads cheap, and sleeping them is giving way to users.
    threading.Thread(target=_watch, args=(environment, run), daemon=True).start()
    return run


class Curve(LoadTestShape):
    """The planned shape, as Locust asks for it: once a second."""

    fresh = True

    def reset_time(self) -> None:
        """A run is asked for: it begins with the first tick."""
        self.fresh = True

    def tick(self) -> tuple[int, float] | None:
        """Users to head for, and how many a second come or go."""
        if self.fresh:
            self.fresh = False
            _State.run = _begin(cast("Any", self.runner).environment)
        run = _State.run
        if run is None:
            return None
        heading = run.plan.shape.heading_at(time.perf_counter() - run.began)
        return None if heading is None else (heading.users, heading.change or 1)


def _watch(environment: Environment, run: Run) -> None:
    """Show and export how many users there are."""
    says = run.began + _SAY_SECONDS
    while run.ended is None:
        users = cast("Any", environment.runner).user_count
        if run.export:
            run.export.users(users)
        now = time.perf_counter()
        if now > says:
            says += _SAY_SECONDS
            total: Any = environment.stats.total
            console.print(
                f"{now - run.began:.0f} s: {users} users, {total.num_requests} requests, {total.num_failures} failed",
                highlight=False,
            )
        time.sleep(_LOOK_SECONDS)


def _count(
    request_type: str, name: str, response_time: float, response: Any, exception: object, **_others: object
) -> None:
    run = _State.run
    if run is None:
        return
    # An answer that breaks off is none, whatever it began with.
    status = 0 if exception and response.status_code < FAILED_FROM else response.status_code
    good = run.measurements.add(request_type, name, response_time, status)
    if run.export:
        run.export.request(name, response_time, good=good)


def _end(**_others: object) -> None:
    if _State.run:
        _State.run.ended = time.perf_counter()


def _judge(environment: Environment, **_others: object) -> None:
    run, _State.run = _State.run, None
    if run is None:
        return
    report = run.report()
    for table in report.tables():
        console.print(table)
    if cast("Any", environment.runner).cpu_warning_emitted:
        console.print("the load generator itself was short of CPU: a faster system may measure better", style="yellow")
    if run.fixed.report:
        Path(run.fixed.report).write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    if run.export:
        run.export.close(report.criteria)
    environment.process_exit_code = 0 if report.passed else 1


class Visitor(FastHttpUser):
    """Somebody who takes the steps of the journey, as often as they weigh."""

    network_timeout = _TIMEOUT_SECONDS
    connection_timeout = _TIMEOUT_SECONDS

    def on_start(self) -> None:
        """Those who came together do not ask together."""
        run = _State.run
        if run is None:
            return
        self.plan = run.plan
        # Not Locust's own: its page may change that while the run goes on, and nobody would have checked it.
        self.client.base_url = run.plan.target
        self.weights = [step.weight for step in run.plan.journey]
        self._wait_time = constant_pacing(run.plan.shape.pace)
        time.sleep(random.uniform(0, run.plan.shape.pace))  # noqa: S311 - not for secrets

    def wait_time(self) -> float:
        """Seconds until the next request."""
        return float(self._wait_time(self))

    @task
    def step(self) -> None:
        """Take a step. A redirect is an answer: where it leads may be another machine."""
        (step,) = random.choices(self.plan.journey, self.weights)  # noqa: S311 - not for secrets
        cast("Any", self.client).request(
            step.method, step.somewhere, name=step.path, json=step.body, allow_redirects=False
        )


_events = cast("Any", events)
_events.init_command_line_parser.add_listener(_options)
_events.init.add_listener(_refuse)
_events.request.add_listener(_count)
_events.test_stopping.add_listener(_end)
_events.test_stop.add_listener(_judge)
