"""The dynamic provider of the process runtime: what the engine calls to create, change and delete processes.

The engine's state refers to these classes by module and name. Moving or renaming them breaks existing stacks;
changing what their methods do does not (docs/decisions/003-dynamic-resources.md).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from components.plain_errors import speak_plainly
from processes import place, supervision
from processes.errors import ProcessError
from processes.home import Home

_PROVIDER = "__provider"
_RESTARTING = ("command", "environment", "version", "probe_url")


def _inputs(props: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in props.items() if key != _PROVIDER}


def placement(props: Mapping[str, Any]) -> place.Placement:
    """The inputs of a Process resource as a placement."""
    reload: Mapping[str, str] | None = props.get("reload")
    return place.Placement(
        name=props["name"],
        command=tuple(props["command"]),
        environment=props["environment"],
        files=props["files"],
        secrets=props["secrets"],
        generated=tuple(props["generated"]),
        checks=tuple(tuple(argv) for argv in props["checks"]),
        reload=place.Reloading(**reload) if reload else None,
        probe_url=props["probe_url"],
        start_seconds=int(props["start_seconds"]),
    )


class SupervisorProvider(ResourceProvider):
    """Keeps a home's supervisor alive. Inputs: `home`."""

    def configure(self, req: ConfigureRequest) -> None:
        """Called once in the plugin."""
        del req
        speak_plainly()

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start keeper and supervisor."""
        supervision.start(Home(Path(props["home"])))
        return CreateResult(props["home"], _inputs(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """A change is another home, or a supervisor that does not answer."""
        moved = _olds["home"] != _news["home"]
        down = not supervision.is_running(Home(Path(_news["home"])))
        return DiffResult(changes=moved or down, replaces=["home"] if moved else [], delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Start it again."""
        supervision.start(Home(Path(_news["home"])))
        return UpdateResult(_inputs(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End everything that runs in the home."""
        supervision.stop(Home(Path(_props["home"])))


class ProcessProvider(ResourceProvider):
    """One supervised program with its files. Inputs: the fields of `processes.place.Placement`, `home`, `version`."""

    def configure(self, req: ConfigureRequest) -> None:
        """Called once in the plugin."""
        del req
        speak_plainly()

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Previews refuse already what the program's own checker does. Unchanged files were checked before."""
        if _olds and all(_olds.get(key) == news[key] for key in ("files", "checks", "version")):
            return CheckResult(news, [])
        try:
            place.check(placement(news))
        except ProcessError as problem:
            return CheckResult(news, [CheckFailure("", str(problem))])
        return CheckResult(news, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Write, check, run, wait for health."""
        place.put(Home(Path(props["home"])), placement(props), restart=True)
        return CreateResult(props["name"], _inputs(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """A change of inputs, or a program that supervisor does not run (a reboot, say)."""
        moved = [key for key in ("home", "name") if _olds[key] != _news[key]]
        changed = _inputs(_olds) != _inputs(_news) or not self._runs(_news)
        return DiffResult(changes=changed, replaces=moved, delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """In a transaction; a program that can reload its files is not restarted for them."""
        restart = any(_olds.get(key) != _news.get(key) for key in _RESTARTING) or not self._runs(_news)
        place.put(Home(Path(_news["home"])), placement(_news), restart=restart)
        return UpdateResult(_inputs(_news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The files as they are on disk, so that a refresh shows what somebody edited by hand."""
        config = Home(Path(props["home"])).config(props["name"])
        found = {path: text for path in props["files"] if (text := _read(config / path)) is not None}
        return ReadResult(id_, {**_inputs(props), "files": found})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop and forget the program; its data stays."""
        supervision.remove(Home(Path(_props["home"])), _props["name"])

    @staticmethod
    def _runs(props: Mapping[str, Any]) -> bool:
        found = supervision.state(Home(Path(props["home"])), props["name"])
        return found is not None and found.name in ("STARTING", "RUNNING", "BACKOFF")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


class FileProvider(ResourceProvider):
    """One file in a directory others watch, as an application registers itself. Inputs: `path`, `text`."""

    def configure(self, req: ConfigureRequest) -> None:
        """Called once in the plugin."""
        del req
        speak_plainly()

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Write it, all at once for whoever watches."""
        path = Path(props["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(props["text"], encoding="utf-8")
        beside.replace(path)
        return CreateResult(props["path"], _inputs(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """A change of the text, or a file that is no longer as it was written."""
        drifted = _read(Path(_news["path"])) != _news["text"]
        moved = _olds["path"] != _news["path"]
        return DiffResult(changes=moved or drifted, replaces=["path"] if moved else [], delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Write it again."""
        self.create(_news)
        return UpdateResult(_inputs(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Remove it."""
        Path(_props["path"]).unlink(missing_ok=True)
