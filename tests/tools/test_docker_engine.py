"""Docker stacks as the commands see them: which engine, what stands in the way of an `up`, health, logs, volumes."""

import contextlib
import io
import json
import os
import socket
import stat
import sys
import threading
from collections.abc import Generator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from specs.model import SettingsError
from specs.settings import KEY, RuntimeKind
from specs.stack import Stack, build
from tests.deployment import settings_for
from tests.tools.docker_stand_in import Engine, now, serving
from tools import docker_engine, docker_preflight, health, images
from tools.docker_engine import Containers, EngineError, Where

OFFSET = 16000
"""Ports below those that outgoing connections take."""
PARTS = ("prometheus", "alertmanager", "loki", "jaeger", "collector", "grafana")


ALERTING = {
    "default": "team",
    "receivers": {"team": {"webhook": {"url": "http://127.0.0.1:9/"}}},
    "dead_mans_switch": {"url": "http://127.0.0.1:9/"},
}


@cache
def small() -> Stack:
    """Return a Docker stack without anything optional."""
    return stack_with()


def stack_with(**more: Any) -> Stack:
    """Return a small Docker stack, and `more`."""
    settings = settings_for(RuntimeKind.DOCKER, port_offset=OFFSET, alerting=ALERTING, **more)
    return build(settings, file="Pulumi.test.yaml")


@pytest.fixture
def engine(tmp_path: Path) -> Generator[Engine, None, None]:
    """Yield an engine that has nothing."""
    with serving(tmp_path / "docker.sock") as made:
        yield made


@contextlib.contextmanager
def containers(engine: Engine, stack: Stack | None = None, *, url: str = "") -> Generator[Containers, None, None]:
    """Yield the stack's containers on the stand-in, which may pretend to be at another `url`."""
    wanted = stack or small()
    with docker_engine.connected(Where(url=engine.url, chosen_by="a test"), wanted) as found:
        yield Containers(client=found.client, where=Where(url=url or engine.url, chosen_by="a test"), stack=wanted)


def up(engine: Engine, stack: Stack | None = None) -> None:
    """Let every part of the stack run."""
    for workload in (stack or small()).workloads:
        engine.add(f"observability-{workload.name}", StartedAt=now())


def refused(engine: Engine, stack: Stack | None = None, deployed: tuple[str, ...] = ()) -> list[str]:
    """Return what stands in the way, line by line."""
    with containers(engine, stack) as found, pytest.raises(EngineError) as problem:
        docker_preflight.refuse(found, deployed)
    return str(problem.value).splitlines()


def stack_file(directory: Path, **config: object) -> Path:
    """Write a stack file with more configuration than its settings."""
    file = directory / "Pulumi.test.yaml"
    settings = {"environment": "test", "cluster": "test", "runtime": "docker"}
    file.write_text(yaml.safe_dump({"config": {KEY: settings, **{f"docker:{key}": it for key, it in config.items()}}}))
    return file


