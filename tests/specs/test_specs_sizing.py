"""What the parts need: an expected load in, memory, cores and volumes out; and what is refused since it cannot fit."""

from collections.abc import Mapping
from typing import Any

import pytest

from specs import capacity, load, sizing
from specs.model import size_bytes
from specs.stack import Stack
from specs.workload import Resources
from tests.specs.support import EVERY_EXPORTER, EVERY_RECEIVER, ROOT, complaint, stack, yaml_file

CLUSTER: Mapping[str, Any] = {"runtime": "kubernetes", "alerting": EVERY_RECEIVER}
OBJECTS: Mapping[str, Any] = {"endpoint": "s3.example.com", "metrics_bucket": "metrics", "logs_bucket": "logs"}
MANY: Mapping[str, Any] = {
    "object_storage": OBJECTS,
    "thanos": True,
    "traces": {"store": "opensearch", "servers": ["https://spans.example.com:9200"]},
    "grafana": {"database": {"address": "db.example.com:5432", "user": "grafana", "password": {"secret": "db"}}},
}
"""What more than one of everything needs."""
KEY = "Pulumi.test.yaml: observability:settings."


def cluster(**changes: object) -> Stack:
    """A Kubernetes stack with `changes`."""
    return stack(**{**CLUSTER, **changes})


def on_docker(**changes: object) -> Stack:
    """A Docker stack with `changes`."""
    return cluster(runtime="docker", **changes)


def refused(**changes: object) -> str:
    """What a Kubernetes stack with `changes` is refused with."""
    return complaint(**{**CLUSTER, **changes})


def resources(made: Stack, name: str) -> tuple[str, str]:
    """Memory and cores of a workload."""
    found = made.workload(name).resources
    return found.memory, found.cpu


def size(made: Stack, name: str) -> str:
    """Size of a workload's volume."""
    volume = made.workload(name).volume
    return volume.size if volume else ""


def capacity_of(made: Stack) -> capacity.Capacity:
    """What a stack takes that is known to be on a cluster."""
    assert made.capacity is not None
    return made.capacity


# Formulas.


def test_a_load_becomes_memory_cores_and_volumes() -> None:
    """The formulas of docs/sizing.md, worked out by hand for a load on one Prometheus, Loki, Jaeger and collector."""
    made = cluster(
        load={"series": 300_000, "log_lines": 1_000, "log_bytes": 500, "spans": 600},
        retention={"metrics": "10d", "log_archive": "20d", "logs": "7d", "traces": "2d"},
        scrape_interval="30s",
        replicas={"prometheus": 1, "collector": 1},
    )

    # 256Mi + 300 000 * 6Ki = 2014Mi; 0.1 + 10 000/50 000 = 0.3 cores.
    assert resources(made, "prometheus") == ("2Gi", "300m")
    # 10 000/s * (864 000 s * 1.7 B + 10 800 s * 7 B) / 0.8 = 18.0Gi: the least is 20Gi.
    assert size(made, "prometheus") == "20Gi"
    # 0.5 MB/s: 256Mi + 0.5 * 1.7Gi = 1126Mi; 0.5 * 1.1 cores.
    assert resources(made, "loki") == ("1152Mi", "550m")
    # 500 000 B/s * 1 728 000 s / 5 * 1.25 = 201.2Gi.
    assert size(made, "loki") == "250Gi"
    # 512Mi + 600 * 512Ki = 812Mi; 600/5000 = 0.12 cores.
    assert resources(made, "jaeger") == ("896Mi", "150m")
    # 600/s * 172 800 s * 512 B * 1.25 = 61.8Gi.
    assert size(made, "jaeger") == "70Gi"
    # 600/15 000 + 1000/10 000 = 0.14 cores; 384Mi + 0.14 * 2Gi = 671Mi.
    assert resources(made, "collector") == ("768Mi", "150m")


def test_shards_and_replicas_share_a_load() -> None:
    """Each shard has its part of the series, in each of its replicas; other replicas have half as much to spare."""
    asked = {"series": 2_000_000, "log_lines": 20_000, "log_bytes": 300, "spans": 10_000}
    made = cluster(size="large", load=asked, **MANY)
    shards = [workload.name for workload in made.workloads if workload.program.name == "prometheus"]

    assert len(shards) == 2
    for name in shards:
        # 256Mi + 1 000 000 * 6Ki = 6115Mi, in steps of 512Mi; 0.1 + 66 667/50 000 cores.
        assert resources(made, name) == ("6Gi", "1450m")
    # 6 MB/s * 1.5/3: 3 * 0.75Gi + 256Mi.
    assert resources(made, "loki-write") == ("2560Mi", "1750m")
    assert resources(made, "loki-read") == ("1536Mi", "1050m")
    # 10 000 * 1.5/3 = 5 000 spans/s, 256Mi + 2500Mi; the store is elsewhere.
    assert (resources(made, "jaeger"), size(made, "jaeger")) == (("2816Mi", "1000m"), "")


