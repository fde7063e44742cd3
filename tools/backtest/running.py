"""A backtest on servers, with its progress shown."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from specs.model import SettingsError
from tools import paths
from tools.backtest.evaluation import Wishes, evaluate
from tools.backtest.history import History
from tools.backtest.journal import Journal
from tools.backtest.report import Report
from tools.backtest.rules import Language, RenderedError
from tools.backtest.server import SECONDS, Pace, Server


@contextmanager
def history(
    urls: Mapping[Language, str], tokens: Mapping[Language, str], rate: float, directory: Path | None = None
) -> Generator[History, None, None]:
    """The history that servers keep; `directory` is for what they answered.

    Raises SettingsError for one that does not answer.
    """
    journal = Journal(directory or paths.state() / "backtest")
    with ExitStack() as kept:
        servers: dict[Language, Server] = {}
        for language, url in urls.items():
            token = tokens.get(language)
            client = kept.enter_context(
                httpx.Client(
                    timeout=httpx.Timeout(SECONDS + 5, connect=5),
                    headers={"Authorization": f"Bearer {token}"} if token else {},
                )
            )
            servers[language] = Server(url=url, language=language, pace=Pace(rate), client=client)
            servers[language].check()
        journal.sweep()
        yield History(servers=servers, journal=journal)


def run(before: Path, after: Path, history: History, wishes: Wishes, shown: Console) -> Report:
    """Evaluate two rendered trees, and show on `shown` how far it is.

    Raises SettingsError for a tree that cannot be read, too.
    """
    columns = (
        TextColumn("evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("queries, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task = progress.add_task("queries", total=0)
        total = 0

        def planned(count: int) -> None:
            nonlocal total
            total += count
            progress.update(task, total=total)

        history.planned = planned
        history.advanced = lambda: progress.advance(task)
        try:
            return evaluate(before, after, history, wishes)
        except RenderedError as problem:
            raise SettingsError(f"{problem} (accepted: files that their programs read)") from None