class TestWhere:
    """Which engine a stack is on."""

    def test_the_stack_file_wins(self, tmp_path: Path) -> None:
        """Proves that whoever brings a stack up, it lands on the engine that its file names."""
        found = docker_engine.where(stack_file(tmp_path, host="ssh://me@far"), {"DOCKER_HOST": "unix:///mine"})
        assert str(found) == "ssh://me@far (docker:host in Pulumi.test.yaml)"
        assert not found.local

    def test_then_the_environment(self, tmp_path: Path) -> None:
        """Proves that DOCKER_HOST is before contexts, as for Docker's own command."""
        base = {"DOCKER_HOST": "tcp://far:2376", "DOCKER_CERT_PATH": "/certs", "DOCKER_CONTEXT": "other"}
        found = docker_engine.where(stack_file(tmp_path), base)
        assert (str(found), found.certificates) == ("tcp://far:2376 (DOCKER_HOST)", "/certs")
        assert docker_engine.environment(found) == {"DOCKER_HOST": "tcp://far:2376", "DOCKER_CERT_PATH": "/certs"}

    def test_then_the_current_context(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proves that what `docker context use` chose is honoured, which Pulumi's provider does not know."""
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        self._context(tmp_path, "desktop", "unix:///desktop.sock")
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": "desktop"}))
        found = docker_engine.where(stack_file(tmp_path), {})
        assert str(found) == "unix:///desktop.sock (Docker context desktop)"
        assert found.local
        assert found.by_context

    def test_a_context_of_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proves that DOCKER_CONTEXT chooses, and that one which is not there is one line."""
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        (tmp_path / "config.json").write_text("{}")
        self._context(tmp_path, "far", "ssh://me@far")
        assert docker_engine.where(stack_file(tmp_path), {"DOCKER_CONTEXT": "far"}).url == "ssh://me@far"
        with pytest.raises(
            EngineError, match=r"^Docker context near: no such context \(docker context ls shows them\)$"
        ):
            docker_engine.where(stack_file(tmp_path), {"DOCKER_CONTEXT": "near"})

    def test_else_the_usual_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proves that nothing has to be said on a usual machine."""
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        (tmp_path / "config.json").write_text("{}")
        found = docker_engine.where(stack_file(tmp_path), {})
        assert found.url == "unix:///var/run/docker.sock"
        assert not found.by_context

    def test_a_hidden_host_is_refused(self, tmp_path: Path) -> None:
        """Proves that an encrypted docker:host, which only Pulumi could read, is one line."""
        with pytest.raises(SettingsError, match=r"^Pulumi.test.yaml: docker:host: not text"):
            docker_engine.where(stack_file(tmp_path, host={"secure": "v1:…"}))

    @staticmethod
    def _context(directory: Path, name: str, host: str) -> None:
        from docker.context.config import get_context_id

        meta = directory / "contexts" / "meta" / get_context_id(name)
        meta.mkdir(parents=True)
        endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))


