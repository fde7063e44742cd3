"""The Docker runtime: what a workload becomes on an engine."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.recording import Secret
from components.runtimes.docker import config_hash, go_duration, health_check, succeeded
from components.runtimes.docker_preparation import joined, place_files, place_secrets
from components.runtimes.images import read_lock, reference
from specs.model import SettingsError
from specs.programs import INBOX, PREPARE
from specs.settings import RuntimeKind
from specs.workload import HostPaths, HostView, KernelLog, Outward, Port, Program, Resources, SecretRef, Workload
from tests.deployment import (
    CONTAINER,
    NETWORK,
    SAMPLE,
    VOLUME,
    count,
    inputs_of,
    placed,
    secret_of,
    settings_for,
    url_of,
)
from tests.specs.support import EVERY_EXPORTER, stack

DIGEST = f"sha256:{'0a' * 32}"
SETTINGS = settings_for(RuntimeKind.DOCKER, port_offset=100)
STATELESS = replace(SAMPLE, volume=None, extras=(), secrets={})
ASKED = replace(SAMPLE, program=replace(SAMPLE.program, client="wget"), probe=replace(SAMPLE.probe, start_seconds=90))
TMP = "mode=1777,exec"
OWN = "uid=1234,gid=1234,mode=0700,exec"
LIMITS = {
    "securityOpts": ["no-new-privileges:true"],
    "logDriver": "json-file",
    "logOpts": {"max-size": "10m", "max-file": "3"},
}


def labels_of(workload: Workload) -> list[dict[str, str]]:
    """Return the labels of a workload's container, without what its secrets add."""
    return [
        {"label": "app.kubernetes.io/name", "value": "sampler"},
        {"label": "app.kubernetes.io/instance", "value": "sample"},
        {"label": "app.kubernetes.io/part-of", "value": "observability"},
        {"label": "app.kubernetes.io/managed-by", "value": "pulumi"},
        {"label": "app.kubernetes.io/version", "value": "v1.2.3"},
        {"label": "observability/config-hash", "value": config_hash(workload)},
    ]


def once(name: str) -> dict[str, Any]:
    """Return what every container has that prepares a volume and ends."""
    return {
        "name": f"observability-{name}",
        "image": f"{PREPARE.image}:{PREPARE.version}",
        "user": "0:0",
        "networkMode": "none",
        "memory": 32,
        "memorySwap": 32,
        **LIMITS,
        "capabilities": {"drops": ["ALL"], "adds": ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]},
        "restart": "no",
        "attach": True,
        "mustRun": False,
        "labels": [
            {"label": "app.kubernetes.io/instance", "value": name},
            {"label": "app.kubernetes.io/part-of", "value": "observability"},
            {"label": "app.kubernetes.io/managed-by", "value": "pulumi"},
        ],
    }


def test_a_workload_is_one_container() -> None:
    """Every input of a container is one that somebody decided: there are no others."""
    recording = placed(SAMPLE, SETTINGS)

    assert inputs_of(recording, CONTAINER, "sample") == {
        "name": "observability-sample",
        "image": "quay.io/example/sampler:v1.2.3",
        "entrypoints": ["sampler"],
        "command": ["--config=../config/sample.yml", "--data=."],
        "workingDir": "/workload/data",
        "user": "1234:1234",
        "envs": ["SAMPLE=yes"],
        "volumes": [
            {"volumeName": "observability-sample-config", "containerPath": "/workload/config", "readOnly": True},
            {"volumeName": "observability-sample-data", "containerPath": "/workload/data"},
            {"volumeName": "observability-registry", "containerPath": "/registry", "readOnly": True},
        ],
        "tmpfs": {"/tmp": TMP},  # noqa: S108 - the container's own
        "networksAdvanced": [{"name": "observability", "aliases": ["sample"]}],
        "ports": [
            {"internal": 8080, "external": 8180, "ip": "127.0.0.1", "protocol": "tcp"},
            {"internal": 8082, "external": 8182, "ip": "127.0.0.1", "protocol": "udp"},
        ],
        "memory": 256,
        "memorySwap": 256,
        "cpus": "1.0",
        "cpuShares": 256,
        "readOnly": True,
        "capabilities": {"drops": ["ALL"]},
        **LIMITS,
        "restart": "unless-stopped",
        "wait": False,
        "mustRun": True,
        "destroyGraceSeconds": 30,
        "labels": [*labels_of(SAMPLE), {"label": "observability/secrets", "value": "sample-secrets"}],
    }
    container = recording.resource(CONTAINER, "sample")
    assert container.delete_before_replace
    assert container.depends_on == (
        *("network", "registry", "sample-config", "sample-data"),
        *("sample-files", "sample-secrets"),
    )


