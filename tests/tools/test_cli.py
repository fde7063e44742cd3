"""The commands as people type them, above all when they mistype."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import typer
import yaml

from specs.settings import KEY, load
from specs.stack import build
from tests.tools.docker_stand_in import Engine, serving
from tools import cli, paths
from tools.docker_engine import Where, connected
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


NO_ENGINE = "unix:///nowhere/docker.sock"


def run(scratch: Scratch, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the command line in the copy, on a machine without Docker; return exit status, output and errors."""
    home = str(scratch.project.parent / "pulumi-home")
    environment = {**scratch.environment(), "PULUMI_HOME": home, "DOCKER_HOST": NO_ENGINE, **environment}
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
    "command", ["up", "preview", "down", "status", "logs", "images", "render --out o", "env", "setup", "demo"]
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
    lines = (out + err).splitlines()
    for key in ("team-webhook-url", "dead-mans-switch-url"):
        how = f"set it: pulumi config set --secret {key} --stack dev"
        assert f"Pulumi.dev.yaml: observability:{key}: secret is missing ({how})" in lines
    assert "Traceback" not in out + err
    assert "grafana-admin-password" not in out + err, "a secret that is made up"
    assert "ocker" not in out + err
    assert file.read_bytes() == before


@pytest.fixture
def boxes(scratch: Scratch) -> Generator[str, None, None]:
    """Yield the name of a small Docker stack that needs no secrets."""
    file = scratch.project / "Pulumi.boxes.yaml"
    url = {"url": "http://127.0.0.1:9/"}
    alerting = {"default": "team", "receivers": {"team": {"webhook": url}}, "dead_mans_switch": url}
    settings = {**LOCAL, "runtime": "docker", "alerting": alerting, "docker": {"networks": ["shop"]}}
    file.write_text(yaml.safe_dump({"config": {KEY: settings}}))
    yield "boxes"
    file.unlink()


