"""The commands behind `make`: python -m tools.cli --help."""

import contextlib
import json
import os
import shlex
import shutil
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from processes import supervision
from processes.home import Home, of_stack
from specs import grafana
from specs.model import SettingsError
from specs.settings import RuntimeKind
from specs.stack import Stack
from tools import demonstration, native, paths, stacks
from tools.backtest.command import backtest
from tools.backup.command import backup, restore
from tools.changes.command import diff
from tools.ci.command import drift
from tools.doctor.command import doctor
from tools.engine import Engine, engine, environment
from tools.gameday.command import gameday
from tools.policy.command import policy
from tools.terminal import StackName, blame, console, judging, plainly, warn

if TYPE_CHECKING:
    from tools.docker_engine import Containers
    from tools.health import Health, Keeper

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_WIDE = 130


def _programs(stack: Stack) -> list[str]:
    """Native programs that running and checking the stack takes."""
    names = {check.argv[0] for workload in stack.workloads for check in workload.checks}
    names |= {workload.program.binary for workload in stack.workloads}
    return ["pulumi", "pulumi-language-python", *stacks.native(names)]


def _install(stack: Stack) -> None:
    needed = _programs(stack) if stack.context.on_one_machine else ["pulumi", "pulumi-language-python"]
    missing = [name for name in needed if native.locate(name) is None]
    if missing:
        native.ensure(missing, console)


def _home(stack: Stack, name: str) -> Home | None:
    return of_stack(name) if stack.context.on_one_machine else None


def _engine(name: str, stack: Stack) -> Engine:
    made = engine(name, stack.context.settings)
    made.ready()
    return made


def _refuse_missing_secrets(made: Engine, stack: Stack) -> None:
    from components import configuration

    lines = configuration.missing(stack, made.configured(), name=made.stack)
    if lines:
        raise SettingsError("\n".join(lines))


def forget_lost_grafana(made: Engine, containers: "Containers", gone: Collection[str]) -> None:
    """Of a Grafana that is `gone` with its data, Pulumi forgets what was in it: `up` then makes all of that again."""
    provider = _grafana_provider(made, containers)
    if provider and grafana.NAME in gone and containers.name(f"{grafana.NAME}-data") not in containers.volumes():
        made.disown(provider)


def _prepare(made: Engine, containers: "Containers") -> None:
    """Everything that `pulumi up` takes for granted on a Docker engine."""
    from tools import docker_preflight

    deployed = made.deployed("docker:")
    docker_preflight.refuse(containers, deployed.values())
    docker_preflight.refuse_unreachable_grafana(containers)
    docker_preflight.pull(containers, docker_preflight.absent(containers), console)
    # What somebody stopped or removed, Pulumi believes to be there still.
    containers.start(containers.stopped())
    gone = containers.gone(deployed.values())
    if gone:
        console.print(f"removed outside, and made again: {', '.join(gone)}", highlight=False, soft_wrap=True)
        forget_lost_grafana(made, containers, gone)
        targets = [word for urn in deployed for word in ("--target", urn)]
        done = made.work("refresh", "--yes", "--skip-preview", "--suppress-outputs", *targets, capture=True)
        if done.returncode:
            raise SettingsError(f"pulumi refresh: {(done.stderr or done.stdout).strip()}")


def _wait(stack: Stack, keeper: "Keeper", seconds: int) -> "list[Health]":
    """Health of every part, once all are healthy, or after `seconds`."""
    from tools import health

    deadline = time.monotonic() + seconds
    with console.status("waiting until every part is healthy"):
        found = health.look(stack, keeper)
        while not all(part.healthy for part in found) and time.monotonic() < deadline:
            time.sleep(0.5)
            found = health.look(stack, keeper)
    return found


def _print_health(found: "list[Health]", name: str) -> None:
    from tools import health

    console.print(health.table(found, f"stack {name}", wide=console.width >= _WIDE))