def test_files_reach_it_through_a_volume() -> None:
    """What places them runs once, without a network, and its uploads stay readable in a diff: no secret is among
    them. It also makes the data its user's."""
    recording = placed(SAMPLE, SETTINGS)

    assert inputs_of(recording, CONTAINER, "sample-files") == {
        **once("sample-files"),
        "command": place_files(SAMPLE),
        "uploads": [
            {
                "file": "/seed/files",
                "content": "==> 1 lines of rules/two_three.yml\nb: 2\n==> 1 lines of sample.yml\nname: é\n",
            }
        ],
        "volumes": [
            {"volumeName": "observability-sample-config", "containerPath": "/workload/config"},
            {"volumeName": "observability-sample-data", "containerPath": "/workload/data"},
            {"volumeName": "observability-registry", "containerPath": "/registry"},
        ],
    }
    assert recording.resource(CONTAINER, "sample-files").delete_before_replace


def test_secrets_reach_it_by_a_container_of_their_own() -> None:
    """Each is marked as secret, inside the text its program wants; the container that placed them names itself in a
    label of the program's, so that a new secret is a new start."""
    recording = placed(SAMPLE, SETTINGS)

    assert inputs_of(recording, CONTAINER, "sample-secrets") == {
        **once("sample-secrets"),
        "command": place_secrets(SAMPLE),
        "uploads": [
            {"file": "/seed/secrets/plain", "content": Secret(secret_of("plain")), "permissions": "0400"},
            {
                "file": "/seed/secrets/wrapped.py",
                "content": Secret('password = "the \\"wrapped\\""\n'),
                "permissions": "0400",
            },
        ],
        "volumes": [{"volumeName": "observability-sample-config", "containerPath": "/workload/config"}],
    }
    assert recording.resource(CONTAINER, "sample-secrets").depends_on == ("sample-config", "sample-files")


def test_a_secret_elsewhere_is_refused() -> None:
    """A secret beside the directory of secrets would go with the next change of a file: it is an error at once."""
    with pytest.raises(AssertionError, match=r"^sample: token is not below secrets/$"):
        placed(replace(SAMPLE, secrets={"token": SecretRef("plain")}), SETTINGS)


def test_a_workload_without_state_has_its_directory_in_memory() -> None:
    """Without a volume the data directory is its user's own, and goes with the container."""
    recording = placed(STATELESS, SETTINGS)
    inputs = inputs_of(recording, CONTAINER, "sample")

    assert inputs["tmpfs"] == {"/workload/data": OWN, "/tmp": TMP}  # noqa: S108 - the container's own
    assert [volume["containerPath"] for volume in inputs["volumes"]] == ["/workload/config"]
    assert inputs["labels"] == labels_of(STATELESS)
    assert recording.resource(CONTAINER, "sample").depends_on == ("network", "sample-config", "sample-files")


def test_what_needs_nothing_is_not_prepared() -> None:
    """A workload that only has arguments is one container and nothing else."""
    recording = placed(replace(STATELESS, files={}), SETTINGS)

    assert count(recording)[CONTAINER] == 1
    assert VOLUME not in count(recording)


def test_paths_that_it_writes_are_in_memory() -> None:
    """Beside /tmp, the root filesystem is writable where the workload says so, for its user."""
    inputs = inputs_of(placed(replace(SAMPLE, scratch=("/opt/logs",)), SETTINGS), CONTAINER, "sample")

    assert inputs["tmpfs"] == {"/tmp": TMP, "/opt/logs": OWN}  # noqa: S108 - the container's own


