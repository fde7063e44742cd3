"""Loki and Alertmanager of which there are several, as they are rendered, before the programs' own checkers."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes.place import executable
from specs import alertmanager, loki
from specs.flows import flows
from specs.monitoring import rule_files, to_yaml
from specs.stack import Stack
from specs.workload import Identity, Workload
from tests.specs.support import EVERY_RECEIVER, complaint, stack
from tools import native

BUCKET: Mapping[str, Any] = {
    "endpoint": "s3.example.com",
    "region": "here",
    "logs_bucket": "logs",
    "metrics_bucket": "metrics",
    "access_key": {"secret": "access"},
    "secret_key": {"secret": "secret"},
}
LARGE: Mapping[str, Any] = {"size": "large", "replicas": {"shards": 1, "jaeger": 1, "grafana": 1}}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "one": {},
    "one with a bucket": {"object_storage": BUCKET},
    "three": {"replicas": {"loki": 3}, "object_storage": BUCKET},
    "targets": {**LARGE, "object_storage": BUCKET},
    "one of what would be targets": {
        **LARGE,
        "replicas": {**LARGE["replicas"], "loki": 1},
        "object_storage": BUCKET,
    },
}
HERE = {"app": "observability", "environment": "test", "service": "loki", "job": "loki"}


def _made(form: str) -> Stack:
    return stack(runtime="kubernetes", alerting=EVERY_RECEIVER, **FORMS[form])


def _lokis(made: Stack) -> dict[str, Workload]:
    return {each.name: each for each in made.workloads if each.program.name == "loki"}


def _config(workload: Workload) -> dict[str, Any]:
    return dict(yaml.safe_load(workload.files["loki.yml"]))


def _lay_out(workload: Workload, root: Path) -> Path:
    for path, text in workload.files.items():
        file = root / workload.name / "config" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root / workload.name / "config"


@pytest.mark.parametrize("form", FORMS)
def test_loki_takes_each_form(form: str, tmp_path: Path) -> None:
    """Proves that Loki itself accepts its file in each form, as the target that reads it."""
    for workload in _lokis(_made(form)).values():
        config = _lay_out(workload, tmp_path)
        target = [arg for arg in workload.args if arg.startswith("-target=")]
        argv = [str(executable("loki")), "-config.file=loki.yml", *target, "-verify-config"]
        done = subprocess.run(argv, cwd=config, capture_output=True, text=True, timeout=60, check=False)

        assert done.returncode == 0, done.stdout + done.stderr


def test_who_is_dialled() -> None:
    """Proves which names lines are pushed to, and which are asked, in each form; the model knows both."""
    found = {
        form: (made.names, loki.push_address(made.context)[0], loki.query_address(made.context)[0])
        for form in FORMS
        for made in [_made(form)]
    }

    assert {form: (push, ask) for form, (_, push, ask) in found.items()} == {
        "one": ("loki", "loki"),
        "one with a bucket": ("loki", "loki"),
        "three": ("loki", "loki"),
        "targets": ("loki-write", "loki-read"),
        "one of what would be targets": ("loki", "loki"),
    }
    assert all({push, ask} <= names for names, push, ask in found.values())


def test_nobody_dials_a_loki_that_is_not_there() -> None:
    """Proves that in a stack of three targets no file or argument names the one program that is none of them."""
    made = _made("targets")
    everything = [text for each in made.workloads for text in (*each.args, *each.files.values())]

    assert [text for text in everything if "loki.observability.svc" in text] == []


def test_flows_of_the_ring() -> None:
    """Proves that what the targets learn of each other by gossip is among the flows of the stack, by which network
    policies are made: who reads asks who writes, and not the other way round."""
    names = {"loki-read", "loki-write", "loki-backend"}
    found = {
        (str(flow.source), str(flow.target))
        for flow in flows(_made("targets"))
        if 9095 in {port.number for port in flow.ports} and {str(flow.source), str(flow.target)} <= names
    }

    assert found == {
        *((name, name) for name in names),
        ("loki-read", "loki-write"),
        ("loki-read", "loki-backend"),
        ("loki-backend", "loki-write"),
        ("loki-backend", "loki-read"),
    }


def test_copies_of_a_line() -> None:
    """Proves how many replicas hold a line: three where there are three or more, and always a majority of replicas that
    can be away."""
    copies = {form: _config(next(iter(_lokis(_made(form)).values())))["common"]["replication_factor"] for form in FORMS}

    assert copies == dict.fromkeys(FORMS, 1) | {"three": 3, "targets": 3}
    five = stack(runtime="kubernetes", alerting=EVERY_RECEIVER, replicas={"loki": 5}, object_storage=BUCKET).workload(
        "loki"
    )
    assert (five.replicas, _config(five)["common"]["replication_factor"]) == (5, 3)


def test_two_are_refused() -> None:
    """Proves that two replicas, which take no line while either is away, are refused in one line with the key."""
    said = complaint(runtime="kubernetes", alerting=EVERY_RECEIVER, replicas={"loki": 2}, object_storage=BUCKET)

    assert said == (
        "Pulumi.test.yaml: observability:settings.replicas.loki: two replicas take no line while one of them is away"
        " (accepted: 1, or at least 3)"
    )


def test_keys_are_in_a_file_alone() -> None:
    """Proves that no file, argument or variable of Loki has a key of the object storage, and that the file that has
    them is where the variable says."""
    for workload in _lokis(_made("targets")).values():
        (path,) = workload.secrets
        assert workload.environment["AWS_SHARED_CREDENTIALS_FILE"] == f"../config/{path}"
        assert not any("secret_key" in text or "secret_access_key" in text for text in workload.files.values())
        where = _config(workload)["storage_config"]["object_store"]["s3"]
        assert where == {
            "bucket_name": "logs",
            "endpoint": "s3.example.com",
            "region": "here",
            "bucket_lookup_type": "auto",
        }


@pytest.mark.parametrize("form", ["one with a bucket", "three", "targets"])
def test_everything_of_a_bucket_is_there(form: str) -> None:
    """Proves that with a bucket chunks, index and delete requests are all in it, and nothing on a volume alone."""
    for workload in _lokis(_made(form)).values():
        config = _config(workload)
        assert [period["object_store"] for period in config["schema_config"]["configs"]] == ["s3"]
        assert config["compactor"]["delete_request_store"] == "s3"
        assert config["compactor"]["retention_enabled"] is True
        assert "storage" not in config["common"]


def test_alertmanagers_are_told_all_of_each_other() -> None:
    """Proves that three Alertmanagers gossip by names of their own, and that Loki's ruler tells each of them."""
    made = _made("three")
    found = made.workload(alertmanager.NAME)
    peers = [f"alertmanager-{index}.alertmanager-peers.observability.svc" for index in range(3)]

    assert [arg for arg in found.args if arg.startswith("--cluster.")] == [
        "--cluster.listen-address=0.0.0.0:9094",
        "--cluster.advertise-address=[$(POD_IP)]:9094",
        "--cluster.label=alertmanager.observability",
        "--cluster.reconnect-timeout=5m",
        *(f"--cluster.peer={peer}:9094" for peer in peers),
    ]
    assert (found.replicas, found.peers, found.extras) == (3, ("gossip", "gossip-udp"), (Identity(),))
    assert {(port.number, port.protocol) for port in found.ports} == {(9093, "tcp"), (9094, "tcp"), (9094, "udp")}
    (ruler,) = {_config(each)["ruler"]["alertmanager_url"] for each in _lokis(made).values()}
    assert ruler.split(",") == [f"http://{peer}:9093" for peer in peers]