@pytest.mark.parametrize("step", ["small", "medium", "large"])
def test_a_size_has_a_load_of_its_own(step: str) -> None:
    """Without a word of load, a size is sized for what it is meant for, and says so."""
    made = cluster(size=step, **MANY)
    preset = load.PRESETS[step]

    assert capacity_of(made).demand == load.Demand(
        series=preset.series, interval=15, lines=preset.lines, line_bytes=300, spans=preset.spans
    )


def test_targets_stand_for_series() -> None:
    """Who knows only how many targets there are says that: each counts as 500 series; series themselves say more."""
    assert capacity_of(cluster(load={"targets": 700})).demand.series == 350_000
    assert capacity_of(cluster(load={"targets": 700, "series": 1_000})).demand.series == 1_000


def test_a_further_system_changes_no_volume() -> None:
    """A claim of a volume is never changed by what is watched: that would replace the set that has it."""
    watched: dict[str, object] = {"systems": {"wwmaa": {}}, "alerting": {**EVERY_RECEIVER, "stand_in": "team"}}
    few, many = cluster(), cluster(exporters=EVERY_EXPORTER, **watched)

    for workload in few.workloads:
        assert many.workload(workload.name).volume == workload.volume


def test_sampling_saves_jaegers_volume() -> None:
    """Spans that are dropped take no room: a tenth and the slow and failed ones stay."""
    whole, sampled = (cluster(load={"spans": 1000}, traces=traces) for traces in ({}, {"sampling": {"percent": 10}}))

    # 1000/s * 604 800 s * 512 B * 1.25 = 360.5Gi, and 15 % of that.
    assert (size(whole, "jaeger"), size(sampled, "jaeger")) == ("400Gi", "60Gi")


def test_lines_in_object_storage_are_on_no_volume() -> None:
    """With object storage, Loki's volume holds what is not there yet, however long lines are kept."""
    many = {"log_lines": 20_000}
    kept = {"retention": {"log_archive": "365d"}}
    on_disk, outside = cluster(load=many, **kept), cluster(load=many, object_storage=OBJECTS, **kept)

    # 6 MB/s * (7200 s / 5 + 900 s) * 1.25 = 16.3Gi.
    assert (size(outside, "loki"), size_bytes(size(on_disk, "loki")) > 40 * 2**40) == ("20Gi", True)
    assert dict(capacity_of(outside).objects)["logs in object storage"] == pytest.approx(6e6 * 365 * 86400 / 5)


def test_the_compactor_holds_its_longest_blocks_twice() -> None:
    """Thanos' compactor has room for two weeks of a Prometheus, twice, and memory by its series."""
    made = cluster(load={"series": 300_000}, **MANY)

    # 20 000/s * 1 209 600 s * 1.7 B * 2 * 1.25 = 95.8Gi.
    assert size(made, "thanos-compactor") == "100Gi"
    # 1Gi + 300 000 * 16Ki = 5.6Gi, in steps of half a Gi.
    assert resources(made, "thanos-compactor")[0] == "6Gi"
    assert resources(cluster(load={"series": 1_000}, **MANY), "thanos-compactor")[0] == "2Gi"


def test_programs_in_go_know_how_much_they_have() -> None:
    """Where a program does not read its limit off the container, it is told four fifths of it; on a cluster alone."""
    made = cluster(load={"spans": 1000}, **MANY, resources={"thanos-store": {"memory": "4Gi"}})

    assert made.workload("jaeger").environment["GOMEMLIMIT"] == "614MiB"
    assert made.workload("thanos-store").environment["GOMEMLIMIT"] == "3276MiB"
    assert "GOMEMLIMIT" not in made.workload("prometheus").environment
    assert all("GOMEMLIMIT" not in workload.environment for workload in on_docker().workloads)


# Prometheus' size and its volume.


def _kept(made: Stack) -> str:
    return str(yaml_file(made, "prometheus", "prometheus.yml")["storage"]["tsdb"]["retention"].get("size", ""))


def test_retention_size_follows_the_volume() -> None:
    """Blocks may take four fifths of the volume: of the usual one, and of one that the stack file sizes."""
    assert (size(cluster(), "prometheus"), _kept(cluster())) == ("40Gi", "32768MB")
    asked = cluster(volumes={"prometheus": "100Gi"})
    assert (size(asked, "prometheus"), _kept(asked)) == ("100Gi", "81920MB")