def test_an_image_with_a_client_says_whether_it_is_healthy() -> None:
    """It asks itself as everybody would, `up` waits for the answer, and durations have the engine's own form."""
    inputs = inputs_of(placed(ASKED, SETTINGS), CONTAINER, "sample")

    assert inputs["healthcheck"] == {
        "tests": ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8081/ready"],
        "interval": "10s",
        "timeout": "10s",
        "retries": 3,
        "startPeriod": "1m30s",
    }
    assert (inputs["wait"], inputs["waitTimeout"]) == (True, 120)


def test_what_asks_depends_on_the_image() -> None:
    """By curl where there is that, by the workload's own command where it has one, not at all without a client."""
    probe = replace(SAMPLE.probe, command=("pg_isready", "-q"))

    assert health_check(SAMPLE) is None
    assert health_check(replace(SAMPLE, program=replace(SAMPLE.program, client="curl"))) == [
        *("CMD", "curl", "-fsS", "-o", "/dev/null"),
        "http://127.0.0.1:8081/ready",
    ]
    assert health_check(replace(SAMPLE, probe=probe)) == ["CMD", "pg_isready", "-q"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5, "5s"), (60, "1m0s"), (300, "5m0s"), (3600, "1h0m0s"), (3725, "1h2m5s")],
)
def test_durations_are_as_the_engine_writes_them(seconds: int, expected: str) -> None:
    """Any other form of the same duration is a change in every preview."""
    assert go_duration(seconds) == expected


def test_data_outlives_the_stack() -> None:
    """Volumes with data are not deleted, those with configuration are; none carries what would replace it."""
    recording = placed(SAMPLE, SETTINGS)

    for name, kept in (("sample-data", True), ("registry", True), ("sample-config", False)):
        assert inputs_of(recording, VOLUME, name) == {"name": f"observability-{name}"}
        assert recording.resource(VOLUME, name).retain_on_delete is kept
        assert recording.resource(VOLUME, name).delete_before_replace
    assert inputs_of(recording, NETWORK, "network") == {"name": "observability"}


def test_data_may_go_with_the_stack() -> None:
    """With `keep_volumes: false` nothing is left of a stack."""
    recording = placed(SAMPLE, settings_for(RuntimeKind.DOCKER, docker={"keep_volumes": False}))

    volumes = [resource for resource in recording.resources if resource.type == VOLUME]
    assert [volume.name for volume in volumes if volume.retain_on_delete] == []
    assert len(volumes) == 3


def test_what_measures_the_host_sees_it_read_only() -> None:
    """HostView: the root filesystem with what is mounted later, and the host's processes; no capability more."""
    inputs = inputs_of(placed(replace(STATELESS, extras=(HostView(),)), SETTINGS), CONTAINER, "sample")

    assert inputs["mounts"] == [
        {
            "type": "bind",
            "source": "/",
            "target": "/host",
            "readOnly": True,
            "bindOptions": {"propagation": "rslave"},
        }
    ]
    assert inputs["pidMode"] == "host"
    assert inputs["securityOpts"] == ["no-new-privileges:true", "label=disable"]
    assert inputs["capabilities"] == {"drops": ["ALL"]}
    plain = inputs_of(placed(STATELESS, SETTINGS), CONTAINER, "sample")
    assert {"mounts", "pidMode", "devices"} & set(plain) == set()


def test_paths_of_the_host_are_seen_read_only() -> None:
    """HostPaths: those and no others."""
    extras = (HostPaths((("/var/log", "/host/var/log"), ("/srv/logs", "/host/srv/logs"))),)
    inputs = inputs_of(placed(replace(STATELESS, extras=extras), SETTINGS), CONTAINER, "sample")

    assert inputs["mounts"] == [
        {"type": "bind", "source": source, "target": f"/host{source}", "readOnly": True}
        for source in ("/var/log", "/srv/logs")
    ]
    assert "pidMode" not in inputs


