"""The process runtime: what a workload becomes on this machine."""

import sys
from dataclasses import replace
from pathlib import Path

from components.part import Part
from components.recording import Secret, record
from specs.settings import RuntimeKind
from specs.workload import Reload, SecretRef
from tests.deployment import (
    HOME,
    PROCESS,
    SAMPLE,
    SUPERVISOR,
    inputs_of,
    placed,
    runtime_of,
    secret_of,
    settings_for,
    url_of,
)

SETTINGS = settings_for(RuntimeKind.PROCESS, port_offset=100)


def test_a_workload_is_one_process() -> None:
    """Every field of the spec that concerns a process reaches it, and nothing else does."""
    recording = placed(SAMPLE, SETTINGS)

    assert inputs_of(recording, PROCESS, "sample") == {
        "home": HOME,
        "name": "sample",
        "command": ["python", "--config=../config/sample.yml", "--data=."],
        "version": str(Path(sys.prefix) / "bin" / "python"),
        "environment": {"SAMPLE": "yes"},
        "files": {"sample.yml": "name: é\n", "rules/two_three.yml": "b: 2\n"},
        "secrets": {
            "secrets/plain": Secret(secret_of("plain")),
            "secrets/wrapped.py": Secret('password = "the \\"wrapped\\""\n'),
        },
        "generated": [],
        "checks": [],
        "probe_url": "http://127.0.0.1:8181/ready",
        "start_seconds": 12,
    }
    assert recording.resource(PROCESS, "sample").depends_on == ("supervisor",)


def test_the_supervisor_knows_its_home() -> None:
    """There is one supervisor for the home, whatever runs in it."""
    assert inputs_of(placed(SAMPLE, SETTINGS), SUPERVISOR, "supervisor") == {"home": HOME}


def test_a_reload_is_asked_for_and_verified_at_the_shifted_port() -> None:
    """A program that reloads says where: both URLs carry the stack's own port."""
    reload = Reload(port="http", metric="good", timestamp_metric="good_timestamp_seconds")
    recording = placed(replace(SAMPLE, reload=reload), SETTINGS)

    assert inputs_of(recording, PROCESS, "sample")["reload"] == {
        "url": "http://127.0.0.1:8180/-/reload",
        "metrics_url": "http://127.0.0.1:8180/metrics",
        "metric": "good",
        "timestamp_metric": "good_timestamp_seconds",
    }


def test_a_secret_that_may_be_made_up_is() -> None:
    """A generated secret that the stack does not set is left to the runtime, by the path of its file."""
    workload = replace(SAMPLE, secrets={"secrets/own": SecretRef("own", generated=True)})

    def program() -> None:
        Part("Exporter", workload, runtime_of(SETTINGS, secrets={}))

    recording = record(program, stack="test")

    inputs = inputs_of(recording, PROCESS, "sample")
    assert inputs["generated"] == ["secrets/own"]
    assert inputs["secrets"] == {}


def test_its_url_is_the_main_ports() -> None:
    """What a person opens is the first port, shifted as the stack's settings say."""
    assert url_of(SAMPLE, SETTINGS) == "http://127.0.0.1:8180"