class TestConnecting:
    """No engine, in one line."""

    @pytest.mark.parametrize(
        ("url", "reason"),
        [("unix:///nowhere/docker.sock", "No such file or directory"), ("tcp://127.0.0.1:1", "Connection refused")],
    )
    def test_no_engine_is_one_line(self, url: str, reason: str) -> None:
        """Proves that the line has the engine, who chose it, the system's word and what to do."""
        with (
            pytest.raises(EngineError) as problem,
            docker_engine.connected(Where(url=url, chosen_by="DOCKER_HOST"), small()),
        ):
            pass
        assert str(problem.value) == (
            f"{url} (DOCKER_HOST): no Docker engine answers: {reason} (start Docker, or name another engine:"
            " DOCKER_HOST, docker context use, or docker:host in Pulumi.test.yaml)"
        )

    def test_what_is_no_url_is_one_line(self) -> None:
        """Proves that a mistyped address is told like an engine that is not there."""
        with (
            pytest.raises(EngineError, match=r"^htp:/x \(DOCKER_HOST\): no Docker engine answers: "),
            docker_engine.connected(Where(url="htp:/x", chosen_by="DOCKER_HOST"), small()),
        ):
            pass

    def test_an_engine_that_goes_away_is_one_line(self, tmp_path: Path) -> None:
        """Proves that no traceback comes when the engine stops in the middle."""

        def ask() -> None:
            with serving(tmp_path / "docker.sock") as engine, containers(engine) as found:
                found.client.close()
                (tmp_path / "docker.sock").unlink()
                found.volumes()

        with pytest.raises(EngineError, match=r"the engine says: No such file or directory$"):
            ask()

    def test_a_host_by_ssh(self, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proves that one connection of the user's own ssh leads to the engine there, and ends with the command."""
        said = self._ssh(tmp_path, monkeypatch, engine)
        where = Where(url="ssh://me@far:2222", chosen_by="DOCKER_HOST")
        with docker_engine.connected(where, small()) as found:
            assert found.volumes() == []
            assert not found.where.local
        arguments = said.read_text().split()
        assert arguments[-2:] == ["--", "me@far"]
        assert arguments[arguments.index("-p") + 1] == "2222"
        assert arguments[arguments.index("-L") + 1].endswith("docker.sock:/var/run/docker.sock")
        assert not Path(arguments[arguments.index("-L") + 1].split(":")[0]).exists()

    def test_no_way_by_ssh_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proves that what ssh says is told."""
        self._program(tmp_path, monkeypatch, "#!/bin/sh\necho 'me@far: Permission denied (publickey).' >&2; exit 255\n")
        with (
            pytest.raises(EngineError) as problem,
            docker_engine.connected(Where(url="ssh://me@far", chosen_by="DOCKER_HOST"), small()),
        ):
            pass
        assert str(problem.value) == "ssh://me@far: no way there by ssh: me@far: Permission denied (publickey)."

    @staticmethod
    def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def _ssh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Path:
        """Put an ssh on PATH that forwards to the stand-in, whatever the socket's name over there."""
        said = tmp_path / "arguments"
        target = engine.url.removeprefix("unix://")
        script = f"""#!{sys.executable}
import os, sys, time
open({str(said)!r}, "w").write(" ".join(sys.argv[1:]))
os.symlink({target!r}, sys.argv[sys.argv.index("-L") + 1].split(":")[0])
time.sleep(60)
"""
        self._program(tmp_path, monkeypatch, script)
        return said


class TestPreflight:
    """What stands in the way of an `up`."""

    def test_nothing_stands_in_the_way_of_an_empty_engine(self, engine: Engine) -> None:
        """Proves that missing images are no obstacle: they are pulled."""
        with containers(engine) as found:
            docker_preflight.refuse(found, ())
            assert docker_preflight.absent(found) == list(images.references(found.stack))

    def test_a_missing_network_is_one_line(self, engine: Engine) -> None:
        """Proves that the networks there, and how to make one, are said."""
        engine.networks.append("app_network")
        stack = stack_with(docker={"networks": ["app_network", "shop"]})
        assert refused(engine, stack) == [
            (
                "Pulumi.test.yaml: observability:settings.docker.networks: the engine has no network shop"
                " (make it: docker network create shop; it has: app_network, bridge, host, none)"
            )
        ]

    def test_a_port_of_another_container_is_one_line(self, engine: Engine) -> None:
        """Proves that the container which holds it is named, on engines elsewhere as well."""
        engine.add("shop-prometheus-1")
        engine.ports["shop-prometheus-1"] = [
            {"IP": "0.0.0.0", "PrivatePort": 9090, "PublicPort": 9090 + OFFSET, "Type": "tcp"},  # noqa: S104 - as engines say
            {"PrivatePort": 9091, "Type": "tcp"},
        ]
        expected = (
            f"port {9090 + OFFSET}/tcp of prometheus is held by container shop-prometheus-1 (end that, or move this"
            f" stack's ports: Pulumi.test.yaml: observability:settings.port_offset, now {OFFSET})"
        )
        assert refused(engine) == [expected]
        with containers(engine, url="ssh://far") as found, pytest.raises(EngineError) as problem:
            docker_preflight.refuse(found, ())
        assert str(problem.value) == expected

    def test_a_port_on_another_address_is_free(self, engine: Engine) -> None:
        """Proves that only what the stack binds counts."""
        engine.add("other")
        engine.ports["other"] = [{"IP": "192.0.2.1", "PrivatePort": 1, "PublicPort": 9090 + OFFSET, "Type": "tcp"}]
        with containers(engine) as found:
            docker_preflight.refuse(found, ())

    @pytest.mark.parametrize(("protocol", "port", "part"), [("tcp", 3100, "loki"), ("udp", 6831, "collector")])
    def test_a_port_of_a_program_is_one_line(self, engine: Engine, protocol: str, port: int, part: str) -> None:
        """Proves that the program of this machine which holds it is named."""
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", port + OFFSET))
            if protocol == "tcp":
                held.listen()
            (line,) = refused(engine)
        assert line.startswith(f"port {port + OFFSET}/{protocol} of {part} is held by ")
        assert f"(pid {os.getpid()}: " in line

    def test_ports_of_programs_here_say_nothing_of_an_engine_elsewhere(self, engine: Engine) -> None:
        """Proves that this machine's ports are not asked for another's."""
        with socket.socket() as held, containers(engine, url="ssh://far") as found:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 3100 + OFFSET))
            held.listen()
            docker_preflight.refuse(found, ())

    def test_the_stacks_own_containers_hold_their_ports(self, engine: Engine) -> None:
        """Proves that a second `up` is not in its own way."""
        up(engine)
        engine.networks.append("observability")
        engine.ports["observability-loki"] = [
            {"IP": "127.0.0.1", "PrivatePort": 3100, "PublicPort": 3100 + OFFSET, "Type": "tcp"}
        ]
        with socket.socket() as proxy, containers(engine) as found:
            proxy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            proxy.bind(("127.0.0.1", 3100 + OFFSET))
            proxy.listen()
            docker_preflight.refuse(found, {*engine.containers, "observability"})

    def test_a_network_of_another_name_is_not_in_its_own_way(self, engine: Engine) -> None:
        """Proves that containers of the last `up`, which are about to go, hold no port against the new ones."""
        engine.add("before-loki")
        engine.ports["before-loki"] = [
            {"IP": "127.0.0.1", "PrivatePort": 3100, "PublicPort": 3100 + OFFSET, "Type": "tcp"}
        ]
        with containers(engine) as found:
            docker_preflight.refuse(found, {"before-loki", "before"})
        (line,) = refused(engine)
        assert line.startswith(f"port {3100 + OFFSET}/tcp of loki is held by container before-loki ")

    def test_a_grafana_out_of_reach_is_one_line(self, engine: Engine) -> None:
        """Proves that nobody waits two minutes for one that an engine elsewhere publishes on its own loopback; a tunnel
        will do, and nothing is asked where the provider has nothing to do or the engine is here."""
        files = stack_with(grafana={"delivery": "files"})
        for stack, url in ((small(), ""), (files, "ssh://me@far")):
            with containers(engine, stack, url=url) as found:
                docker_preflight.refuse_unreachable_grafana(found)
        port = 3000 + OFFSET
        with containers(engine, url="ssh://me@far") as found:
            with pytest.raises(EngineError) as problem:
                docker_preflight.refuse_unreachable_grafana(found)
            with socket.create_server(("127.0.0.1", port)):
                docker_preflight.refuse_unreachable_grafana(found)
        assert str(problem.value) == (
            f"Pulumi.test.yaml: observability:settings.grafana.delivery: the provider dials http://127.0.0.1:{port},"
            f" where nothing listens (keep it open meanwhile: ssh -N -L {port}:127.0.0.1:{port} me@far;"
            " or accepted: files)"
        )

    def test_names_of_somebody_elses_are_told(self, engine: Engine) -> None:
        """Proves that what Pulumi does not know of, after a lost state say, is named with what to do."""
        loki = "observability-loki"
        engine.add(loki, "exited")
        engine.add(f"{loki}-files", "exited")
        engine.networks.append("observability")
        advice = "or another Pulumi.test.yaml: observability:settings.docker.network"
        assert refused(engine, deployed=(f"{loki}-files",)) == [
            f"container {loki} exists, and is not this stack's (docker rm --force {loki}, {advice})",
            f"network observability exists, and is not this stack's (docker network rm observability, {advice})",
        ]

    def test_an_image_for_other_processors_is_one_line(self, engine: Engine) -> None:
        """Proves that it is told before a container says `exec format error`."""
        with containers(engine) as found:
            (loki,) = [reference for reference in images.references(found.stack) if "loki" in reference]
        engine.images = {loki: "arm64"}
        assert refused(engine) == [
            f"{loki}: made for arm64, but the engine runs amd64 (docker pull --platform linux/amd64 {loki})"
        ]

    def test_everything_that_is_wrong_comes_at_once(self, engine: Engine) -> None:
        """Proves that nobody has to run `up` once for each."""
        engine.add("other")
        engine.ports["other"] = [{"IP": "::", "PublicPort": 1, "Type": "tcp"}, *[
            {"IP": "127.0.0.1", "PrivatePort": 1, "PublicPort": port + OFFSET, "Type": "tcp"} for port in (3100, 9093)
        ]]  # fmt: skip
        lines = refused(engine, stack_with(docker={"networks": ["shop"]}))
        assert [line.split(" is ")[0] for line in lines[1:]] == [
            f"port {9093 + OFFSET}/tcp of alertmanager", f"port {3100 + OFFSET}/tcp of loki",
        ]  # fmt: skip