def test_the_volume_follows_retention_size() -> None:
    """Where the stack file says how much blocks may take, the volume has a quarter more."""
    made = cluster(retention={"metrics_size": "40Gi"})

    assert (size(made, "prometheus"), _kept(made)) == ("51200Mi", "40960MB")


@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_nothing_changes_on_one_machine(runtime: str) -> None:
    """Without a word about it, workloads have the resources that they had before, and nothing is reported."""
    made = stack(runtime=runtime, alerting=EVERY_RECEIVER)

    assert _kept(made) == ""
    assert made.workload("prometheus").resources == Resources(memory="1Gi", cpu="250m")
    assert made.workload("loki").resources == Resources(memory="512Mi", cpu="200m")
    assert made.capacity is None


# What the stack file says of a workload.


def test_resources_of_the_stack_file_win() -> None:
    """Memory and cores of the stack file stand in the place of what the load asks for; what it leaves out stays."""
    made = cluster(resources={"loki": {"memory": "3Gi"}, "grafana": {"cpu": 2}})

    assert resources(made, "loki") == ("3Gi", "200m")
    assert resources(made, "grafana") == ("512Mi", "2")


def test_cores_are_dockers_limit() -> None:
    """On Docker, where everything shares a machine, cores are what a container may use at most."""
    made = on_docker(resources={"loki": {"cpu": "1500m"}})

    assert made.workload("loki").resources == Resources(memory="512Mi", cpu="1500m", processors=1.5)


def test_a_programs_name_stands_for_all_of_it() -> None:
    """Parts of Thanos or Loki are sized together by the program's name, and one by its own."""
    made = cluster(size="large", **MANY, resources={"thanos": {"memory": "3Gi"}, "thanos-store": {"memory": "5Gi"}})
    (sidecar,) = made.workload("prometheus").beside

    assert resources(made, "thanos-query")[0] == sidecar.resources.memory == "3Gi"
    assert resources(made, "thanos-store")[0] == "5Gi"


def test_the_collectors_limiter_follows_its_memory() -> None:
    """A collector refuses data before it is killed: its limiter is about four fifths of what it really has."""
    asked = {"collector": {"memory": "4Gi"}, "agent": {"memory": "512Mi"}}
    made = cluster(load={"spans": 20_000}, traces={"sampling": {"wait": "30s"}}, resources=asked)

    def limit(name: str, file: str) -> int:
        return int(yaml_file(made, name, file)["processors"]["memory_limiter"]["limit_mib"])

    assert sizing.limiter("512Mi") == {"check_interval": "1s", "limit_mib": 400, "spike_limit_mib": 100}
    assert (limit("collector", "collector.yml"), limit("agent", "agent.yml")) == (3200, 400)
    # 384Mi + 20 000/15 000 + 100/10 000 cores * 1.5/2 * 2Gi, and 20 000 spans * 30 s * 4Ki * 1.5/2.
    assert resources(made, "sampler")[0] == "4608Mi"
    assert limit("sampler", "sampler.yml") == 4608 * 25 // 32


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "retention times rate on a size",
        {"load": {"series": 500_000}, "retention": {"metrics_size": "40Gi"}},
        (
            "retention.metrics_size: 500 000 series every 15s take 139.1Gi in 30d"
            " (accepted: at least 140Gi, or retention.metrics of at most 8d)"
        ),
    ),
    (
        "retention times rate on a volume",
        {"load": {"series": 50_000}, "volumes": {"prometheus": "10Gi"}},
        (
            "volumes.prometheus: 50 000 series every 15s take 13.9Gi in 30d"
            " (accepted: at least 18Gi, or retention.metrics of at most 17d)"
        ),
    ),
    (
        "blocks as big as their volume",
        {"retention": {"metrics_size": "10Gi"}, "volumes": {"prometheus": "10Gi"}},
        (
            "retention.metrics_size: 10Gi are too much for volumes.prometheus of 10Gi"
            " (accepted: at most 8Gi, or a volume of at least 13Gi)"
        ),
    ),
    (
        "lines on a volume",
        {"load": {"log_lines": 500}, "volumes": {"loki": "20Gi"}},
        (
            "volumes.loki: 500 log lines a second take 72.4Gi in 30d"
            " (accepted: at least 73Gi, or retention.log_archive of at most 8d, or object_storage)"
        ),
    ),
    (
        "spans on a volume",
        {"load": {"spans": 500}, "volumes": {"jaeger": "10Gi"}},
        (
            "volumes.jaeger: 500 spans a second take 144.2Gi in 7d"
            " (accepted: at least 145Gi, or retention.traces of at most 11h, or traces.sampling)"
        ),
    ),
    (
        "lines that are not in object storage yet",
        {"load": {"log_lines": 50_000}, "volumes": {"loki": "20Gi"}, "object_storage": OBJECTS},
        (
            "volumes.loki: 50 000 log lines a second take 32.7Gi before they are in object storage"
            " (accepted: at least 33Gi)"
        ),
    ),
    (
        "blocks that are written anew",
        {"load": {"series": 300_000}, **MANY, "volumes": {"thanos-compactor": "20Gi"}},
        (
            "volumes.thanos-compactor: 300 000 series take 76.6Gi while blocks of two weeks are written anew"
            " (accepted: at least 77Gi)"
        ),
    ),
    (
        "a head that does not fit",
        {"load": {"series": 1_000_000}, "resources": {"prometheus": {"memory": "1Gi"}}},
        (
            "resources.prometheus.memory: 1Gi cannot hold 1 000 000 series"
            " (accepted: at least 2Gi, better none: then it is as much as docs/sizing.md says)"
        ),
    ),
    (
        "resources of nothing",
        {"resources": {"loky": {"memory": "1Gi"}}},
        "resources.loky: no such workload (accepted: ",
    ),
    (
        "a volume of what has none",
        {"exporters": {"blackbox": {}}, "volumes": {"blackbox-exporter": "1Gi"}},
        "volumes.blackbox-exporter: no such workload with a volume (accepted: ",
    ),
    (
        "cores that are none",
        {"resources": {"loki": {"cpu": "much"}}},
        'resources.loki.cpu: "much" is no number of cores (accepted: like 250m, 0.5 or 2)',
    ),
    (
        "volumes on one machine",
        {"runtime": "docker", "volumes": {"loki": "1Gi"}},
        "volumes: means nothing on docker (accepted: on kubernetes)",
    ),
    (
        "resources of processes",
        {"runtime": "process", "resources": {"loki": {"memory": "1Gi"}}},
        "resources: means nothing on process (accepted: on docker, kubernetes)",
    ),
)


