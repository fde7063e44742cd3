"""The commands as people type them, above all when they mistype."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import paths
from tools.scratch import Scratch

OFFSET = 17000
LOCAL = {"environment": "test", "cluster": "test", "runtime": "process", "port_offset": OFFSET}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """Return a copy of the project with a small process stack and the shipped stack `dev`; nothing is up."""
    made = Scratch.make(tmp_path_factory.mktemp("cli") / "project", "test", OFFSET)
    made.write_settings(LOCAL)
    shutil.copy2(paths.stack_file("dev"), made.project)
    return made


def run(scratch: Scratch, *arguments: str) -> tuple[int, str, str]:
    """Run the command line in the copy; return exit status, output and errors."""
    environment = {**scratch.environment(), "PULUMI_HOME": str(scratch.project.parent / "pulumi-home")}
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", *arguments],
        cwd=scratch.project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command", ["up", "preview", "down", "status", "logs", "render --out o", "env", "setup", "demo"]
)
def test_an_unknown_stack_is_one_line(scratch: Scratch, command: str) -> None:
    """Proves that every command says which stacks there are, and does nothing."""
    expected = "Pulumi.nope.yaml: no such stack (accepted: dev, test, or write the file)\n"
    assert run(scratch, *command.split(), "--stack", "nope") == (1, "", expected)
    assert not (scratch.project / ".state" / "nope").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: [", "line 1, column 10: not acceptable YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\na: 2\n", 'line 2, column 1: not acceptable YAML: "a" is a key twice (accepted: each key once)'),
        ("- a\n", "not a stack file (accepted: a mapping with the key config)"),
        (
            "config: {}\n",
            "config.observability:settings: required, but missing (accepted: a mapping with environment, cluster, …)",
        ),
    ],
)
@pytest.mark.parametrize("command", ["up", "render --out o"])
def test_a_stack_file_that_cannot_be_read_is_one_line(scratch: Scratch, command: str, text: str, message: str) -> None:
    """Proves that file, place and what is accepted are said, before anything is touched."""
    file = scratch.project / "Pulumi.broken.yaml"
    file.write_text(text)
    try:
        status, out, err = run(scratch, *command.split(), "--stack", "broken")
    finally:
        file.unlink()
    assert (status, out, err) == (1, "", f"Pulumi.broken.yaml: {message}\n")
    assert not (scratch.project / "o").exists()


def test_a_bad_setting_is_one_line(scratch: Scratch) -> None:
    """Proves that key, value and what is accepted are said."""
    file = scratch.project / "Pulumi.broken.yaml"
    file.write_text(yaml.safe_dump({"config": {"observability:settings": {**LOCAL, "runtime": "podman"}}}))
    try:
        status, out, err = run(scratch, "up", "--stack", "broken")
    finally:
        file.unlink()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith('Pulumi.broken.yaml: observability:settings.runtime: "podman" ')
    assert "process" in err


def test_logs_of_an_unknown_part_are_one_line(scratch: Scratch) -> None:
    """Proves that the parts there are stand in the message."""
    status, out, err = run(scratch, "logs", "--stack", "test", "--part", "lokki")
    accepted = "alertmanager, collector, inbox, jaeger, loki, prometheus"
    grafana = accepted.replace("inbox", "grafana, inbox")
    assert (status, out) == (1, "")
    assert err in {f"PART=lokki: no such part (accepted: {names})\n" for names in (accepted, grafana)}


def test_logs_of_a_stack_that_never_ran_are_one_line(scratch: Scratch) -> None:
    """Proves that the way to get some is said."""
    assert run(scratch, "logs", "--stack", "test") == (1, "", "test: no logs yet (make up brings it up)\n")


def test_render_into_a_directory_of_others_is_one_line(scratch: Scratch, tmp_path: Path) -> None:
    """Proves that what lies there stays there."""
    (tmp_path / "mine").write_text("precious")
    expected = f"{tmp_path}: not empty, and not from an earlier render (accepted: a new or empty directory)\n"
    assert run(scratch, "render", "--stack", "test", "--out", str(tmp_path)) == (1, "", expected)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_demo_of_a_stack_that_is_not_up_is_one_line(scratch: Scratch) -> None:
    """Proves that no app is deployed against nothing."""
    expected = "STACK=test: not up (make up STACK=test brings it up)\n"
    assert run(scratch, "demo", "--stack", "test") == (1, "", expected)
    assert not (scratch.project / ".state" / "sample-app").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "--scenario=fire",
            "SCENARIO=fire: no such scenario (accepted: normal, errors, slow, database-down, crash, log-burst, leak)\n",
        ),
        ("--run-time=soon", "RUN_TIME=soon: not a run time (accepted: like 90s or 2m, at most 30m)\n"),
        ("--run-time=-5s", "RUN_TIME=-5s: not a run time (accepted: like 90s or 2m, at most 30m)\n"),
        ("--run-time=9h", "RUN_TIME=9h: not a run time (accepted: like 90s or 2m, at most 30m)\n"),
    ],
)
def test_a_wrong_option_of_demo_is_one_line(scratch: Scratch, option: str, message: str) -> None:
    """Proves that it is refused before anybody is asked whether the stack is up."""
    assert run(scratch, "demo", "--stack", "test", option) == (1, "", message)


def test_demo_beside_containers_is_one_line(scratch: Scratch) -> None:
    """Proves that the sample app says where it can be."""
    expected = "STACK=dev: the sample app deploys itself beside a process stack (accepted: local)\n"
    assert run(scratch, "demo", "--stack", "dev") == (1, "", expected)


def test_nothing_to_stop_is_no_mistake(scratch: Scratch) -> None:
    """Proves that `demo-stop` without a demo and `down` of what was never up end well."""
    assert run(scratch, "demo-stop") == (0, "", "")
    status, out, err = run(scratch, "down", "--stack", "test", "--purge")
    assert (status, out, err) == (0, "stack test is down\n", "")


def test_status_of_what_is_down_says_so(scratch: Scratch) -> None:
    """Proves that every part has its line, and that scripts see it by the exit status."""
    status, out, err = run(scratch, "status", "--stack", "test")
    assert (status, err) == (1, "")
    for part, port in (("prometheus", 9090), ("alertmanager", 9093), ("loki", 3100), ("jaeger", 16686)):
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [part]]
        assert f"http://127.0.0.1:{port + OFFSET}" in line
        assert "not running" in line


@pytest.mark.parametrize("command", ["up", "preview"])
def test_missing_secrets_are_named_before_anything_is_touched(scratch: Scratch, command: str) -> None:
    """Proves, with the real engine, that each key comes in one line with how to set it, without a traceback, and that
    no container was asked for; the stack file is as it was."""
    file = scratch.project / "Pulumi.dev.yaml"
    before = file.read_bytes()
    status, out, err = run(scratch, command, "--stack", "dev")
    assert status != 0
    lines = {line.strip().removeprefix("error: ") for line in (out + err).splitlines()}
    for key in ("team-webhook-url", "dead-mans-switch-url", "grafana-admin-password"):
        how = f"set it: pulumi config set --secret {key} --stack dev"
        assert f"Pulumi.dev.yaml: observability:{key}: secret is missing ({how})" in lines
    assert "Traceback" not in out + err
    assert "docker:" not in out + err
    assert file.read_bytes() == before


def test_env_is_for_a_shell(scratch: Scratch) -> None:
    """Proves that what `env` prints can be evaluated, and then names this copy's backend."""
    status, out, err = run(scratch, "env", "--stack", "test")
    assert (status, err) == (0, "")
    assert all(re.match(r"export (PATH|PULUMI_|OBSERVABILITY_|PYTHONPATH)", line) for line in out.splitlines())
    done = subprocess.run(
        ["/bin/sh", "-c", f'{out}\nprintf %s "$PULUMI_BACKEND_URL"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"file://{scratch.project}/.state/pulumi"


def test_no_command_is_help(scratch: Scratch) -> None:
    """Proves that the bare command lists them all."""
    status, out, err = run(scratch)
    for command in ("up", "preview", "down", "status", "logs", "render", "env", "setup", "demo", "demo-stop"):
        assert re.search(rf"^\W*{command}\s", out + err, re.MULTILINE)
    assert status in {0, 2}


def test_make_help_lists_every_target() -> None:
    """Proves that each phony target has a description, and that nothing else is listed."""
    text = (paths.ROOT / "Makefile").read_text()
    found = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert found is not None
    environment = {**os.environ, "MAKEFLAGS": ""}
    command = ["make", "--no-print-directory", "help"]
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=True)
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert sorted(listed) == sorted(found[1].split())
    assert all(len(words) > 10 for words in listed.values())


def test_make_alone_is_help() -> None:
    """Proves that typing `make` does nothing but say what there is."""
    said = [
        subprocess.run(["make", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
        for arguments in ([], ["help"])
    ]
    assert said[0] == said[1]
