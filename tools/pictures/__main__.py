"""`python -m tools.pictures`: what to take stands in the environment (docs/pictures.md)."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tools import native
from tools.native.npm import MODULES
from tools.pictures.grafana import Dashboard, Grafana
from tools.pictures.request import PictureError, Request, read

CAMERA = Path(__file__).with_name("camera.cjs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """How a picture came out."""

    dashboard: Dashboard
    empty: tuple[str, ...]
    """Titles of panels without data."""
    failed: Mapping[str, str]
    """What panels say that show an error, by title."""
    loading: tuple[str, ...]
    """Titles of panels that did not finish."""
    error: str
    """Why there is no picture, or only an unfinished one; empty: nothing."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong; what has no data is not."""
        return not (self.failed or self.loading or self.error)

    def lines(self) -> Iterator[str]:
        """What there is to say of it."""
        if self.error:
            yield f"{self.dashboard.uid}: {self.error}"
        yield from (f"{self.dashboard.uid}: error: {title}: {words}" for title, words in self.failed.items())
        if self.loading:
            yield f"{self.dashboard.uid}: still loading: {', '.join(self.loading)}"
        if self.empty:
            yield f"{self.dashboard.uid}: no data: {', '.join(self.empty)}"


def _programs(request: Request, console: Console) -> tuple[Path, Path]:
    """The browser, and the packages that drive it."""
    wanted = ["playwright-core", *([] if request.chromium else ["chromium"])]
    found = native.ensure(wanted, console)
    if shutil.which("node") is None:
        raise PictureError("there is no node on PATH (accepted: Node.js 20 or newer)")
    chromium = request.chromium or found["chromium"].path
    return chromium, found["observability-playwright-core"].path.with_name(MODULES)


def _order(
    request: Request, grafana: Grafana, dashboards: Sequence[Dashboard], chromium: Path, modules: Path
) -> dict[str, Any]:
    """What the camera is told."""
    return {
        "url": request.url,
        "token": request.token,
        "cookies": grafana.cookies(),
        "out": str(request.out.resolve()),
        "width": request.width,
        "wait": request.wait,
        "chromium": str(chromium),
        "modules": str(modules),
        "dashboards": [
            {
                "uid": each.uid,
                "url": grafana.page(each),
                "rows": each.rows,
                "panels": len(each.panels),
                "titles": each.panels,
            }
            for each in dashboards
        ],
    }


def photographs(order: Mapping[str, Any], dashboards: Sequence[Dashboard]) -> Iterator[Taken]:
    """The pictures as they are taken. Raises PictureError when the browser does not run."""
    by_uid = {each.uid: each for each in dashboards}
    # What is secret goes by the pipe: the browser's environment is that of every page's process.
    environment = {key: value for key, value in os.environ.items() if key != "GRAFANA_TOKEN"}
    pipe = subprocess.PIPE
    with subprocess.Popen(["node", CAMERA], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as camera:
        assert camera.stdin and camera.stdout and camera.stderr  # noqa: S101, PT018 - asked for above
        # A node that is too old ends before it has read all of a long order; what it says is read below.
        with contextlib.suppress(BrokenPipeError), camera.stdin:
            camera.stdin.write(json.dumps(order))
        for line in camera.stdout:
            said: dict[str, Any] = json.loads(line)
            yield Taken(
                dashboard=by_uid[said["uid"]],
                empty=tuple(said["empty"]),
                failed=said["failed"],
                loading=tuple(said["loading"]),
                error=said["error"],
            )
        words = camera.stderr.read().strip()
    if camera.returncode:
        why = next(iter(words.splitlines()), "without a word")
        raise PictureError(f"the browser does not run: {why} (CHROMIUM={order['chromium']})")


def _index(version: str, request: Request, taken: Sequence[Taken]) -> str:
    """A page with all pictures, by folder."""
    lines = ["# Pictures", "", f"Grafana {version}{f', the last {request.range}' if request.range else ''}."]
    folder = ""
    for each in taken:
        if not (request.out / f"{each.dashboard.uid}.png").is_file():
            continue
        if each.dashboard.folder != folder:
            folder = each.dashboard.folder
            lines += ["", f"## {folder}"]
        lines += ["", f"### {each.dashboard.title}", "", f"![{each.dashboard.title}]({each.dashboard.uid}.png)"]
        if each.empty:
            lines += ["", f"No data: {', '.join(each.empty)}."]
    return "\n".join(lines) + "\n"


def take(request: Request, console: Console) -> bool:
    """Take the pictures, and say how it goes; whether all came out well. Raises PictureError or NativeError."""
    with Grafana(request) as grafana:
        version = grafana.version()
        grafana.log_in()
        dashboards = grafana.dashboards()
        console.print(f"Grafana {version} at {request.url}: {_many(len(dashboards), 'dashboard')}", highlight=False)
        chromium, modules = _programs(request, console)
        request.out.mkdir(parents=True, exist_ok=True)
        for each in dashboards:
            # A picture of another day must not pass for one that could not be taken.
            (request.out / f"{each.uid}.png").unlink(missing_ok=True)
        order = _order(request, grafana, dashboards, chromium, modules)
        taken: list[Taken] = []
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("starting the browser", total=len(dashboards))
            for picture in photographs(order, dashboards):
                taken.append(picture)
                progress.update(task, advance=1, description=picture.dashboard.uid)
    for line in (line for each in taken for line in each.lines()):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    (request.out / "index.md").write_text(_index(version, request, taken), encoding="utf-8")
    pictures = _many(sum((request.out / f"{each.dashboard.uid}.png").is_file() for each in taken), "picture")
    console.print(f"{pictures} in {request.out}, and {request.out}/index.md", highlight=False, soft_wrap=True)
    return all(each.good for each in taken)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def main() -> None:
    """Take the pictures that the environment asks for; the exit status is 0 when all came out well."""
    console = Console(stderr=True)
    try:
        good = take(read(os.environ), console)
    except (PictureError, native.NativeError) as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
