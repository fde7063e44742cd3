"""`make backtest`: what new and changed alerts would have done."""

import os
import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer

from specs.model import SettingsError
from tools.terminal import NOT_TRIED, StackName, blame, console, errors, judging

_DAY = 86400
_INTERRUPTED = 130


def _until(text: str) -> float:
    """The end of the history, in seconds since 1970. Raises SettingsError for what is no time, or one to come."""
    if not text:
        return time.time()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"UNTIL={text}: not a time (accepted: one like 2026-11-20T12:00:00Z)") from None
    end = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if end > time.time():
        raise SettingsError(f"UNTIL={text}: not yet (accepted: a time that is past)")
    return end


def _url(option: str, text: str) -> str:
    if not _asked(text):
        said = text if "@" not in text else "…"
        raise SettingsError(f"{option}={said}: not a URL (accepted: one like http://127.0.0.1:9090)")
    return text.rstrip("/")


def _asked(text: str) -> bool:
    """Whether a text is a URL that can be asked."""
    import httpx

    try:
        parts = urlsplit(text)
        number = parts.port
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        return False
    # A slash in a password ends the host before it: what follows would be shown.
    hidden = "@" in parts.path + parts.query + parts.fragment
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and number != 0 and not hidden


@judging
def backtest(  # noqa: PLR0913 - one for each wish
    *,
    base: Annotated[str, typer.Option(help="Branch, tag or commit whose rules are those before.")],
    prometheus: Annotated[str, typer.Option(help="URL of a Prometheus, or Thanos' query frontend, with a history.")],
    stack: StackName = "local",
    loki: Annotated[str, typer.Option(help="URL of a Loki with a history, for alerts on logs.")] = "",
    days: Annotated[float, typer.Option(help="How long a history, in days.")] = 30.0,
    until: Annotated[str, typer.Option(help="When it ends, like 2026-11-20T12:00:00Z; none: now.")] = "",
    budget: Annotated[int | None, typer.Option(help="Most pages of an alert within 7 days; none: any number.")] = None,
    alert: Annotated[str, typer.Option(help="Name or pattern of alerts: also those that did not change.")] = "",
    rate: Annotated[float, typer.Option(help="Most queries a second.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Evaluate new and changed alerts over history: how often, how long and whom each would have told.

    Exit status 1: one would have paged more than the budget, 2: not tried, or not everything could be evaluated.
    """
    from tools.backtest import evaluation, report, rules, running

    if not 0 < days <= 366:
        raise SettingsError(f"DAYS={days:g}: out of range (accepted: more than 0, at most 366)")
    if not 0 < rate <= 100:
        raise SettingsError(f"RATE={rate:g}: out of range (accepted: more than 0, at most 100)")
    if budget is not None and budget < 0:
        raise SettingsError(f"BUDGET={budget}: out of range (accepted: 0 or more)")
    if not base:
        raise SettingsError("BASE: required (accepted: a branch, tag or commit)")
    end = _until(until)
    urls = {rules.Language.PROMQL: _url("PROMETHEUS", prometheus)}
    if loki:
        urls[rules.Language.LOGQL] = _url("LOKI", loki)
    tokens = {rules.Language.PROMQL: "PROMETHEUS_TOKEN", rules.Language.LOGQL: "LOKI_TOKEN"}
    wishes = evaluation.Wishes(stack=stack, base=base, start=end - days * _DAY, end=end, budget=budget, alert=alert)
    with running.history(urls, {kind: os.environ.get(name, "") for kind, name in tokens.items()}, rate) as history:
        from tools.changes.rendered import tree

        with errors.status(f"rendering {stack} of {base} and of the working tree"):
            before, after = tree(base, stack), tree("", stack)
        try:
            found = running.run(before, after, history, wishes, errors)
        except KeyboardInterrupt:
            blame("interrupted; the same command goes on where it was")
            raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        report.show(found, console)
    if found.over_budget:
        raise typer.Exit(1)
    if not found.complete:
        blame("not everything could be evaluated")
        raise typer.Exit(NOT_TRIED)