class TestPulling:
    """Images come with progress, or with one line each."""

    EVENTS: tuple[dict[str, Any], ...] = (
        {"status": "Pulling from x", "id": "1"},
        {"status": "Downloading", "progressDetail": {"current": 5, "total": 10}, "id": "a"},
        {"status": "Download complete", "progressDetail": {}, "id": "a"},
        {"status": "Pull complete", "progressDetail": {}, "id": "a"},
        {"status": "Status: Downloaded newer image for x"},
    )

    @staticmethod
    def pull(engine: Engine, *references: str) -> str:
        """Pull, and return what a terminal would show."""
        shown = Console(file=io.StringIO(), width=200)
        with containers(engine) as found:
            docker_preflight.pull(found, references, shown)
        assert isinstance(shown.file, io.StringIO)
        return shown.file.getvalue()

    def test_each_image_is_told(self, engine: Engine) -> None:
        """Proves that tags and digests are pulled, and that each is told as it is there."""
        digest = "sha256:" + "a" * 64
        tagged, locked = "quay.io/x/one:v1", f"docker.io/x/two:2@{digest}"
        engine.registry = {tagged: list(self.EVENTS), f"docker.io/x/two:2@{digest}": list(self.EVENTS)}
        said = self.pull(engine, tagged, locked)
        assert sorted(engine.asked) == [f"pull {locked}", f"pull {tagged}"]
        assert sorted(line for line in said.splitlines() if line.startswith("pulled")) == [
            f"pulled {locked}", f"pulled {tagged}",
        ]  # fmt: skip

    def test_nothing_to_pull_says_nothing(self, engine: Engine) -> None:
        """Proves that a second `up` is quiet."""
        assert self.pull(engine).strip() == ""

    @pytest.mark.parametrize(
        ("answer", "wrong", "advice"),
        [
            (
                (404, "manifest for x/one:v9 not found: manifest unknown: manifest unknown"),
                "its registry has no such image: manifest for x/one:v9 not found: manifest unknown: manifest unknown",
                "look at Pulumi.test.yaml: observability:settings.versions",
            ),
            (
                (404, "pull access denied for x/one, repository does not exist or may require 'docker login'"),
                (
                    "there is none, or its registry wants a login: pull access denied for x/one, repository does not"
                    " exist or may require 'docker login'"
                ),
                "docker login; or another version",
            ),
            (
                (500, 'Get "https://x/v2/": dial tcp: lookup x: no such host'),
                'its registry does not answer: Get "https://x/v2/": dial tcp: lookup x: no such host',
                (
                    "bring it by docker save and docker load, or name a mirror:"
                    " Pulumi.test.yaml: observability:settings.docker.registry"
                ),
            ),
            (
                [{"error": "no matching manifest for linux/amd64 in the manifest list entries"}],
                "there is none for amd64",
                "take a version that has one: Pulumi.test.yaml: observability:settings.versions",
            ),
        ],
        ids=["no such tag", "no such repository", "no registry", "architecture"],
    )
    def test_an_image_that_does_not_come_is_one_line(
        self, engine: Engine, answer: list[dict[str, Any]] | tuple[int, str], wrong: str, advice: str
    ) -> None:
        """Proves that the image, the registry's own words and what to do are said; the others are pulled."""
        engine.registry = {"x.io/x/one:v9": answer, "x.io/x/two:v1": list(self.EVENTS)}
        with pytest.raises(EngineError) as problem:
            self.pull(engine, "x.io/x/one:v9", "x.io/x/two:v1")
        assert str(problem.value) == f"x.io/x/one:v9: {wrong} ({advice})"
        assert "x.io/x/two:v1" in engine.images


