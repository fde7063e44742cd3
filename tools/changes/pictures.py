"""Pictures of changed dashboards, as a live Grafana shows them."""

import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from tools.changes.report import Report
from tools.native import NativeError
from tools.pictures.__main__ import take as photograph
from tools.pictures.request import PictureError, read

DIRECTORY = "pictures"


def changed(report: Report) -> tuple[str, ...]:
    """The dashboards that both revisions have and that look otherwise, by uid."""
    found = {each.subject: each for each in report.subjects}
    boards = {thing.name for thing in found["dashboards"].changed} if "dashboards" in found else set[str]()
    if "panels" in found:
        panels = found["panels"]
        names = [*(thing.name for thing in (*panels.added, *panels.removed)), *(thing.name for thing in panels.changed)]
        boards |= {name.partition(" / ")[0] for name in names}
    return tuple(sorted(boards))


def take(report: Report, url: str, directory: Path, console: Console) -> Mapping[str, str]:
    """A picture of each changed dashboard below `directory`: paths from there, by uid.

    The account comes by the environment (docs/pictures.md). Raises PictureError when Grafana or a browser will not do.
    """
    uids = changed(report)
    if not uids:
        return {}
    out = directory / DIRECTORY
    request = read({**os.environ, "GRAFANA_URL": url, "DASHBOARD": ",".join(uids), "OUT": str(out)})
    try:
        photograph(request, console)
    except NativeError as problem:
        raise PictureError(str(problem)) from None
    return {uid: f"{DIRECTORY}/{uid}.png" for uid in uids if (out / f"{uid}.png").is_file()}


__all__ = ["PictureError", "changed", "take"]