@pytest.mark.parametrize(("changes", "words"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    """One line names the key, what is wrong, and the figure that would do."""
    said = refused(**changes)

    assert said.startswith(KEY + words)
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"load": {"series": 500_000}}, {"retention": {"metrics_size": "140Gi"}}),
        ({"load": {"series": 500_000}}, {"retention": {"metrics_size": "40Gi", "metrics": "8d"}}),
        ({"load": {"series": 50_000}}, {"volumes": {"prometheus": "18Gi"}}),
        ({"load": {"log_lines": 500}}, {"volumes": {"loki": "73Gi"}}),
        ({"load": {"log_lines": 500}, "volumes": {"loki": "20Gi"}}, {"retention": {"log_archive": "8d"}}),
        ({"load": {"spans": 500}}, {"volumes": {"jaeger": "145Gi"}}),
        ({"load": {"spans": 500}, "volumes": {"jaeger": "10Gi"}}, {"retention": {"traces": "11h"}}),
        ({"retention": {"metrics_size": "10Gi"}}, {"volumes": {"prometheus": "13Gi"}}),
    ],
)
def test_the_figure_that_is_named_would_do(changes: dict[str, Any], accepted: dict[str, Any]) -> None:
    """What a refusal names is accepted, so that nobody has to guess again."""
    assert cluster(**{**changes, **accepted})


def test_an_assumed_load_is_no_reason_to_refuse() -> None:
    """A small volume may be meant: while nobody says how much there is, it is a note with the days that it holds."""
    made = cluster(retention={"metrics_size": "5Gi"})

    assert capacity_of(made).notes == (
        "Prometheus' 5Gi hold 4 days of 100 000 series, not 30d: say what there is by load.series, or give it more",
    )


def test_an_assumed_load_of_lines_and_spans_is_a_note() -> None:
    """Proves that volumes of lines and spans that are too small for what size says are told."""
    made = cluster(volumes={"loki": "10Gi", "jaeger": "10Gi"})

    assert capacity_of(made).notes == (
        (
            "volumes.loki: 100 log lines a second take 14.5Gi in 30d, if the load is what size says (enough: at least"
            " 15Gi, or retention.log_archive of at most 20d, or object_storage)"
        ),
        (
            "volumes.jaeger: 100 spans a second take 28.8Gi in 7d, if the load is what size says (enough: at least"
            " 29Gi, or retention.traces of at most 58h, or traces.sampling)"
        ),
    )