class TestHealth:
    """The table of `make status`."""

    @staticmethod
    def words(engine: Engine, stack: Stack | None = None) -> dict[str, str]:
        """Return each part's health."""
        with containers(engine, stack) as found:
            return {part.name: part.words for part in health.look(found.stack, found)}

    def test_without_containers_every_part_says_so(self, engine: Engine) -> None:
        """Proves that a stack that was never up is told part by part."""
        assert self.words(engine) == dict.fromkeys(PARTS, "no container")

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ({"status": "exited", "ExitCode": 2}, "exited (exit status 2)"),
            ({"status": "exited", "ExitCode": 137, "OOMKilled": True}, "exited (out of memory)"),
            ({"status": "restarting", "ExitCode": 1, "restarts": 7}, "restarting (exit status 1, 7 times)"),
            ({"status": "created", "Error": "port is already allocated"}, "never started: port is already allocated"),
            ({"status": "created", "Error": ""}, "never started"),
            ({"status": "paused"}, "paused"),
            ({"status": "running", "Health": {"Status": "starting"}}, "starting"),
            ({"status": "running", "Health": {"Status": "healthy"}}, "healthy"),
            (
                {
                    "status": "running",
                    "Health": {"Status": "unhealthy", "Log": [{"Output": "old"}, {"Output": "wget: refused\nmore"}]},
                },
                "unhealthy: wget: refused",
            ),
            ({"status": "running", "Health": {"Status": "unhealthy", "Log": None}}, "unhealthy"),
        ],
    )
    def test_what_the_engine_knows_is_told(self, engine: Engine, state: dict[str, Any], words: str) -> None:
        """Proves that each state of a container has its words, and that only `healthy` counts as healthy."""
        up(engine)
        engine.add("observability-loki", **state)
        with containers(engine) as found:
            (loki,) = [part for part in health.look(found.stack, found) if part.name == "loki"]
        assert (loki.words, loki.healthy) == (words, words == "healthy")

    def test_memory_and_uptime_are_the_engines(self, engine: Engine) -> None:
        """Proves that memory is counted as `docker stats` does, without what the kernel would give back."""
        up(engine)
        engine.memory = {"usage": 50_000_000, "stats": {"inactive_file": 8_000_000}}
        engine.add("observability-jaeger", StartedAt="2026-01-01T00:00:00Z")
        engine.add("observability-loki", "exited")
        with containers(engine) as found:
            running = found.running()
        assert running["prometheus"].memory == 42_000_000
        assert running["prometheus"].uptime < 60 < running["jaeger"].uptime
        assert (running["loki"].memory, running["loki"].uptime) == (0, 0)

    def test_parts_without_a_health_check_are_asked_by_their_ports(self, engine: Engine) -> None:
        """Proves that the answer counts, and that nobody's answer is told as such."""
        up(engine)
        with _answering(3100 + OFFSET):
            found = self.words(engine)
        assert found["loki"] == "healthy"
        assert found["alertmanager"] == "no answer (ConnectError)"

    def test_parts_without_a_published_port_are_known_by_prometheus(self, engine: Engine) -> None:
        """Proves that whether it can be scraped is the health of what nothing else can be asked of."""
        stack = stack_with(exporters={"node": {}, "blackbox": {}})
        up(engine, stack)
        targets = [
            {"scrapeUrl": "http://node-exporter:9100/metrics", "health": "up"},
            {"scrapeUrl": "http://blackbox-exporter:9115/metrics", "health": "down"},
        ]
        with _answering(9090 + OFFSET, targets):
            found = self.words(engine, stack)
        assert (found["node-exporter"], found["blackbox-exporter"]) == ("healthy", "cannot be scraped")
        assert self.words(engine, stack)["node-exporter"] == "not scraped yet"

    def test_on_an_engine_elsewhere_prometheus_is_asked_inside(self, engine: Engine) -> None:
        """Proves that health needs no port of that machine; and that how to reach its pages from here is said."""
        up(engine)
        engine.said = json.dumps(
            {"data": {"activeTargets": [{"scrapeUrl": "http://loki:3100/metrics", "health": "up"}]}}
        ).encode()
        with containers(engine, url="ssh://me@far") as found:
            words = {part.name: part.words for part in health.look(found.stack, found)}
            forwarding = found.forwarding()
        assert words["loki"] == "healthy"
        (asked,) = engine.asked
        assert asked == ("exec observability-prometheus wget -q -O - http://127.0.0.1:9090/api/v1/targets?state=active")
        assert forwarding.startswith("the URLs are far's own; here they work with: ssh -N -L ")
        assert f"-L {9090 + OFFSET}:127.0.0.1:{9090 + OFFSET}" in forwarding
        assert forwarding.endswith(" me@far")

    def test_preparation_is_not_shown(self, engine: Engine) -> None:
        """Proves that containers which are done have no line."""
        up(engine)
        engine.add("observability-loki-files", "exited")
        assert sorted(self.words(engine)) == sorted(PARTS)

    def test_the_table_has_a_line_for_each_part(self, engine: Engine) -> None:
        """Proves that in a narrow terminal neither health nor URL lose their ends."""
        with containers(engine) as found:
            table = health.table(health.look(found.stack, found), "stack test", wide=False)
        shown = Console(file=io.StringIO(), width=60)
        shown.print(table)
        assert isinstance(shown.file, io.StringIO)
        said = shown.file.getvalue()
        assert said.count("no container") == len(PARTS)
        assert "…" not in said


