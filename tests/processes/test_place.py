"""A program and its files change together, or not at all."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from processes import place, supervision
from processes.errors import ProcessError
from processes.home import Home
from tests.processes.support import App, tree


def refused(home: Home, app: place.Placement, *, restart: bool) -> str:
    """Put what is refused; return the words."""
    with pytest.raises(ProcessError) as problem:
        place.put(home, app, restart=restart)
    return str(problem.value)


def assert_settled(home: Home, name: str) -> None:
    """Nothing of a transaction is left over."""
    assert sorted(path.name for path in home.config(name).parent.iterdir()) == ["config", "data", "log"]


def test_a_program_is_there_with_its_files(shared: Home, app: App) -> None:
    """Proves that `put` returns when the program is healthy, with the files it was given, in its data directory."""
    place.put(shared, app.placement({"n": 1}, "--flag", files={"rules/a.yml": "é"}), restart=True)
    said = app.say()
    assert (said["loaded"], said["arguments"][1:], said["directory"]) == (
        {"n": 1},
        ["--flag"],
        str(shared.data(app.name)),
    )
    assert tree(shared.config(app.name)) == {"app.json": '{"n": 1}', "rules/a.yml": "é"}
    assert_settled(shared, app.name)


@pytest.mark.parametrize("restart", [True, False])
def test_what_the_checker_refuses_changes_nothing(shared: Home, app: App, restart: bool) -> None:
    """Proves that files and running process stay as they are, and that the checker's words are the message."""
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    before, files = app.say(), tree(shared.config(app.name))
    words = refused(shared, app.placement({"invalid": 1}, "new", reloads=True), restart=restart)
    first, *rest = words.splitlines()
    assert first.startswith(f"{app.name}: ")
    assert first.endswith("checker.py refuses the new files; the old ones stand")
    assert rest == ["app.json:1: invalid is set"]
    assert (app.say(), tree(shared.config(app.name))) == (before, files)
    assert_settled(shared, app.name)


def test_a_first_put_that_is_refused_runs_nothing(shared: Home, app: App) -> None:
    """Proves that a program whose first files are bad is not started and leaves no files."""
    refused(shared, app.placement({"invalid": 1}), restart=True)
    assert supervision.state(shared, app.name) is None
    assert not shared.config(app.name).exists()


def test_the_check_alone_touches_nothing(shared: Home, app: App) -> None:
    """Proves that a preview's check neither runs nor writes anything, and says the same words."""
    place.check(app.placement({}))
    with pytest.raises(ProcessError, match=r"\napp\.json:1: invalid is set$"):
        place.check(app.placement({"invalid": 1}))
    assert not shared.config(app.name).parent.exists()