@pytest.fixture
def docker(tmp_path: Path) -> Generator[Engine, None, None]:
    """Yield a Docker engine."""
    with serving(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.mark.parametrize("command", ["up", "preview", "down", "status", "logs", "logs --part loki --follow"])
def test_no_docker_engine_is_one_line(scratch: Scratch, boxes: str, command: str) -> None:
    """Proves that no command of a Docker stack says it in Pulumi's words, or by a traceback."""
    status, out, err = run(scratch, *command.split(), "--stack", boxes)
    assert (status, out) == (1, "")
    assert err == (
        f"{NO_ENGINE} (DOCKER_HOST): no Docker engine answers: No such file or directory (start Docker, or name another"
        " engine: DOCKER_HOST, docker context use, or docker:host in Pulumi.boxes.yaml)\n"
    )


@pytest.mark.parametrize("command", ["up", "preview"])
def test_what_is_in_the_way_on_an_engine_is_one_line(
    scratch: Scratch, boxes: str, docker: Engine, command: str
) -> None:
    """Proves that nothing is pulled, and that Pulumi is not asked, while a network is missing."""
    status, out, err = run(scratch, command, "--stack", boxes, DOCKER_HOST=docker.url)
    assert (status, out) == (1, "")
    assert err == (
        "Pulumi.boxes.yaml: observability:settings.docker.networks: the engine has no network shop"
        " (make it: docker network create shop; it has: bridge, host, none)\n"
    )
    assert docker.asked == []


def test_images_that_do_not_come_stop_an_up(scratch: Scratch, boxes: str, docker: Engine) -> None:
    """Proves that each is one line, and that nothing is made before all are there."""
    docker.networks.append("shop")
    status, _, err = run(scratch, "up", "--stack", boxes, DOCKER_HOST=docker.url)
    assert status == 1
    assert err.count("\n") == len(docker.asked) > 5
    assert all(": its registry does not answer: no registry (bring it by " in line for line in err.splitlines())
    assert all(asked.startswith("pull ") for asked in docker.asked)


def test_status_of_containers_is_the_same_table(scratch: Scratch, boxes: str, docker: Engine) -> None:
    """Proves that each part has its line, with what the engine says."""
    docker.add("observability-loki", "exited", ExitCode=1)
    status, out, err = run(scratch, "status", "--stack", boxes, DOCKER_HOST=docker.url)
    assert (status, err) == (1, "")
    (loki,) = [line for line in out.splitlines() if line.startswith("loki ")]
    assert f"http://127.0.0.1:{3100 + OFFSET}/config" in loki
    assert "exited (exit status 1)" in loki
    assert out.count("no container") == 5


def test_logs_of_a_container_are_printed(scratch: Scratch, boxes: str, docker: Engine) -> None:
    """Proves that they come as the program wrote them."""
    docker.add("observability-loki")
    docker.logs["observability-loki"] = [b"one [bold]\ntwo\n"]
    found = run(scratch, "logs", "--stack", boxes, "--part", "loki", DOCKER_HOST=docker.url)
    assert found == (0, "one [bold]\ntwo\n", "")


def test_down_keeps_volumes_unless_asked(scratch: Scratch, boxes: str, docker: Engine) -> None:
    """Proves that volumes are named, and go with `--purge` alone, together with the secrets made up for them."""
    docker.volumes = dict.fromkeys(("observability-loki-data", "observability-registry", "somebody-elses"), "")
    generated = scratch.project / ".state" / boxes / "generated" / "grafana-admin-password"
    generated.parent.mkdir(parents=True)
    generated.write_text("made up")
    kept = "observability-loki-data, observability-registry"
    status, out, err = run(scratch, "down", "--stack", boxes, DOCKER_HOST=docker.url)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"stack boxes is down; data is kept in the volumes {kept}"
    assert generated.exists()
    status, out, err = run(scratch, "down", "--stack", boxes, "--purge", DOCKER_HOST=docker.url)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"stack boxes is down; removed the volumes {kept}"
    assert list(docker.volumes) == ["somebody-elses"]
    assert not generated.exists()


def test_images_are_listed_one_a_line(scratch: Scratch) -> None:
    """Proves that the list needs neither engine nor network, and that machines can read it too."""
    status, out, err = run(scratch, "images", "--stack", "dev")
    assert (status, err) == (0, "")
    assert "quay.io/prometheus/prometheus:v3.14.0" in out.splitlines()
    assert out.splitlines() == sorted(set(out.splitlines()))
    status, listed, err = run(scratch, "images", "--stack", "dev", "--json")
    assert (status, err) == (0, "")
    assert [image["reference"] for image in json.loads(listed)] == out.splitlines()


def test_images_of_processes_are_one_line(scratch: Scratch) -> None:
    """Proves that it is said which stacks have some."""
    expected = "Pulumi.test.yaml: no images: runtime is process (accepted: a stack of docker or kubernetes)\n"
    assert run(scratch, "images", "--stack", "test") == (1, "", expected)


def test_images_that_cannot_be_locked_are_one_line_each(scratch: Scratch) -> None:
    """Proves that without an answer nothing is written, and that scripts see it by the exit status."""
    file = scratch.project / "Pulumi.mirrored.yaml"
    text = (scratch.project / "Pulumi.dev.yaml").read_text()
    file.write_text(text.replace("runtime: docker\n", "runtime: docker\n    docker: {registry: '127.0.0.1:1'}\n"))
    try:
        status, out, err = run(scratch, "images", "--stack", "mirrored", "--lock", NO_PROXY="127.0.0.1")
    finally:
        file.unlink()
    count = len(out.splitlines())
    assert (status, err) == (1, f"{count} of the images could not be locked\n")
    assert count > 10
    assert all(re.match(r"127.0.0.1:1/\S+: its registry does not answer: ", line) for line in out.splitlines())
    assert not (scratch.project / "images.lock").exists()


def test_env_is_for_a_shell(scratch: Scratch) -> None:
    """Proves that what `env` prints can be evaluated, and then names this copy's backend."""
    status, out, err = run(scratch, "env", "--stack", "test")
    assert (status, err) == (0, "")
    assert all(re.match(r"export (PATH|PULUMI_|OBSERVABILITY_|PYTHONPATH)", line) for line in out.splitlines())
    done = subprocess.run(
        ["/bin/sh", "-c", f'{out}\nprintf %s "$PULUMI_BACKEND_URL"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"file://{scratch.project}/.state/pulumi"


def test_env_names_the_engine_of_a_docker_context(scratch: Scratch, boxes: str, tmp_path: Path) -> None:
    """Proves that plain `pulumi` works on the engine that `make` works on, and that nothing is said where it knows."""
    assert "DOCKER" not in run(scratch, "env", "--stack", boxes)[1]
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"desktop").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoints = {"docker": {"Host": "unix:///desktop.sock", "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": "desktop", "Metadata": {}, "Endpoints": endpoints}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "desktop"}))
    status, out, err = run(scratch, "env", "--stack", boxes, DOCKER_HOST="", DOCKER_CONFIG=str(tmp_path))
    assert (status, err) == (0, "")
    assert "export DOCKER_HOST=unix:///desktop.sock" in out.splitlines()