class TestHealing:
    """What people stopped, killed or removed."""

    def test_what_was_stopped_is_started(self, engine: Engine) -> None:
        """Proves that nothing else is touched: neither what runs, nor what prepared and is done."""
        up(engine)
        engine.add("observability-loki", "exited", ExitCode=137)
        engine.add("observability-loki-files", "exited")
        with containers(engine) as found:
            assert found.stopped() == ["loki"]
            found.start(found.stopped())
        assert engine.asked == ["start observability-loki"]

    def test_what_was_removed_is_known(self, engine: Engine) -> None:
        """Proves that only what had been deployed counts."""
        engine.add("observability-loki")
        with containers(engine) as found:
            assert found.gone(["observability-loki", "observability-jaeger", "observability-jaeger-files"]) == [
                "jaeger"
            ]
            assert found.gone([]) == []

    def test_troubles_have_the_last_words(self, engine: Engine) -> None:
        """Proves that after a failed `up` each container that did not do its work is one line, preparation included."""
        up(engine)
        engine.add("observability-loki", "restarting", ExitCode=1, restarts=3)
        engine.logs["observability-loki"] = [b"starting\n", b"permission denied: /data\n"]
        engine.add("observability-jaeger-files", "exited", ExitCode=1)
        engine.logs["observability-jaeger-files"] = [b"chown: Operation not permitted\n"]
        engine.add("observability-prometheus-files", "exited", ExitCode=0)
        with containers(engine) as found:
            assert found.troubles() == [
                "loki: restarting (exit status 1, 3 times): permission denied: /data",
                "jaeger-files: exited (exit status 1): chown: Operation not permitted",
            ]