def test_a_checker_that_hangs_or_is_missing_is_a_refusal(
    shared: Home, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that both end in words and leave the program as it was."""
    place.put(shared, app.placement({"n": 1}), restart=True)
    before = app.say()
    monkeypatch.setattr(place, "_CHECK_SECONDS", 0.3)
    assert "cannot check the new files: " in refused(shared, app.placement({"slow_check": 30}), restart=True)
    broken = replace(app.placement({"n": 2}), checks=((str(app.directory / "checker.py"),),))
    assert "Permission denied" in refused(shared, broken, restart=True)
    assert app.say() == before
    assert tree(shared.config(app.name)) == {"app.json": '{"n": 1}'}


def test_a_program_that_dies_with_the_new_files_gets_the_old_ones_back(shared: Home, app: App) -> None:
    """Proves the undo: old files, old arguments, running and healthy; the message has the end of its log."""
    place.put(shared, app.placement({"n": 1}, "old"), restart=True)
    words = refused(shared, app.placement({"crash": True}, "new", files={"extra": ""}), restart=True)
    assert words.splitlines()[0] == f"{app.name} does not stay up; the end of its log:"
    assert words.splitlines()[-1] == "cannot run with this configuration"
    said = app.await_say()
    assert (said["loaded"], said["arguments"][1:]) == ({"n": 1}, ["old"])
    assert tree(shared.config(app.name)) == {"app.json": '{"n": 1}'}
    assert_settled(shared, app.name)


def test_a_program_that_is_never_healthy_gets_the_old_files_back(shared: Home, app: App) -> None:
    """Proves that running is not enough: the probe has to answer 200 within the time it has."""
    place.put(shared, app.placement({"n": 1}), restart=True)
    words = refused(shared, app.placement({"sick": True}, start_seconds=2), restart=True)
    assert words.splitlines()[0] == f"{app.name} is not healthy after 2 s ({app.url}/healthy); the end of its log:"
    assert app.await_say()["loaded"] == {"n": 1}


def test_a_program_that_dies_at_its_first_start_is_taken_away(shared: Home, app: App) -> None:
    """Proves that nothing goes on restarting what was never deployed."""
    refused(shared, app.placement({"crash": True}), restart=True)
    assert supervision.state(shared, app.name) is None
    assert not shared.config(app.name).exists()


def test_a_reload_that_is_accepted_needs_no_restart(shared: Home, app: App) -> None:
    """Proves that the same process goes on with the new files."""
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    pid = app.say()["pid"]
    place.put(shared, app.placement({"n": 2}, reloads=True), restart=False)
    said = app.say()
    assert (said["pid"], said["loaded"]) == (pid, {"n": 2})
    assert tree(shared.config(app.name)) == {"app.json": '{"n": 2}'}
    assert_settled(shared, app.name)


def test_one_that_is_not_well_is_restarted_with_new_files(shared: Home, app: App) -> None:
    """Proves that a program which does not answer as it should, as after a reboot, is not asked to reload but started
    anew."""
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    pid = app.say()["pid"]
    (shared.config(app.name) / "app.json").write_text('{"sick": true}', encoding="utf-8")
    httpx.post(f"{app.url}/-/reload").raise_for_status()
    place.put(shared, app.placement({"n": 2}, reloads=True), restart=False)
    said = app.say()
    assert said["pid"] != pid
    assert said["loaded"] == {"n": 2}
    assert_settled(shared, app.name)


def test_a_reload_that_is_refused_leaves_the_old_files(shared: Home, app: App) -> None:
    """Proves that the process runs on with what it had loaded, and no longer says that its last reload failed."""
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    before = app.say()
    words = refused(shared, app.placement({"refused": True}, reloads=True), restart=False)
    assert words == f"{app.name} refuses the new files; the old ones stand\ncannot load: refused is set"
    assert app.say() == before
    assert tree(shared.config(app.name)) == {"app.json": '{"n": 1}'}
    assert httpx.get(f"{app.url}/metrics").text.splitlines()[0] == "app_good 1"
    assert_settled(shared, app.name)


def test_a_reload_that_is_said_and_not_done_is_refused(shared: Home, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that an answer of 200 is not believed: the program's own timestamp has to move."""
    monkeypatch.setattr(place, "_RELOAD_SECONDS", 0.5)
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    words = refused(shared, app.placement({"ignored": True}, reloads=True), restart=False)
    assert words == f"{app.name} took the reload but does not report it: app_good is 1"
    assert tree(shared.config(app.name)) == {"app.json": '{"n": 1}'}


def test_a_reload_after_which_it_is_not_healthy_is_undone(shared: Home, app: App) -> None:
    """Proves that the probe has the last word over a reload, too."""
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    pid = app.say()["pid"]
    refused(shared, app.placement({"sick": True}, reloads=True, start_seconds=1), restart=False)
    said = app.say()
    assert (said["pid"], said["loaded"]) == (pid, {"n": 1})


def test_a_program_that_is_down_is_started_instead_of_reloaded(shared: Home, app: App) -> None:
    """Proves that asking for a reload of what does not run is no failure."""
    place.put(shared, app.placement({"n": 1}, reloads=True), restart=True)
    supervision.remove(shared, app.name)
    place.put(shared, app.placement({"n": 2}, reloads=True), restart=False)
    assert app.say()["loaded"] == {"n": 2}


def test_a_program_without_reload_is_restarted_for_its_files(shared: Home, app: App) -> None:
    """Proves that `restart=False` does not leave the old files in a program that cannot reload."""
    place.put(shared, app.placement({"n": 1}), restart=True)
    pid = app.say()["pid"]
    place.put(shared, app.placement({"n": 2}), restart=False)
    said = app.say()
    assert said["loaded"] == {"n": 2}
    assert said["pid"] != pid
    assert not psutil.pid_exists(pid)


def test_cut_off_between_the_renames_is_repaired(shared: Home, app: App) -> None:
    """Proves that a put after one that ended between moving the old files away and the new ones in has the old files
    to fall back on, generated secrets included."""
    place.put(shared, app.placement({"n": 1}, generated=("secrets/made",), reloads=True), restart=True)
    config = shared.config(app.name)
    made = (config / "secrets/made").read_text()
    config.rename(config.with_name("config.old"))
    shutil.copytree(config.with_name("config.old"), config.with_name("config.new"))
    refused(shared, app.placement({"invalid": True}, generated=("secrets/made",), reloads=True), restart=False)
    assert tree(config) == {"app.json": '{"n": 1}', "secrets/made": made}
    assert_settled(shared, app.name)
    place.put(shared, app.placement({"n": 2}, generated=("secrets/made",), reloads=True), restart=False)
    assert app.say()["loaded"] == {"n": 2}
    assert tree(config) == {"app.json": '{"n": 2}', "secrets/made": made}
    assert_settled(shared, app.name)


def test_an_interruption_is_undone_like_a_failure(shared: Home, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that Ctrl-C while the program starts leaves the old files and the old process' arguments."""

    def interrupt(_home: Home, _placement: place.Placement) -> None:
        raise KeyboardInterrupt

    place.put(shared, app.placement({"n": 1}, "old"), restart=True)
    with monkeypatch.context() as patch:
        patch.setattr(place, "await_healthy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            place.put(shared, app.placement({"n": 2}, "new"), restart=True)
    said = app.await_say()
    assert (said["loaded"], said["arguments"][1:]) == ({"n": 1}, ["old"])
    assert_settled(shared, app.name)


def test_files_of_the_previous_configuration_are_gone(shared: Home, app: App) -> None:
    """Proves that what is no longer declared is no longer there for the program to read."""
    place.put(
        shared, app.placement({}, files={"rules/a.yml": "a", "rules/b.yml": "b"}, secrets={"s": "x"}), restart=True
    )
    place.put(shared, app.placement({}, files={"rules/b.yml": "c"}), restart=True)
    assert tree(shared.config(app.name)) == {"app.json": "{}", "rules/b.yml": "c"}


def test_secrets_are_for_their_program_alone(shared: Home, app: App) -> None:
    """Proves that the files have mode 0600 within directories of mode 0700, given and generated ones alike."""
    place.put(shared, app.placement({}, secrets={"secrets/given": "canary"}, generated=("secrets/made",)), restart=True)
    config = shared.config(app.name)
    for path in ("secrets/given", "secrets/made"):
        assert (config / path).stat().st_mode & 0o777 == 0o600
    for directory in (config, config.parent, shared.data(app.name), shared.log(app.name).parent, shared.path):
        assert directory.stat().st_mode & 0o777 == 0o700
    assert (config / "secrets/given").read_text() == "canary"


def test_generated_secrets_are_made_once_and_kept(shared: Home, app: App) -> None:
    """Proves that a value stays over changes, failures and a removal, and that two programs have different ones."""
    wanted = ("secrets/made",)
    place.put(shared, app.placement({"n": 1}, generated=("secrets/made", "secrets/other")), restart=True)
    file = shared.config(app.name) / "secrets/made"
    made = file.read_text()
    assert len(made) >= 32
    assert made != file.with_name("other").read_text()
    place.put(shared, app.placement({"n": 2}, generated=wanted), restart=True)
    refused(shared, app.placement({"invalid": 1}, generated=wanted), restart=True)
    supervision.remove(shared, app.name)
    place.put(shared, app.placement({"n": 3}, generated=wanted), restart=True)
    assert file.read_text() == made


def test_a_generated_secret_outlives_a_first_start_that_failed(shared: Home, app: App) -> None:
    """Proves that a program which stored the value before it failed is not given another at the next try."""
    refused(shared, app.placement({"sick": True}, generated=("made",), start_seconds=2), restart=True)
    made = (shared.config(app.name) / "made").read_text()
    place.put(shared, app.placement({}, generated=("made",)), restart=True)
    assert (shared.config(app.name) / "made").read_text() == made


def test_an_executable_is_of_the_virtual_environment_first() -> None:
    """Proves that Python parts of the stack run in the environment that the project was installed into."""
    assert place.executable("python") == Path(sys.prefix) / "bin" / "python"


def test_an_executable_that_is_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a program which is not installed is named, with what installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ProcessError) as problem:
        place.executable("loki")
    assert str(problem.value) == "loki is not installed (make setup builds what is missing)"
