"""Changes to a running stack: transactional, and no more than what was asked for."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.local.around import Around
from tests.local.stacks import Local, eventually


def rule(local: Local, name: str) -> dict[str, Any] | None:
    """The first alert of this name that Prometheus evaluates."""
    groups = httpx.get(f"{local.url(9090)}/api/v1/rules", timeout=5).json()["data"]["groups"]
    found = [rule for group in groups for rule in group["rules"] if rule["name"] == name]
    return found[0] if found else None


def steps(local: Local) -> dict[str, list[str]]:
    """What a preview would do: operation → resources."""
    done = local.pulumi("preview", "--json", "--stack", local.name)
    found: dict[str, list[str]] = {}
    for step in json.loads(done.stdout)["steps"]:
        found.setdefault(step["op"], []).append(step["urn"].rpartition("::")[2])
    return found


def test_a_second_up_and_a_preview_change_nothing(local: Local) -> None:
    """Proves that what was deployed is what is declared: no operation but `same`, no process started anew."""
    before = local.pids()
    assert set(steps(local)) == {"same"}
    looked = local.cli("preview", "--refresh").stdout
    assert "unchanged" in looked
    assert not re.search(r"\d to (update|create|replace|delete)", looked), looked
    done = local.cli("up")
    assert "unchanged" in done.stdout
    assert not {"updated", "created", "replaced", "deleted"} & set(done.stdout.split())
    assert local.pids() == before


def test_plain_pulumi_works_as_anywhere(local: Local) -> None:
    """Proves that `pulumi preview`, `up` and `refresh` work in an activated environment."""
    assert "unchanged" in local.pulumi("up", "--yes", "--skip-preview", "--stack", local.name).stdout
    assert "unchanged" in local.pulumi("refresh", "--yes", "--skip-preview", "--stack", local.name).stdout
    assert set(steps(local)) == {"same"}


@pytest.mark.usefixtures("changed")
def test_a_changed_threshold_is_in_effect_without_a_restart(local: Local) -> None:
    """Proves that one setting changes one file of one part, and that the running Prometheus evaluates it."""
    before = local.pids()
    files = {path: path.read_text() for path in local.home.config("prometheus").rglob("*.yml")}
    local.settings(lambda s: s["alerting"]["overrides"].update({"HighMemoryUsage": {"threshold": 0.97}}))
    assert steps(local).get("update") == ["prometheus"]
    local.cli("up")
    changed = [path for path in files if path.read_text() != files[path]]
    assert [path.name for path in changed] == ["node.yml"]
    found = rule(local, "HighMemoryUsage")
    assert found is not None
    assert "> 0.97" in found["query"]
    assert local.pids() == before


@pytest.mark.usefixtures("changed")
def test_a_changed_route_is_in_effect_without_a_restart(local: Local) -> None:
    """Proves the same of Alertmanager: its running configuration is the declared one."""
    before = local.pids()
    local.settings(lambda s: s["alerting"]["grouping"].update(repeat="13h"))
    local.cli("up")
    running = httpx.get(f"{local.url(9093)}/api/v2/status", timeout=5).json()["config"]["original"]
    assert yaml.safe_load(running)["route"]["repeat_interval"] == "13h"
    assert local.pids() == before


@pytest.mark.usefixtures("changed")
def test_a_part_that_cannot_reload_is_restarted_alone(local: Local) -> None:
    """Proves that a change of Loki's retention restarts Loki and nothing else, and is in effect."""
    before = local.pids()
    local.settings(lambda s: s.setdefault("retention", {}).update(log_archive="35d"))
    local.cli("up")
    after = local.pids()
    assert {name for name in before if before[name] != after[name]} == {"loki"}
    config = yaml.safe_load(httpx.get(f"{local.url(3100)}/config", timeout=5).text)
    assert config["limits_config"]["retention_period"] == "5w"