class TestLogs:
    """`make logs`."""

    @staticmethod
    def said(engine: Engine, *names: str, lines: int = 20, follow: bool = False) -> list[str]:
        """Return what is printed."""
        with containers(engine) as found:
            return list(found.logs(names, lines=lines, follow=follow))

    def test_one_part_is_printed_as_it_is(self, engine: Engine) -> None:
        """Proves that the last lines come, and nothing around them."""
        engine.add("observability-loki")
        engine.logs["observability-loki"] = [b"one\ntwo\n", b"three \xc3\xa9\n"]
        assert self.said(engine, "loki", lines=2) == ["two", "three é"]

    @pytest.mark.parametrize("follow", [False, True])
    def test_lines_of_several_parts_begin_with_their_part(self, engine: Engine, follow: bool) -> None:
        """Proves that parts which are not there are left out, and that pieces of lines are put together."""
        engine.add("observability-loki")
        engine.add("observability-prometheus", "exited")
        engine.logs = {"observability-loki": [b"o", b"ne\ntwo\n"], "observability-prometheus": [b"gone\n"]}
        assert sorted(self.said(engine, "loki", "prometheus", "jaeger", follow=follow)) == [
            "loki       | one", "loki       | two", "prometheus | gone",
        ]  # fmt: skip

    def test_no_container_is_one_line(self, engine: Engine) -> None:
        """Proves that the way to get one is said."""
        with pytest.raises(EngineError, match=r"^no container of loki on unix://.* \(make up brings it up\)$"):
            self.said(engine, "loki")


class TestVolumes:
    """What `make down` keeps, and `PURGE=1` removes."""

    THEIRS = ("observability-2-loki-data", "observability-loki-data-2", "loki-data", "observability-registry-old")
    OURS = ("observability-loki-config", "observability-loki-data", "observability-registry")

    def test_only_the_stacks_own_are_removed(self, engine: Engine) -> None:
        """Proves that names which only begin alike are somebody else's."""
        engine.volumes = dict.fromkeys((*self.THEIRS, *self.OURS), "")
        with containers(engine) as found:
            assert found.volumes() == list(self.OURS)
            assert found.remove_volumes() == list(self.OURS)
        assert set(engine.volumes) == set(self.THEIRS)

    def test_a_volume_in_use_is_one_line(self, engine: Engine) -> None:
        """Proves that the engine's own words say who uses it."""
        engine.volumes = {"observability-registry": "volume is in use - [abc]"}
        with (
            containers(engine) as found,
            pytest.raises(
                EngineError, match=r"^volume observability-registry: cannot be removed: volume is in use - \[abc\]$"
            ),
        ):
            found.remove_volumes()


@contextlib.contextmanager
def _answering(port: int, targets: list[dict[str, str]] | None = None) -> Generator[None, None, None]:
    """Answer every question on `port` with 200, and with Prometheus' `targets`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"data": {"activeTargets": targets or []}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(timeout=5)