PROVIDER = "urn:pulumi:dev::observability::pulumi:providers:grafana::grafana"


@dataclass
class Made:
    """A Pulumi stack that takes notes; its `destroy` fails."""

    containers: dict[str, str]
    own: bool = True
    done: list[str] = field(default_factory=list[str])

    def exists(self) -> bool:
        """Whether it is there."""
        return True

    def deployed(self, kind: str) -> dict[str, str]:
        """Resources by URN."""
        return self.containers if kind == "docker:" else {PROVIDER: ""}

    def disown(self, urn: str) -> None:
        """Forget a resource."""
        self.done.append(f"disown {urn}")

    def work(self, command: str, *_: str) -> "subprocess.CompletedProcess[str]":
        """Fail."""
        self.done.append(command)
        return subprocess.CompletedProcess([command], 255)


@pytest.mark.parametrize(
    ("gone", "volumes", "done"),
    [
        (["loki", "grafana"], [], [f"disown {PROVIDER}"]),
        (["grafana"], ["observability-grafana-data"], []),
        (["loki"], [], []),
    ],
    ids=["with its data", "container alone", "another"],
)
def test_what_was_in_a_lost_grafana_is_made_again(
    docker: Engine, gone: list[str], volumes: list[str], done: list[str]
) -> None:
    """Proves that dashboards are not taken for there when the Grafana they were in has lost its data."""
    docker.volumes = dict.fromkeys(volumes, "")
    made = Made({"urn": "observability-grafana"})
    stack = build(load(paths.stack_file("dev")), file="Pulumi.dev.yaml")
    with connected(Where(url=docker.url, chosen_by="a test"), stack) as containers:
        cli.forget_lost_grafana(cast("Any", made), containers, gone)
    assert made.done == done


@pytest.mark.parametrize(
    ("container", "purge", "done", "told"),
    [
        ("observability-grafana", True, [f"disown {PROVIDER}", "destroy"], False),
        ("observability-grafana", False, ["destroy"], True),
        ("observability-loki", True, ["destroy"], False),
        ("observability-loki", False, ["destroy"], False),
    ],
    ids=["purge", "keep", "purge, elsewhere", "keep, elsewhere"],
)
def test_a_grafana_that_is_down_holds_no_purge_up(  # noqa: PLR0913 - one for each of the table
    *,
    docker: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    container: str,
    purge: bool,
    done: list[str],
    told: bool,
) -> None:
    """Proves that what is in our own Grafana is not deleted through it where its data goes anyway, that otherwise a
    failure says why and what to do, and that a Grafana elsewhere is never left with what is ours."""
    made = Made({"urn": container})

    def engine(*_: object) -> Made:
        return made

    monkeypatch.setattr(cli, "engine", engine)
    monkeypatch.setenv("DOCKER_HOST", docker.url)
    with pytest.raises(typer.Exit):
        cli.down(stack="dev", purge=purge)
    assert made.done == done
    advice = (
        "what is in Grafana is deleted while it answers: make up STACK=dev brings it up again;"
        " make down STACK=dev PURGE=1 does without, and deletes all data\n"
    )
    assert capsys.readouterr().err == (advice if told else "")


def test_no_command_is_help(scratch: Scratch) -> None:
    """Proves that the bare command lists them all."""
    status, out, err = run(scratch)
    for command in ("up", "preview", "down", "status", "logs", "images", "render", "env", "setup", "demo", "demo-stop"):
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