def test_the_kernels_log_takes_one_capability() -> None:
    """KernelLog: the device, to read, and what the kernel asks of who reads it."""
    inputs = inputs_of(placed(replace(STATELESS, extras=(KernelLog(),)), SETTINGS), CONTAINER, "sample")

    assert inputs["devices"] == [{"hostPath": "/dev/kmsg", "containerPath": "/dev/kmsg", "permissions": "r"}]
    assert inputs["capabilities"] == {"drops": ["ALL"], "adds": ["CAP_SYSLOG"]}


def test_only_what_reaches_out_joins_networks_of_applications() -> None:
    """Outward: their networks as well, without an alias there, since the name may be somebody's."""
    settings = settings_for(RuntimeKind.DOCKER, docker={"networks": ["app_network", "other"]})
    own = {"name": "observability", "aliases": ["sample"]}

    outward = inputs_of(placed(replace(STATELESS, extras=(Outward(),)), settings), CONTAINER, "sample")
    assert outward["networksAdvanced"] == [own, {"name": "app_network"}, {"name": "other"}]
    assert inputs_of(placed(STATELESS, settings), CONTAINER, "sample")["networksAdvanced"] == [own]


def test_what_dials_or_is_dialled_by_applications_reaches_out() -> None:
    """Of a stack with every exporter: what scrapes, what takes telemetry, and each exporter of a server; neither what
    only the stack itself talks to, nor what measures the host."""
    alerting = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}}
    exporters: dict[str, Any] = {**EVERY_EXPORTER, "cadvisor": {}}
    workloads = stack(runtime="docker", alerting=alerting, exporters=exporters, grafana=False).workloads

    assert {workload.name for workload in workloads if Outward() not in workload.extras} == {
        *("alertmanager", "jaeger"),
        *("node-exporter", "cadvisor"),
    }


def test_ports_are_published_where_the_settings_bind() -> None:
    """On loopback unless the stack says otherwise, in the order in which the provider reads them back."""
    ports = (Port(name="high", number=9000, published=True), Port(name="low", number=80, published=True))
    settings = settings_for(RuntimeKind.DOCKER, bind="0.0.0.0")  # noqa: S104 - what is tested
    inputs = inputs_of(placed(replace(STATELESS, ports=(*SAMPLE.ports, *ports)), settings), CONTAINER, "sample")

    assert [port["internal"] for port in inputs["ports"]] == [80, 8080, 8082, 9000]
    assert {port["ip"] for port in inputs["ports"]} == {"0.0.0.0"}  # noqa: S104 - what is tested


def test_two_stacks_share_an_engine() -> None:
    """With a network of its own, no name of a stack is another's; workloads still dial each other by plain names."""
    recording = placed(SAMPLE, settings_for(RuntimeKind.DOCKER, docker={"network": "second"}))
    inputs = inputs_of(recording, CONTAINER, "sample")

    assert inputs["name"] == "second-sample"
    assert inputs["networksAdvanced"] == [{"name": "second", "aliases": ["sample"]}]
    assert [volume["volumeName"] for volume in inputs["volumes"]] == [
        *("second-sample-config", "second-sample-data"),
        "second-registry",
    ]


def test_images_come_through_the_mirror() -> None:
    """With a registry in the settings, every container's image is pulled from it."""
    settings = settings_for(RuntimeKind.DOCKER, docker={"registry": "mirror.example.com/hub"})

    image = inputs_of(placed(SAMPLE, settings), CONTAINER, "sample")["image"]

    assert image == "mirror.example.com/hub/example/sampler:v1.2.3"
    helper = inputs_of(placed(SAMPLE, settings), CONTAINER, "sample-files")["image"]
    assert helper == f"mirror.example.com/hub/library/busybox:{PREPARE.version}"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("quay.io/prometheus/prometheus", "mirror:5000/prometheus/prometheus:v1"),
        ("localhost/a/b", "mirror:5000/a/b:v1"),
        ("registry:5000/a", "mirror:5000/a:v1"),
        ("grafana/loki", "mirror:5000/grafana/loki:v1"),
        ("redis", "mirror:5000/redis:v1"),
    ],
)
def test_only_a_host_is_cut_off_an_image(image: str, expected: str) -> None:
    """The mirror's name takes the place of the registry's, and of nothing else."""
    program = Program(name="any", image=image, version="v1", binary="any")

    assert reference(program, "mirror:5000", {}) == expected
    assert reference(program, None, {}) == f"{image}:v1"