@app.command()
@plainly
def up(
    stack: StackName = "local", seconds: Annotated[int, typer.Option(help="How long to wait for health.")] = 180
) -> None:
    """Bring the stack up: install what is missing, pulumi up, wait until healthy, print the URLs."""
    declared = stacks.runnable(stack)
    _install(declared)
    made = _engine(stack, declared)
    work = ("up", "--yes", "--skip-preview", "--suppress-outputs")
    if stacks.on(declared, RuntimeKind.KUBERNETES):
        _up_on_cluster(stack, declared, made, work)
        return
    with contextlib.ExitStack() as kept:
        containers = None
        if stacks.on(declared, RuntimeKind.DOCKER):
            _refuse_missing_secrets(made, declared)
            containers = kept.enter_context(stacks.containers(stack, declared))
            _prepare(made, containers)
        done = made.work(*work)
        if done.returncode:
            for line in containers.troubles() if containers else []:
                blame(line)
            raise typer.Exit(done.returncode)
        keeper = containers or kept.enter_context(stacks.keeper(stack, declared))
        found = _wait(declared, keeper, seconds)
        _print_health(found, stack)
        bad = [part.name for part in found if not part.healthy]
        if bad:
            for line in containers.troubles() if containers else []:
                blame(line)
            of = stacks.argument(stack)
            blame(f"not healthy after {seconds} s: {', '.join(bad)} (make logs {of}PART={bad[0]} shows why)")
            raise typer.Exit(1)
        if containers and containers.forwarding():
            console.print(containers.forwarding(), highlight=False, soft_wrap=True)


def _up_on_cluster(name: str, declared: Stack, made: Engine, work: tuple[str, ...]) -> None:
    from tools import health

    _refuse_missing_secrets(made, declared)
    if stacks.config_of(name, "kubernetes:kubeconfig"):
        raise typer.Exit(made.work(*work).returncode)
    pods = stacks.pods(name, declared)
    pods.refuse()
    done = made.work(*work)
    found = health.look(declared, pods)
    if not done.returncode:
        _print_health(found, name)
        console.print(pods.forwarding(), highlight=False, soft_wrap=True)
    for part in found:
        if not part.healthy:
            blame(f"{part.name}: {part.words}")
    if done.returncode:
        raise typer.Exit(done.returncode)


@app.command()
@plainly
def preview(
    *,
    stack: StackName = "local",
    diff: Annotated[bool, typer.Option(help="Show the changes themselves.")] = True,
    refresh: Annotated[bool, typer.Option(help="Look at what is there first: what was changed by hand shows.")] = False,
) -> None:
    """Show what `up` would change; changes nothing."""
    declared = stacks.runnable(stack)
    _install(declared)
    made = _engine(stack, declared)
    if not declared.context.on_one_machine:
        _refuse_missing_secrets(made, declared)
    if stacks.on(declared, RuntimeKind.DOCKER):
        from tools import docker_preflight

        # The provider looks at the engine for a preview already, and does not say it this plainly.
        with stacks.containers(stack, declared) as containers:
            deployed = made.deployed("docker:").values()
            docker_preflight.refuse(containers, deployed)
            for reference in docker_preflight.absent(containers):
                warn(f"{reference}: not on the engine yet, make up {stacks.argument(stack)}pulls it")
            for part in (*containers.stopped(), *containers.gone(deployed)):
                warn(f"{part}: stopped or removed outside, make up {stacks.argument(stack)}brings it back")
    done = made.work("preview", *(["--diff"] if diff else []), *(["--refresh"] if refresh else []))
    raise typer.Exit(done.returncode)


def _grafana_provider(made: Engine, containers: "Containers | None") -> str:
    """URN of what made things in the stack's own Grafana; empty where nothing did."""
    if containers is None or containers.name(grafana.NAME) not in made.deployed("docker:").values():
        return ""
    return next(iter(made.deployed("pulumi:providers:grafana")), "")


@app.command()
@plainly
def down(stack: StackName = "local", purge: Annotated[bool, typer.Option(help="Delete the data too.")] = False) -> None:
    """Stop everything of the stack. Data stays unless --purge."""
    declared = stacks.declared(stack)
    made = engine(stack, declared.context.settings)
    home = _home(declared, stack)
    with contextlib.ExitStack() as kept:
        containers = (
            kept.enter_context(stacks.containers(stack, declared)) if stacks.on(declared, RuntimeKind.DOCKER) else None
        )
        if made.exists():
            provider = _grafana_provider(made, containers)
            if provider and purge:
                # What is in Grafana goes with its volume, also when Grafana does not answer any more.
                made.disown(provider)
            done = made.work("destroy", "--yes", "--skip-preview", "--suppress-outputs")
            if done.returncode:
                if provider and not purge:
                    of = stacks.argument(stack)
                    blame(
                        f"what is in Grafana is deleted while it answers: make up {of}brings it up again;"
                        f" make down {of}PURGE=1 does without, and deletes all data"
                    )
                raise typer.Exit(done.returncode)
        if home is not None:
            supervision.stop(home)
        said = _data_of(stack, declared, containers, purge=purge)
        if purge:
            if made.own and made.exists():
                made.forget()
            # Of a Docker stack too: secrets that were made up for data that is gone now.
            shutil.rmtree(of_stack(stack).path, ignore_errors=True)
    console.print(f"stack {stack} is down{said}", highlight=False, soft_wrap=True)


