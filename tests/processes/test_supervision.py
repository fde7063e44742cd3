"""Supervisor, spoken to: what is asked for is what runs."""

import os
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from processes import keeper, supervision
from processes.errors import ProcessError
from processes.home import Home
from tests.processes.support import App, eventually

WORDS = (
    "plain", "two words", "100%", "%(ENV_PATH)s", "%%", "it's", 'say "hi"', "back\\slash", "a ; b", "c # d", "$HOME",
    "`id`", "é ☂", "", "~", "*", "line\nbreak", "tab\there", "a,b=c", "'", '"', "--flag=x y",
)  # fmt: skip


def place(home: Home, app: App) -> None:
    """Give the program the configuration it reads."""
    home.config(app.name).mkdir(parents=True)
    home.config(app.name).joinpath("app.json").write_text("{}")


def state_of(home: Home, name: str) -> str | None:
    """Supervisor's word for the state of a program."""
    found = supervision.state(home, name)
    return found.name if found else None


def test_start_and_stop_may_be_said_twice(home: Home) -> None:
    """Proves that starting what runs leaves it alone, and that stopping twice, or what never ran, is no error."""
    supervision.stop(home)
    assert not home.path.exists()
    supervision.start(home)
    before = (keeper.pid_of(home), keeper.supervisor(home))
    assert None not in before
    supervision.start(home)
    assert (keeper.pid_of(home), keeper.supervisor(home)) == before
    supervision.stop(home)
    assert not [process for process in psutil.process_iter() if process in before]
    assert (keeper.is_kept(home), supervision.is_running(home), home.socket.exists()) == (False, False, False)
    supervision.stop(home)


def test_a_home_with_an_odd_path_works(app: App) -> None:
    """Proves that blanks, quotes, %, ; and # in the home's path harm neither supervisor nor programs."""
    with tempfile.TemporaryDirectory(prefix="a b'\"%d ;#é") as directory:
        home = Home(Path(directory) / "home")
        place(home, app)
        try:
            supervision.start(home)
            supervision.run(home, app.name, app.command(), {})
            assert app.await_say()["directory"] == str(home.data(app.name))
            assert [process.pid for process in keeper.marked(home)] == [app.say()["pid"]]
        finally:
            supervision.stop(home)


def test_a_long_home_works(tmp_path: Path, app: App) -> None:
    """Proves that a home whose path no socket may have is run and stopped like any other."""
    home = Home(tmp_path / ("long-" * 20) / "home")
    place(home, app)
    try:
        supervision.start(home)
        supervision.run(home, app.name, app.command(), {})
        assert app.await_say()["directory"] == str(home.data(app.name))
    finally:
        supervision.stop(home)
    assert not home.socket.exists()


def test_arguments_and_values_arrive_intact(shared: Home, app: App) -> None:
    """Proves that no layer between takes any character of an argument or of a variable's value for its own."""
    place(shared, app)
    environment = {f"WORD_{index}": word for index, word in enumerate(WORDS)}
    supervision.run(shared, app.name, app.command(*WORDS), environment)
    said = app.await_say()
    assert said["arguments"] == [str(app.port), *WORDS]
    assert {key: value for key, value in said["environment"].items() if key.startswith("WORD_")} == environment