def test_what_is_in_object_storage_need_not_be_on_volumes() -> None:
    """With Thanos, older samples are answered from object storage: a volume has to hold a day."""
    day = {"load": {"series": 500_000}, **MANY}
    assert capacity_of(cluster(**day, volumes={"prometheus": "20Gi"})).notes == ()
    said = refused(**day, volumes={"prometheus": "5Gi"})
    assert said == KEY + "volumes.prometheus: 500 000 series every 15s take 6.9Gi in a day (accepted: at least 9Gi)"


def test_more_targets_than_series_are_told() -> None:
    """Whoever says fewer series than what is named by the stack has is told so."""
    (note,) = capacity_of(cluster(load={"series": 500})).notes

    assert note.endswith(" series, more than load.series: 500")


# Totals.


def test_totals_are_the_sum_of_what_is_deployed() -> None:
    """Memory, cores, volumes and pods count every replica with what is beside it; pods of nodes stand apart."""
    made = cluster(size="medium", **MANY, exporters={"node": {}})
    found = capacity_of(made)
    pods = [each for each in made.workloads if not sizing.on_every_node(each)]
    memory = sum(each.replicas * sum(size_bytes(one.resources.memory) for one in (each, *each.beside)) for each in pods)

    assert found.memory == memory
    assert found.pods == sum(each.replicas for each in pods)
    assert found.volumes == sum(each.replicas * size_bytes(each.volume.size) for each in pods if each.volume)
    assert {row.name for row in found.rows if not row.replicas} >= {"node-exporter"}
    assert [what for what, _ in found.objects] == [
        "metrics in object storage",
        "logs in object storage",
        "spans in opensearch",
    ]


def test_the_line_says_it_all() -> None:
    """What a preview prints: the load, pods, memory, cores and volumes, nodes, and what is stored elsewhere."""
    found = capacity.Capacity(
        demand=load.Demand(series=1_234_567, interval=15, lines=1500, line_bytes=300, spans=0),
        rows=(
            capacity.Row(name="prometheus", replicas=2, memory=3 * 2**30, cores=0.5, volume=50 * 2**30),
            capacity.Row(name="agent", replicas=0, memory=2**28, cores=0.1, volume=0),
        ),
        objects=(("logs in object storage", 1.5 * 2**40),),
        notes=(),
    )

    assert found.line == (
        "sized for 1 234 567 series, 1 500 log lines/s, 0 spans/s: 2 pods with 6Gi of memory, 1.0 cores and 100Gi of"
        " volumes; on each node 256Mi and 0.10 cores; logs in object storage up to 1.5Ti"
    )
    assert found.table() == [
        ("prometheus", "2", "3Gi", "0.50", "50Gi"),
        ("agent", "each node", "256Mi", "0.10", ""),
    ]


# The page.

PAGE = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")


def test_the_page_has_the_loads_of_sizes() -> None:
    """docs/sizing.md has the very figures of the presets."""
    rows = [
        f"| `{name}` | {number(preset.series)} | {number(preset.lines)} | {number(preset.spans)} |"
        for name, preset in load.PRESETS.items()
    ]

    assert [row for row in rows if row not in PAGE] == []


def number(value: float) -> str:
    """A number as the page writes it."""
    return f"{value:,.0f}".replace(",", " ")


@pytest.mark.parametrize(
    "words",
    [
        f"{load.SAMPLE_BYTES:g} B a sample in blocks",
        f"{load.WAL_SAMPLE_BYTES:g} B a sample in the write-ahead log",
        f"{sizing.BLOCKS_OF_VOLUME:g} of a volume for blocks",
        f"{load.SERIES_BYTES // 1024} KiB a series",
        f"{load.SPAN_BYTES} B a span",
        f"÷ {load.COMPRESSION:g}",
        f"each taken for {load.TARGET_SERIES} series",
    ],
)
def test_the_page_has_the_constants(words: str) -> None:
    """docs/sizing.md says which numbers the formulas use."""
    assert words in PAGE


def test_the_page_shows_real_refusals() -> None:
    """The lines that docs/sizing.md shows of what is refused are those that a stack is refused with."""
    shown = PAGE.partition("## What is refused")[2].partition("```text\n")[2].partition("```")[0].splitlines()
    real = [words for _, _, words in REFUSED]

    assert len(shown) == 6
    for line in shown:
        assert [words for words in real if words.startswith(line.partition("…")[0].removesuffix(" "))] != []