def test_a_broken_rule_is_refused_and_the_old_ones_evaluate(local: Local) -> None:
    """Proves that promtool's words stop `preview` and `up`, that the files stay, and that Prometheus goes on."""
    spec = local.project / "specs" / "exporters" / "node.py"
    good = spec.read_text()
    files = {path: path.read_text() for path in local.home.config("prometheus").rglob("*.yml")}
    before = local.pids()
    spec.write_text(good.replace("node_memory_MemTotal_bytes >", "node_memory_MemTotal_bytes >> >"))
    try:
        for command in (["preview"], ["up"]):
            done = local.cli(*command, check=False)
            said = done.stdout + done.stderr
            assert done.returncode != 0
            assert "promtool check config prometheus.yml refuses the new files; the old ones stand" in said
            assert "HighMemoryUsage" in said
            assert "parse error" in said
            assert "Traceback" not in said
    finally:
        spec.write_text(good)
    assert {path: path.read_text() for path in files} == files
    found = rule(local, "HighMemoryUsage")
    assert found is not None
    assert found["health"] == "ok"
    assert local.pids() == before
    assert set(steps(local)) == {"same"}


def test_a_program_that_does_not_take_its_configuration_runs_on_with_the_old(local: Local) -> None:
    """Proves the undo behind the checker: Jaeger has none, so its bad configuration shows only when it starts."""
    spec = local.project / "specs" / "jaeger.py"
    good = spec.read_text()
    spec.write_text(good.replace('"exporters": ["jaeger_storage_exporter"]', '"exporters": ["no_such_exporter"]'))
    try:
        done = local.cli("up", check=False)
        said = done.stdout + done.stderr
        assert done.returncode != 0
        assert "jaeger does not stay up; the end of its log:" in said
        assert "no_such_exporter" in said
        assert "Traceback" not in said
    finally:
        spec.write_text(good)
    eventually(
        lambda: httpx.get(f"{local.url(13134)}/status", timeout=3).status_code == 200, 30, "jaeger healthy again"
    )
    assert "no_such_exporter" not in (local.home.config("jaeger") / "jaeger.yml").read_text()
    local.cli("up")
    assert set(steps(local)) == {"same"}


def test_a_file_edited_by_hand_is_seen_and_put_back(local: Local) -> None:
    """Proves that `pulumi refresh` shows drift, and that the next up repairs it."""
    file = local.home.config("alertmanager") / "alertmanager.yml"
    good = file.read_text()
    file.write_text(good.replace("resolve_timeout: 5m", "resolve_timeout: 9m"))
    local.pulumi("refresh", "--yes", "--skip-preview", "--stack", local.name)
    assert steps(local).get("update") == ["alertmanager"]
    local.cli("up")
    assert file.read_text() == good


def test_bad_settings_touch_nothing(local: Local) -> None:
    """Proves that a mistake in the stack file is one line, before anything is touched, by make and by plain pulumi."""
    good = local.file.read_text()
    before = local.pids()
    try:
        local.settings(lambda s: s.update(scrape_interval="15 s"))
        expected = (
            'Pulumi.test.yaml: observability:settings.scrape_interval: "15 s" is not a duration'
            " (accepted: a number with ms, s, m, h, d, w or y, like 15s, 1h30m or 30d)"
        )
        done = local.cli("up", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{expected}\n")
        plain = local.pulumi("preview", "--stack", local.name, check=False)
        assert plain.returncode != 0
        assert expected in plain.stdout + plain.stderr
        assert "Traceback" not in plain.stdout + plain.stderr
    finally:
        local.file.write_text(good)
    assert local.pids() == before


def test_an_induced_fault_fires_reaches_the_receiver_and_resolves(local: Local, around: Around) -> None:
    """Proves the whole way of an alert: a target that does not answer, a notification with its runbook, its end."""
    registered = Path(local.outputs()["scrape"]["directory"]) / "ghost.json"
    registered.write_text(json.dumps([{"targets": ["127.0.0.1:9"], "labels": {"app": "ghost", "service": "ghost"}}]))
    try:
        alert = around.webhook.await_alert("ServiceDown", "firing", 90, app="ghost")
        assert alert["labels"]["severity"] == "critical"
        assert alert["labels"]["environment"] == "test"
        assert alert["annotations"]["runbook_url"] == "https://runbooks.example.com/ServiceDown.md"
        assert "127.0.0.1:9" in alert["annotations"]["description"]
    finally:
        registered.unlink()
    around.webhook.await_alert("ServiceDown", "resolved", 90, app="ghost")
