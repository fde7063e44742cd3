"""One program with its files, changed in a transaction: written beside, checked, swapped, reloaded, verified."""

import contextlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from processes import supervision
from processes.errors import ProcessError
from processes.home import Home
from tools import native

_CHECK_SECONDS = 60
_RELOAD_SECONDS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Reloading:
    """How a program takes new files while it runs; URLs are absolute."""

    url: str
    metrics_url: str
    metric: str
    timestamp_metric: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Everything that makes a program run on this machine."""

    name: str
    command: tuple[str, ...]
    """The first is an executable's name."""
    environment: Mapping[str, str]
    files: Mapping[str, str]
    secrets: Mapping[str, str]
    generated: tuple[str, ...]
    """Paths of secret files that get a random value once and keep it."""
    checks: tuple[tuple[str, ...], ...]
    reload: Reloading | None
    probe_url: str
    start_seconds: int


def executable(name: str) -> Path:
    """Path of an executable: of the virtual environment, else a native program.

    Raises ProcessError when there is none.
    """
    own = Path(sys.prefix) / "bin" / name
    if own.exists():
        return own
    found = native.locate(name)
    if found is None:
        raise ProcessError(f"{name} is not installed (make setup builds what is missing)")
    return found.path


def _write(directory: Path, placement: Placement, previous: Path | None) -> None:
    for path, text in placement.files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for path, text in placement.secrets.items():
        _write_secret(directory / path, text)
    for path in placement.generated:
        kept = previous / path if previous else None
        value = kept.read_text() if kept and kept.exists() else secrets.token_urlsafe(24)
        _write_secret(directory / path, value)


def _write_secret(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _run_checks(placement: Placement, directory: Path) -> None:
    for argv in placement.checks:
        try:
            done = subprocess.run(
                [str(executable(argv[0])), *argv[1:]],
                cwd=directory,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise ProcessError(f"{placement.name}: {' '.join(argv)} cannot check the new files: {problem}") from problem
        if done.returncode:
            words = (done.stdout + done.stderr).strip()
            raise ProcessError(f"{placement.name}: {' '.join(argv)} refuses the new files; the old ones stand\n{words}")


def check(placement: Placement) -> None:
    """Let the program's own checker read the files, in a directory of their own. Raises ProcessError with its words."""
    if not placement.checks:
        return
    with tempfile.TemporaryDirectory(prefix="observability-check-") as scratch:
        # As deep as the real one, so that relative paths lead nowhere surprising.
        directory = Path(scratch) / placement.name / "config"
        directory.mkdir(parents=True)
        _write(directory, placement, None)
        _run_checks(placement, directory)


def put(home: Home, placement: Placement, *, restart: bool) -> None:
    """Make `placement` what runs under its name.

    `restart` False: the command is as before, so that a program which can reload its files keeps running.
    On failure what ran before runs on with its old files.

    Raises ProcessError with the program's own words.
    """
    name = placement.name
    with home.lock(f"put-{name}"):
        config = home.config(name)
        staged, old = config.with_name("config.new"), config.with_name("config.old")
        for directory in (config.parent, home.data(name), home.log(name).parent):
            directory.mkdir(exist_ok=True, mode=0o700)
        if not config.exists() and old.exists():
            # A transaction was cut off between its two renames.
            old.rename(config)
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        staged.mkdir(mode=0o700)
        try:
            _write(staged, placement, config if config.exists() else None)
            _run_checks(placement, staged)
        except BaseException:
            shutil.rmtree(staged)
            raise
        command = [str(executable(placement.command[0])), *placement.command[1:]]
        before = supervision.running_script(home, name)
        if config.exists():
            config.rename(old)
        staged.rename(config)
        # One that does not answer yet, after a reboot say, cannot be asked to reload.
        asked = not restart and before is not None and is_healthy(placement.probe_url)
        reload = placement.reload if asked else None
        try:
            if reload is not None:
                _reload(placement, reload)
            else:
                supervision.run(home, name, command, placement.environment)
            await_healthy(home, placement)
        except BaseException:
            _undo(home, placement, before, reload)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _undo(home: Home, placement: Placement, before: str | None, reload: Reloading | None) -> None:
    """Put the old files back under a program that did not take the new ones, and have it run with them."""
    name = placement.name
    config = home.config(name)
    old = config.with_name("config.old")
    if old.exists():
        shutil.rmtree(config)
        old.rename(config)
    elif not placement.generated:
        # What was made up stays: the program may have stored it already.
        shutil.rmtree(config)
    if before is None:
        supervision.remove(home, name)
    elif reload is None:
        supervision.restore(home, name, before)
    else:
        # Refused files were never loaded; this only settles what the program says of its last reload.
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(reload.url, timeout=60)


def _gauges(url: str, names: Sequence[str]) -> list[float | None]:
    text = httpx.get(url, timeout=5).text
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    return [values.get(name) for name in names]


def _reload(placement: Placement, reload: Reloading) -> None:
    """Ask for a reload and make sure that it took place: by answer, by gauge, and by the time it names."""
    wanted = (reload.metric, reload.timestamp_metric)
    try:
        _, before = _gauges(reload.metrics_url, wanted)
        answer = httpx.post(reload.url, timeout=60)
        if not answer.is_success:
            raise ProcessError(f"{placement.name} refuses the new files; the old ones stand\n{answer.text.strip()}")
        deadline = time.monotonic() + _RELOAD_SECONDS
        while True:
            good, after = _gauges(reload.metrics_url, wanted)
            if good == 1 and after is not None and (before is None or after > before):
                return
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{placement.name} took the reload but does not report it: {reload.metric} is {good}"
                )
            time.sleep(0.2)
    except httpx.HTTPError as problem:
        raise ProcessError(f"{placement.name} cannot be reloaded: {problem}") from problem


def is_healthy(url: str) -> bool:
    """Whether `url` answers 200 now."""
    try:
        return httpx.get(url, timeout=3).status_code == 200
    except httpx.HTTPError:
        return False


def await_healthy(home: Home, placement: Placement) -> None:
    """Until the program is up and its probe answers. Raises ProcessError with the end of its log."""
    deadline = time.monotonic() + placement.start_seconds
    deaths: set[float] = set()
    log = home.log(placement.name)
    while True:
        found = supervision.state(home, placement.name)
        if found is None:
            raise ProcessError(f"{placement.name}: supervisor does not run it")
        if found.name in ("STARTING", "RUNNING") and is_healthy(placement.probe_url):
            return
        if found.name in ("BACKOFF", "EXITED", "FATAL"):
            deaths.add(found.started)
        # A port that is just being freed can cost a start; three deaths are no accident.
        if len(deaths) >= 3 or found.name == "FATAL":
            raise ProcessError(f"{placement.name} does not stay up; the end of its log:\n{supervision.tail(log)}")
        if time.monotonic() > deadline:
            raise ProcessError(
                f"{placement.name} is not healthy after {placement.start_seconds} s ({placement.probe_url});"
                f" the end of its log:\n{supervision.tail(log)}"
            )
        time.sleep(0.1)