def test_a_locked_image_is_pulled_by_its_digest() -> None:
    """What images.lock says of the image wins, through a mirror as well, whose copy has the same digest; of another
    version it says nothing."""
    program = Program(name="any", image="quay.io/a/b", version="v1", binary="any")
    lock = {"quay.io/a/b:v1": DIGEST}

    assert reference(program, None, lock) == f"quay.io/a/b:v1@{DIGEST}"
    assert reference(program, "mirror:5000", lock) == f"mirror:5000/a/b:v1@{DIGEST}"
    assert reference(replace(program, version="v2"), None, lock) == "quay.io/a/b:v2"


def test_a_lock_is_read(tmp_path: Path) -> None:
    """A file that is not there locks nothing."""
    file = tmp_path / "images.lock"
    assert read_lock(file) == {}

    file.write_text(json.dumps({"quay.io/a/b:v1": DIGEST}), encoding="utf-8")
    assert read_lock(file) == {"quay.io/a/b:v1": DIGEST}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "images.lock: cannot be read as JSON: "),
        ("[]", "images.lock: not a mapping (accepted: each image:tag with its sha256:…)"),
        (
            '{"quay.io/a/b:v1": "sha256:abc"}',
            "images.lock: quay.io/a/b:v1: not a digest (accepted: sha256: and 64 hexadecimal digits)",
        ),
    ],
)
def test_a_bad_lock_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    """It names the file, and the image where it is about one."""
    file = tmp_path / "images.lock"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError) as problem:
        read_lock(file)
    assert str(problem.value).startswith(complaint)
    assert "\n" not in str(problem.value)


def test_a_program_without_an_image_is_refused() -> None:
    """What only runs as a process is an error of one line, not a container with an empty image."""
    with pytest.raises(SettingsError, match=r"^inbox has no container image: it runs as a process only$"):
        reference(INBOX, None, {})


def test_the_hash_tells_apart_what_has_to_be_another_container() -> None:
    """It changes with a file, a secret's place, and with what the provider would say it changed in a container that
    exists, and does not: health check and temporary filesystems. No other change is made larger by it."""
    different = [
        SAMPLE,
        replace(SAMPLE, files={"sample.yml": "name: e\n"}),
        replace(SAMPLE, secrets={}),
        replace(SAMPLE, scratch=("/opt/logs",)),
        replace(SAMPLE, probe=replace(SAMPLE.probe, start_seconds=13)),
        ASKED,
        replace(ASKED, probe=replace(ASKED.probe, path="/other")),
    ]

    assert len({config_hash(workload) for workload in different}) == len(different)
    assert config_hash(SAMPLE) == config_hash(replace(SAMPLE, args=("other",)))


@pytest.mark.parametrize(
    ("resources", "mebibytes", "shares", "processors"),
    [
        (Resources(memory="1Gi", cpu="1", processors=2), 1024, 1024, "2.0"),
        (Resources(memory="512Mi", cpu="0.5", processors=0.25), 512, 512, "0.25"),
        (Resources(memory="64Mi", cpu="10m"), 64, 10, "1.0"),
    ],
)
def test_resources_are_in_dockers_units(resources: Resources, mebibytes: int, shares: int, processors: str) -> None:
    """Kubernetes' quantities become MiB without swap, a weight in which 1024 is one processor, and a number of them as
    the provider writes it."""
    inputs = inputs_of(placed(replace(SAMPLE, resources=resources), SETTINGS), CONTAINER, "sample")

    assert (inputs["memory"], inputs["memorySwap"]) == (mebibytes, mebibytes)
    assert (inputs["cpuShares"], inputs["cpus"]) == (shares, processors)