def _tried(directory: Path, made: Stack, alert: str, series: Mapping[str, str], at: str) -> str:
    """What promtool says when it expects the alert to be silent at `at`: nothing where it is."""
    groups = [group for group in made.groups if any(each.name == alert for each in group.alerts)]
    files = rule_files(groups, runbooks="http://r", dashboards="http://d")
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": []}],
    }
    (directory / "test.yml").write_text(to_yaml({"rule_files": list(files), "tests": [test]}), encoding="utf-8")
    (promtool,) = (each.path for each in native.ensure(["promtool"]).values() if each.name == "promtool")
    argv = [str(promtool), "test", "rules", "test.yml"]
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _series(name: str, index: int) -> str:
    labels = {**HERE, "instance": f"10.0.0.{index}:3100"}
    return f"{name}{{{', '.join(f'{key}={value!r}' for key, value in labels.items())}}}".replace("'", '"')


def test_only_the_compactor_that_runs_is_late(tmp_path: Path) -> None:
    """Proves that replicas whose compactor has nothing to do are not told of, and that the one that runs is."""
    ran = "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds"
    running = "loki_boltdb_shipper_compactor_running"
    idle = {_series("process_start_time_seconds", index): "1x300" for index in range(3)}
    idle |= {_series(ran, index): "0x300" for index in (1, 2)} | {_series(running, index): "0x300" for index in (1, 2)}
    made = _made("three")

    well = idle | {_series(ran, 0): "0+60x300", _series(running, 0): "1x300"}
    assert _tried(tmp_path, made, "LokiRetentionNotApplied", well, "290m") == ""
    late = idle | {_series(ran, 0): "60x300", _series(running, 0): "1x300"}
    said = _tried(tmp_path, made, "LokiRetentionNotApplied", late, "290m")
    assert "10.0.0.0:3100" in said
    assert "10.0.0.1:3100" not in said


def test_quiet_replicas_are_not_told_of_while_another_takes_lines(tmp_path: Path) -> None:
    """Proves that a replica that no client has chosen is no fault, and that nothing arriving at any of them is."""
    lines, read = "loki_distributor_lines_received_total", "otelcol_receiver_accepted_log_records"
    collector = f'{read}{{app="observability", environment="test", service="collector"}}'
    quiet = {_series(lines, index): "5x100" for index in range(3)} | {collector: "0+60x100"}
    made = _made("three")

    assert _tried(tmp_path, made, "LokiIngestionStopped", quiet | {_series(lines, 0): "0+60x100"}, "60m") == ""
    assert "All replicas together receive 0 lines" in _tried(tmp_path, made, "LokiIngestionStopped", quiet, "60m")