def test_pulumis_passphrase_does_not_reach_programs(home: Home, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that of what the engine's environment holds, what only the engine needs is not handed on."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary")
    monkeypatch.setenv("MINE", "kept")
    supervision.start(home)
    place(home, app)
    supervision.run(home, app.name, app.command(), {})
    environment = app.await_say()["environment"]
    assert environment["MINE"] == "kept"
    assert "PULUMI_CONFIG_PASSPHRASE" not in environment


def test_files_that_programs_write_are_their_owners_alone(shared: Home) -> None:
    """Proves that the data of a stack is not for other users of the machine."""
    code = "import pathlib, time; pathlib.Path('written').touch(); time.sleep(60)"
    supervision.run(shared, "writer", [sys.executable, "-c", code], {})
    written = eventually(lambda: (path := shared.data("writer") / "written").exists() and path)
    assert written.stat().st_mode & 0o777 == 0o600
    supervision.remove(shared, "writer")


def test_a_changed_command_restarts_that_program_alone(shared: Home, tmp_path: Path) -> None:
    """Proves that one program runs anew, with the new arguments, and that its neighbour does not notice."""
    apps: list[App] = []
    for name in ("changed", "neighbour"):
        directory = tmp_path / name
        directory.mkdir()
        apps.append(App.make(directory, name))
        place(shared, apps[-1])
        supervision.run(shared, name, apps[-1].command("old"), {})
    before = [app.await_say()["pid"] for app in apps]
    supervision.run(shared, "changed", apps[0].command("new"), {"COLOUR": "blue"})
    changed = eventually(lambda: (said := apps[0].say())["pid"] != before[0] and said)
    assert (changed["arguments"][1:], changed["environment"]["COLOUR"]) == (["new"], "blue")
    assert apps[1].say()["pid"] == before[1]
    assert not psutil.pid_exists(before[0])


def test_the_same_command_runs_anew(shared: Home, app: App) -> None:
    """Proves that running what runs already restarts it: that is how a program gets files that it cannot reload."""
    place(shared, app)
    supervision.run(shared, app.name, app.command(), {})
    before = app.await_say()["pid"]
    supervision.run(shared, app.name, app.command(), {})
    assert app.await_say()["pid"] != before


def test_a_killed_program_comes_back(shared: Home, app: App) -> None:
    """Proves that kill -9 costs a restart and no more; the state names the new pid and the time of its start."""
    place(shared, app)
    supervision.run(shared, app.name, app.command(), {})
    before = app.await_say()["pid"]
    os.kill(before, 9)
    after = eventually(lambda: (pid := app.say()["pid"]) != before and pid)
    found = supervision.state(shared, app.name)
    assert found is not None
    assert found.pid == after
    assert abs(found.started - psutil.Process(after).create_time()) < 2
    assert eventually(lambda: state_of(shared, app.name) == "RUNNING")


def test_removed_is_forgotten_and_its_directories_stay(shared: Home, app: App) -> None:
    """Proves that `remove` ends the program, is no error when said twice, and leaves configuration, data and log."""
    place(shared, app)
    supervision.run(shared, app.name, app.command(), {})
    pid = app.await_say()["pid"]
    shared.data(app.name).joinpath("kept").write_text("data")
    supervision.remove(shared, app.name)
    supervision.remove(shared, app.name)
    assert not psutil.pid_exists(pid)
    assert supervision.state(shared, app.name) is None
    assert [path.name for path in (shared.supervision / "programs").glob(f"{app.name}.*")] == []
    assert shared.data(app.name).joinpath("kept").read_text() == "data"
    assert shared.config(app.name).joinpath("app.json").exists()
    assert shared.log(app.name).exists()


def test_a_program_that_dies_and_dies_can_be_removed(shared: Home) -> None:
    """Proves that one between two starts is ended like one that runs."""
    supervision.run(shared, "dying", [sys.executable, "-c", "raise SystemExit('no')"], {})
    assert eventually(lambda: state_of(shared, "dying") == "BACKOFF")
    supervision.remove(shared, "dying")
    assert supervision.state(shared, "dying") is None
    assert "no" in supervision.tail(shared.log("dying"))


def test_restored_is_what_ran_before(shared: Home, app: App) -> None:
    """Proves that the script of the running program, given back, runs it as before."""
    place(shared, app)
    assert supervision.running_script(shared, app.name) is None
    supervision.run(shared, app.name, app.command("first"), {"N": "1"})
    app.await_say()
    script = supervision.running_script(shared, app.name)
    assert script is not None
    supervision.run(shared, app.name, app.command("second"), {"N": "2"})
    assert eventually(lambda: app.say()["arguments"][1:] == ["second"])
    supervision.restore(shared, app.name, script)
    said = app.await_say()
    assert (said["arguments"][1:], said["environment"]["N"]) == (["first"], "1")


def test_programs_are_there_again_after_stop_and_start(home: Home, app: App) -> None:
    """Proves that what was running is started with supervisor, as after a reboot."""
    place(home, app)
    supervision.start(home)
    supervision.run(home, app.name, app.command("x"), {})
    before = app.await_say()["pid"]
    supervision.stop(home)
    assert supervision.state(home, app.name) is None
    supervision.start(home)
    assert (said := app.await_say())["arguments"][1:] == ["x"]
    assert said["pid"] != before


def test_without_supervisor_a_program_is_refused_in_words(home: Home) -> None:
    """Proves that no raw error of the connection reaches people."""
    home.make()
    with pytest.raises(ProcessError) as problem:
        supervision.run(home, "app", ["true"], {})
    assert str(problem.value).startswith("app: supervisor does not do as asked: ")


def test_tail_is_the_end_of_a_log(tmp_path: Path) -> None:
    """Proves that it takes the last lines, whatever bytes they have, and nothing of a file that is not there."""
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"%d\n" % number for number in range(20)) + b"\xff\n")
    assert supervision.tail(log, 3) == "18\n19\n\ufffd"
    assert supervision.tail(tmp_path / "none") == ""


def test_the_state_of_a_home_is_not_that_of_another(shared: Home, home: Home, app: App) -> None:
    """Proves that two supervisors do not know each other's programs."""
    place(shared, app)
    supervision.start(home)
    supervision.run(shared, app.name, app.command(), {})
    app.await_say()
    assert supervision.state(home, app.name) is None
    assert state_of(shared, app.name) in ("STARTING", "RUNNING")
