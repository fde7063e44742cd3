"""The Docker runtime: what a workload becomes on an engine."""

from dataclasses import replace

import pulumi
import pytest

from components.recording import Secret
from components.runtimes.docker import config_hash
from components.runtimes.images import reference
from specs.programs import INBOX
from specs.settings import RuntimeKind
from specs.workload import HostView, Program, Resources
from tests.deployment import CONTAINER, NETWORK, SAMPLE, VOLUME, inputs_of, placed, secret_of, settings_for, url_of

SETTINGS = settings_for(RuntimeKind.DOCKER, port_offset=100)
STATELESS = replace(SAMPLE, volume=None, extras=(), secrets={})


def test_a_workload_is_one_container() -> None:
    """Every input of a container is one that somebody decided: there are no others."""
    recording = placed(SAMPLE, SETTINGS)

    assert inputs_of(recording, CONTAINER, "sample") == {
        "name": "observability-sample",
        "image": "quay.io/example/sampler:v1.2.3",
        "entrypoints": ["sampler"],
        "command": ["--config=../config/sample.yml", "--data=."],
        "workingDir": "/workload/data",
        "user": "0:0",
        "envs": ["SAMPLE=yes"],
        "uploads": [
            {"file": "/workload/config/sample.yml", "content": "name: é\n"},
            {"file": "/workload/config/rules/two_three.yml", "content": "b: 2\n"},
            {
                "file": "/workload/config/secrets/plain",
                "content": Secret(secret_of("plain")),
                "owner": "0",
                "group": "0",
                "permissions": "0400",
            },
            {
                "file": "/workload/config/secrets/wrapped.py",
                "content": Secret('password = "the \\"wrapped\\""\n'),
                "owner": "0",
                "group": "0",
                "permissions": "0400",
            },
        ],
        "volumes": [
            {"volumeName": "observability-sample-data", "containerPath": "/workload/data"},
            {"volumeName": "observability-registry", "containerPath": "/registry"},
        ],
        "networksAdvanced": [{"name": "observability", "aliases": ["sample"]}],
        "ports": [
            {"internal": 8080, "external": 8180, "ip": "127.0.0.1", "protocol": "tcp"},
            {"internal": 8082, "external": 8182, "ip": "127.0.0.1", "protocol": "udp"},
        ],
        "memory": 256,
        "memorySwap": 256,
        "cpuShares": 256,
        "capabilities": {"drops": ["ALL"]},
        "securityOpts": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "mustRun": True,
        "destroyGraceSeconds": 30,
        "logDriver": "json-file",
        "logOpts": {"max-size": "10m", "max-file": "3"},
        "labels": [
            {"label": "app.kubernetes.io/name", "value": "sampler"},
            {"label": "app.kubernetes.io/instance", "value": "sample"},
            {"label": "app.kubernetes.io/part-of", "value": "observability"},
            {"label": "app.kubernetes.io/managed-by", "value": "pulumi"},
            {"label": "app.kubernetes.io/version", "value": "v1.2.3"},
            {"label": "observability/config-hash", "value": config_hash(SAMPLE)},
        ],
    }
    container = recording.resource(CONTAINER, "sample")
    assert container.delete_before_replace
    assert container.depends_on == ("network", "registry", "sample-data")


def test_a_workload_without_state_runs_as_nobody_special() -> None:
    """What has no volume runs as the program's own user, in a data directory of its own; a diff shows its files."""
    inputs = inputs_of(placed(STATELESS, SETTINGS), CONTAINER, "sample")

    assert inputs["user"] == "1234:1234"
    assert inputs["tmpfs"] == {"/workload/data": "uid=1234,gid=1234,mode=0700,size=64m"}
    assert "volumes" not in inputs
    assert inputs["uploads"] == [
        {"file": "/workload/config/sample.yml", "content": "name: é\n"},
        {"file": "/workload/config/rules/two_three.yml", "content": "b: 2\n"},
    ]


def test_data_outlives_the_stack() -> None:
    """Volumes are never deleted, and carry nothing whose change would replace them."""
    recording = placed(SAMPLE, SETTINGS)

    for name in ("sample-data", "registry"):
        assert inputs_of(recording, VOLUME, name) == {"name": f"observability-{name}"}
        assert recording.resource(VOLUME, name).retain_on_delete
    assert inputs_of(recording, NETWORK, "network") == {"name": "observability"}


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
    assert inputs["capabilities"] == {"drops": ["ALL"]}
    plain = inputs_of(placed(STATELESS, SETTINGS), CONTAINER, "sample")
    assert {"mounts", "pidMode"} & set(plain) == set()


def test_two_stacks_share_an_engine() -> None:
    """With a network of its own, no name of a stack is another's; workloads still dial each other by plain names."""
    recording = placed(SAMPLE, settings_for(RuntimeKind.DOCKER, docker={"network": "second"}))
    inputs = inputs_of(recording, CONTAINER, "sample")

    assert inputs["name"] == "second-sample"
    assert inputs["networksAdvanced"] == [{"name": "second", "aliases": ["sample"]}]
    assert [volume["volumeName"] for volume in inputs["volumes"]] == ["second-sample-data", "second-registry"]


def test_images_come_through_the_mirror() -> None:
    """With a registry in the settings, every container's image is pulled from it."""
    settings = settings_for(RuntimeKind.DOCKER, docker={"registry": "mirror.example.com/hub"})

    image = inputs_of(placed(SAMPLE, settings), CONTAINER, "sample")["image"]

    assert image == "mirror.example.com/hub/example/sampler:v1.2.3"


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

    assert reference(program, "mirror:5000") == expected
    assert reference(program, None) == f"{image}:v1"


def test_a_program_without_an_image_is_refused() -> None:
    """What only runs as a process is an error of one line, not a container with an empty image."""
    with pytest.raises(pulumi.RunError, match=r"^inbox has no container image: it runs as a process only$"):
        reference(INBOX, None)


def test_the_hash_tells_files_apart_and_secrets_nothing() -> None:
    """The label changes with a file and with a secret's place, so a container says which configuration it has."""
    hashes = {
        config_hash(SAMPLE),
        config_hash(replace(SAMPLE, files={"sample.yml": "name: e\n"})),
        config_hash(replace(SAMPLE, secrets={})),
    }

    assert len(hashes) == 3
    assert config_hash(SAMPLE) == config_hash(replace(SAMPLE, args=("other",)))


@pytest.mark.parametrize(
    ("memory", "cpu", "mebibytes", "shares"),
    [("1Gi", "1", 1024, 1024), ("512Mi", "0.5", 512, 512), ("64Mi", "10m", 64, 10)],
)
def test_resources_are_in_dockers_units(memory: str, cpu: str, mebibytes: int, shares: int) -> None:
    """Kubernetes' quantities become MiB without swap, and a weight in which 1024 is one processor."""
    inputs = inputs_of(
        placed(replace(SAMPLE, resources=Resources(memory=memory, cpu=cpu)), SETTINGS), CONTAINER, "sample"
    )

    assert (inputs["memory"], inputs["memorySwap"], inputs["cpuShares"]) == (mebibytes, mebibytes, shares)


def test_its_url_is_the_published_port() -> None:
    """What a person opens is the first port, as published on the host."""
    assert url_of(SAMPLE, SETTINGS) == "http://127.0.0.1:8180"