def _data_of(name: str, declared: Stack, containers: "Containers | None", *, purge: bool) -> str:
    """What became of the data of a stack that is down, as the end of a sentence; it is deleted here where it is not
    this machine's."""
    if declared.context.on_one_machine:
        return "" if purge else f"; data is kept in {of_stack(name).path}"
    if containers:
        found = containers.remove_volumes() if purge else containers.volumes()
        what = "volumes"
    elif stacks.config_of(name, "kubernetes:kubeconfig"):
        # Of another cluster than kubectl's nothing is looked at, and least of all deleted.
        return "; volume claims stay, delete them by hand" if purge else "; data is kept in its volume claims"
    else:
        pods = stacks.pods(name, declared)
        found, what = pods.claims(), f"volume claims of {pods.namespace}"
        if found and purge:
            pods.forget(found)
    return f"; {'removed' if purge else 'data is kept in'} the {what} {', '.join(found)}" if found else ""


def _print_capacity(declared: Stack) -> None:
    found = declared.capacity
    if found is None:
        return
    table = Table("part", "replicas", "memory", "cores", "volume", title="What each replica takes")
    for row in found.table():
        table.add_row(*row)
    console.print(table)
    console.print(found.line, highlight=False, soft_wrap=True)
    for note in found.notes:
        warn(note)


def _print_left_out(declared: Stack) -> None:
    for line in declared.left_out:
        warn(line)


