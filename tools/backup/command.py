"""make backup and make restore (docs/operations/backup-restore.md)."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tools.terminal import StackName, console, judging

PartName = Annotated[str, typer.Option(help="One part; none: all that keep data.")]


def _orderly() -> None:
    """However the command is ended, what it stopped runs again, and what it began is gone."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # `nohup` has it deaf.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@judging
def backup(
    stack: StackName = "local",
    out: Annotated[str, typer.Option(help="The file; none: a new one below the state directory.")] = "",
    part: PartName = "",
) -> None:
    """Write everything that a process stack keeps to one file; one part at a time stops for it, the others run on."""
    from processes.home import of_stack
    from specs.model import SettingsError
    from tools import health, paths, stacks
    from tools.backup import running

    _orderly()
    declared = stacks.declared(stack)
    running.refuse_runtime(declared, stack, "backup")
    home = of_stack(stack)
    parts = [each for each in running.keeping(declared, part) if home.data(each.name).exists()]
    if not parts:
        raise SettingsError(f"make backup: stack {stack} holds no data (accepted: one that was up once)")
    target = Path(out) if out else paths.state() / "backups" / f"{stack}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"
    keeper = health.Supervised(declared, home)

    def healthy(name: str) -> bool:
        return any(each.name == name and each.healthy for each in health.look(declared, keeper))

    def report(saved: running.Saved) -> None:
        away = f", away for {saved.away:.1f} s" if saved.away else ""
        console.print(f"{saved.part}: {saved.size / 2**20:.1f} MB{away}", highlight=False)

    with console.status("backing up"):
        running.save(home, stack, parts, target, running.Watch(healthy=healthy, report=report), whole=not part)
    size = target.stat().st_size / 2**20
    console.print(f"{target}: {size:.1f} MB; keep it on another machine", highlight=False, soft_wrap=True)


@judging
def restore(
    file: Annotated[str, typer.Option("--from", help="The file that `backup` wrote.")],
    stack: StackName = "local",
    part: PartName = "",
) -> None:
    """Put the data of a backup into a process stack that is down, and holds none."""
    from processes.home import of_stack
    from tools import stacks
    from tools.backup import running

    _orderly()
    declared = stacks.declared(stack)
    running.refuse_runtime(declared, stack, "restore")
    parts = running.keeping(declared, part)
    with console.status("reading the backup"):
        lines = running.restore(of_stack(stack), stack, declared, parts, Path(file))
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"make up STACK={stack} brings it up", highlight=False)