def test_its_url_is_the_published_port() -> None:
    """What a person opens is the first port, as published on the host."""
    assert url_of(SAMPLE, SETTINGS) == "http://127.0.0.1:8180"


def test_what_fails_to_prepare_a_volume_fails_the_deployment() -> None:
    """The provider takes any end for a good one; here a bad one is a line that says where to look and how to go on."""
    succeeded("observability-sample-files")(0)
    with pytest.raises(pulumi.RunError) as problem:
        succeeded("observability-sample-files")(1)

    assert str(problem.value) == (
        "observability-sample-files ended with exit status 1: docker logs observability-sample-files says why;"
        " then docker rm observability-sample-files, and pulumi up --refresh"
    )


def run(command: list[str], root: Path) -> None:
    """Run what a container runs that prepares volumes, with `root` in the place of its root directory."""
    for directory in ("workload/config", "workload/data", "registry"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    program, flags, script, *arguments = command
    for path in ("/workload", "/registry", "/seed"):
        script = script.replace(path, f"{root}{path}")
    subprocess.run([program, flags, script, *arguments], check=True, timeout=30)


def seed(root: Path, files: dict[str, str]) -> None:
    """Upload files below /seed, and nothing else."""
    for path, text in files.items():
        (root / "seed" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "seed" / path).write_text(text, encoding="utf-8")


def found(root: Path) -> dict[str, str]:
    """Return the files of the configuration directory."""
    config = root / "workload" / "config"
    return {str(file.relative_to(config)): file.read_text() for file in config.rglob("*") if file.is_file()}


def test_preparation_places_and_removes(tmp_path: Path) -> None:
    """Files of an older deployment go, secrets stay when only files change, and go when there are none any more."""
    own = replace(SAMPLE, program=replace(SAMPLE.program, user=os.getuid()))
    other = tmp_path / "other"

    # With what a line between two files looks like, inside one.
    files = {"a.yml": "1\n==> 7 lines of b\n\n", "rules/deep/b.yml": "é\u2028\f2\n", ".hidden": "3\n", "none": ""}
    seed(tmp_path, {"files": joined(replace(own, files=files))})
    run(place_files(own), tmp_path)
    seed(other, {"secrets/plain": "hush"})
    (other / "workload").symlink_to(tmp_path / "workload")
    run(place_secrets(own), other)
    assert found(tmp_path) == {**files, "secrets/plain": "hush"}
    assert (tmp_path / "workload/config/secrets").stat().st_mode & 0o777 == 0o700

    (tmp_path / "seed").rename(tmp_path / "old")
    seed(tmp_path, {"files": joined(replace(own, files={"c d.yml": "4\n"}))})
    run(place_files(own), tmp_path)
    assert found(tmp_path) == {"c d.yml": "4\n", "secrets/plain": "hush"}

    run(place_files(replace(own, secrets={})), tmp_path)
    assert found(tmp_path) == {"c d.yml": "4\n"}
    # An empty volume Docker would fill from the image, and give to the image's user.
    assert [file.name for file in (tmp_path / "workload/data").iterdir()] == [".prepared"]
    # Whoever registers an application may write there, and nobody may remove what is another's.
    for directory in ("scrape", "logs"):
        assert (tmp_path / "registry" / directory).stat().st_mode & 0o7777 == 0o1777


def test_a_file_without_an_end_is_refused() -> None:
    """Files are handed over by lines: one that ends in the middle of one would not arrive as it is."""
    with pytest.raises(AssertionError, match=r"^sample: b does not end with a newline$"):
        placed(replace(SAMPLE, files={"a": "1\n", "b": "2"}), SETTINGS)


def test_preparation_that_fails_says_so(tmp_path: Path) -> None:
    """A step that fails ends it with another status than 0."""
    own = replace(SAMPLE, program=replace(SAMPLE.program, user=os.getuid()))

    with pytest.raises(subprocess.CalledProcessError):
        run(place_secrets(own), tmp_path)