@app.command()
@plainly
def status(
    stack: StackName = "local", as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """Print part, URL and health of everything the stack declares. Exit status 1 when something is not healthy."""
    from tools import health

    declared = stacks.runnable(stack)
    with stacks.keeper(stack, declared) as keeper:
        found = health.look(declared, keeper)
        forwarding = keeper.forwarding()
    if as_json:
        print(json.dumps([asdict(part) for part in found], indent=2))
    else:
        _print_health(found, stack)
        if forwarding:
            console.print(forwarding, highlight=False, soft_wrap=True)
        _print_left_out(declared)
    if not all(part.healthy for part in found):
        raise typer.Exit(1)


@app.command()
@plainly
def logs(
    stack: StackName = "local",
    part: Annotated[str, typer.Option(help="One part; none: all of them.")] = "",
    lines: Annotated[int, typer.Option(help="How many lines of each.")] = 20,
    follow: Annotated[bool, typer.Option(help="Go on printing what comes.")] = False,
) -> None:
    """Print what the stack's programs say."""
    declared = stacks.runnable(stack)
    home = _home(declared, stack)
    names = sorted(declared.names)
    if part and part not in names:
        raise SettingsError(f"PART={part}: no such part (accepted: {', '.join(names)})")
    chosen = [part] if part else names
    if stacks.on(declared, RuntimeKind.DOCKER):
        with stacks.containers(stack, declared) as containers:
            for line in containers.logs(chosen, lines=lines, follow=follow):
                print(line, flush=follow)
        return
    if home is None:
        raise typer.Exit(stacks.pods(stack, declared).logs(chosen, lines=lines, follow=follow))
    files = [str(home.log(name)) for name in chosen if home.log(name).exists()]
    if not files:
        raise SettingsError(f"{stack}: no logs yet (make up brings it up)")
    os.execvp("tail", ["tail", f"--lines={lines}", *(["--follow=name", "--retry"] if follow else []), *files])  # noqa: S606 - the shell's own tool


@app.command()
@plainly
def images(
    stack: StackName = "local",
    lock: Annotated[bool, typer.Option(help="Ask the registries for digests, and write images.lock.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines, with the digests that are locked.")] = False,
) -> None:
    """Print every image that the stack needs, one a line, as its containers name it."""
    # Only here, since it takes Pulumi's and Docker's SDK, which other commands do without.
    from tools import images as listing

    declared = stacks.declared(stack)
    if lock:
        untold = listing.lock(declared, console)
        if untold:
            blame(f"{untold} of the images could not be locked")
            raise typer.Exit(1)
    elif as_json:
        print(json.dumps(listing.table(declared), indent=2))
    else:
        print("\n".join(listing.references(declared)))


@app.command()
@plainly
def render(out: Annotated[Path, typer.Option(help="Directory to write to.")], stack: StackName = "local") -> None:
    """Write every file the stack would place: no engine, network, daemon, cluster or secrets are needed."""
    from tools import render as rendering

    declared = stacks.declared(stack)
    count = rendering.write(declared, out)
    console.print(f"{count} files of stack {stack} in {out}", highlight=False)
    _print_capacity(declared)
    _print_left_out(declared)


@app.command()
@plainly
def env(stack: StackName = "local") -> None:
    """Print shell lines for plain `pulumi` commands: eval "$(python -m tools.cli env)"."""
    declared = stacks.declared(stack)
    found, _ = environment(declared.context.settings.runtime)
    if stacks.on(declared, RuntimeKind.DOCKER):
        from tools import docker_engine

        where = docker_engine.where(paths.stack_file(stack))
        found |= docker_engine.environment(where) if where.by_context else {}
    for key in sorted(found):
        if found[key] != os.environ.get(key) and (
            key == "PATH" or key.startswith(("PULUMI_", "OBSERVABILITY_", "PYTHONPATH", "DOCKER_"))
        ):
            print(f"export {key}={shlex.quote(found[key])}")


@app.command()
@plainly
def setup(stack: StackName = "local") -> None:
    """Install the native programs that the stack takes."""
    _install(stacks.runnable(stack))


@app.command()
@plainly
def demo(
    stack: StackName = "local",
    scenario: Annotated[
        str,
        typer.Option(
            help=f"What happens: to the shop {', '.join(demonstration.SCENARIOS)};"
            f" to a system {', '.join(demonstration.OF_SYSTEMS)}, or the name of one of its alerts."
        ),
    ] = "normal",
    run_time: Annotated[str, typer.Option(help="Like 90s or 2m, at most 30m; none: as long as it takes.")] = "",
    system: Annotated[str, typer.Option(help="Monitored system that the app stands in for; none: the shop.")] = "",
) -> None:
    """Deploy the sample app, which finds the stack by its outputs: a shop under load, or a system's stand-in."""
    declared = stacks.runnable(stack)
    wishes = demonstration.Wishes(scenario=scenario, run_time=run_time, system=system)
    demonstration.run(console, declared, engine(stack, declared.context.settings), wishes)


@app.command(name="demo-stop")
@plainly
def demo_stop() -> None:
    """Stop the sample app. Nothing happens when it does not run."""
    demonstration.stop(console)


@app.command(name="load")
@judging
def put_under_load(  # noqa: PLR0913 - one for each wish
    *,
    stack: StackName = "local",
    shape: Annotated[str, typer.Option(help="normal, stress, spike, or endpoints: each by itself.")] = "normal",
    target: Annotated[str, typer.Option(help="Base URL of the system under test.")] = "http://127.0.0.1:8000",
    app_name: Annotated[str, typer.Option("--app", help="Its name: what its users do.")] = demonstration.APP,
    scale: Annotated[float, typer.Option(help="Part of a shape's users, time and load: 0.01 to 1.")] = 1.0,
    users: Annotated[int | None, typer.Option(help="Most users at a time; none: the shape's.")] = None,
    run_time: Annotated[str, typer.Option(help="How long a shape takes, like 90s; none: its own.")] = "",
    endpoints: Annotated[str, typer.Option(help="Paths, with spaces; none: those of /openapi.json.")] = "",
    requests: Annotated[int, typer.Option(help="Requests to each endpoint.")] = 100,
    report: Annotated[str, typer.Option(help="JSON file for the results.")] = "",
    otlp: Annotated[str, typer.Option(help="OTLP endpoint that takes the metrics, or none; empty: the stack's.")] = "",
    allow_remote: Annotated[str, typer.Option(help="The target's host, where that is another machine.")] = "",
    web: Annotated[int, typer.Option(help="Port of Locust's web page; 0: without.")] = 0,
) -> None:
    """Put a system under load. Exit status 0: all criteria kept, 1: one missed, 2: it was not tried."""
    # Only here, since its libraries are of the development requirements.
    from tools import load as loading

    wishes = loading.Wishes(
        shape=shape,
        target=target,
        app=app_name,
        scale=scale,
        users=users,
        run_time=run_time,
        endpoints=endpoints,
        requests=requests,
        report=report,
        otlp=otlp or stacks.declared(stack).outputs(home="")["otlp"]["http"],
        allow_remote=allow_remote,
        web=web,
    )
    status = loading.run(console, wishes)
    raise typer.Exit(status)


app.command(name="backtest")(backtest)
app.command(name="backup")(backup)
app.command(name="restore")(restore)
app.command(name="diff")(diff)
app.command(name="drift")(drift)

app.command(name="doctor")(doctor)
app.command(name="policy")(policy)
app.command(name="gameday")(gameday)


if __name__ == "__main__":
    app()
