"""Metrics beyond one machine: what is rendered for replicas, shards, Thanos, object storage and remote write."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes.place import executable
from specs import object_storage, prometheus, thanos
from specs.discovery import TOKEN
from specs.part import Context
from specs.stack import Stack
from specs.thanos import names
from specs.workload import Workload
from tests.specs.support import complaint, stack

TOLD = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://hook.example.com"}}}}
BUCKET: Mapping[str, Any] = {"endpoint": "s3.example.com", "metrics_bucket": "metrics", "logs_bucket": "logs"}
KEYS = {"access_key": {"secret": "canary-access"}, "secret_key": {"secret": "canary-secret"}}
PROBED = {"blackbox": {"probes": {"shop": {"url": "https://shop.example.com/"}}}}


def _cluster(**changes: object) -> Stack:
    return stack(**{"runtime": "kubernetes", "alerting": TOLD, "exporters": PROBED, **changes})


def _long_term(**changes: object) -> Stack:
    return _cluster(**{"thanos": True, "object_storage": {**BUCKET, **KEYS}, **changes})


ALONE = _cluster(replicas={"prometheus": 1, "alertmanager": 1})
PAIR = _cluster()
LONG = _long_term()
RULED = _long_term(thanos={"ruler": True})
SHARDED = _long_term(replicas={"shards": 3})
LAYOUTS = {"alone": ALONE, "pair": PAIR, "long-term": LONG, "ruled": RULED, "sharded": SHARDED}
THANOS = (names.QUERY, names.FRONTEND, names.STORE, names.COMPACTOR)


def _file(made: Stack, workload: str = prometheus.NAME, path: str = "prometheus.yml") -> Any:
    return yaml.safe_load(made.workload(workload).files[path])


def _scraped(made: Stack, workload: str = prometheus.NAME) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in _file(made, workload)["scrape_configs"]}


def _rules(workload: Workload) -> Counter[str]:
    """Every rule of a program, and how often it is there."""
    return Counter(
        json.dumps(rule, sort_keys=True)
        for path, text in workload.files.items()
        if path.startswith("rules/")
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    )


def _config(program: Workload, root: Path) -> Path:
    """A directory with the program's files, and texts in the place of its secrets and of what a cluster gives a pod."""
    given = {"given/token": "secret", "given/ca.crt": "secret", **dict.fromkeys(program.secrets, "secret")}
    for path, text in {**program.files, **given}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.replace(str(Path(TOKEN).parent), "given"), encoding="utf-8")
    return root


# Which of them there are.


def test_without_thanos_there_is_prometheus_alone() -> None:
    """Proves that a pair needs nothing else, and that a machine's stacks have one of it, with nothing beside it."""
    for made in (ALONE, PAIR, stack(), stack(runtime="docker", alerting=TOLD)):
        assert [name for name in made.names if name.startswith(("prometheus", "thanos"))] == ["prometheus"]
        assert made.workload("prometheus").beside == ()
    assert (ALONE.workload("prometheus").replicas, PAIR.workload("prometheus").replicas) == (1, 2)


def test_every_prometheus_has_a_sidecar_that_sees_its_data() -> None:
    """Proves that each shard's replicas have one, which asks its own Prometheus, uploads what that wrote, and says so
    in the file for which Prometheus waits before it joins blocks."""
    for name in prometheus.shards(SHARDED.context):
        workload = SHARDED.workload(name)
        (sidecar,) = workload.beside
        assert workload.replicas == 2
        assert {"--prometheus.url=http://127.0.0.1:9090", "--tsdb.path=."} <= set(sidecar.args)
        assert f"--storage.tsdb.delay-compact-file.path={thanos.UPLOADED}" in workload.args
        assert f"--shipper.meta-file-name={thanos.UPLOADED}" in sidecar.args
        taken = [port.name for program in (workload, sidecar) for port in program.ports]
        assert len(taken) == len(set(taken)), "names of ports are the pod's"


def test_there_is_never_a_second_compactor() -> None:
    """Proves that no size makes it two: they would damage each other's blocks."""
    for size in ("small", "medium", "large"):
        made = _long_term(
            size=size,
            traces={"store": "opensearch", "servers": ["https://search.example.com:9200"]},
            grafana={"database": {"address": "db.example.com:5432", "user": "g", "password": {"secret": "p"}}},
        )
        assert made.workload(names.COMPACTOR).replicas == 1


def test_retention() -> None:
    """Proves that the settings are what the compactor applies, and that Prometheus keeps its own beside it."""
    made = _long_term(thanos={"raw": "45d", "five_minutes": "90d", "one_hour": "3y"}, retention={"metrics": "3d"})

    assert {
        "--retention.resolution-raw=45d",
        "--retention.resolution-5m=90d",
        "--retention.resolution-1h=3y",
    } <= set(made.workload(names.COMPACTOR).args)
    assert _file(made)["storage"]["tsdb"]["retention"]["time"] == "3d"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"thanos": {"raw": "1d"}}, 'thanos.raw: "1d" ends before what replaces it is made (accepted: at least 40h)'),
        (
            {"thanos": {"five_minutes": "9d"}},
            'thanos.five_minutes: "9d" ends before what replaces it is made (accepted: at least 10d)',
        ),
        (
            {"retention": {"metrics": "6h"}},
            'retention.metrics: "6h" may end before a block is uploaded (accepted: at least 12h with thanos)',
        ),
        (
            {"object_storage": {**BUCKET, **KEYS, "credentials": {"secret": "file"}}},
            "object_storage.credentials: one login (accepted: credentials, or access_key and secret_key)",
        ),
        (
            {"kubernetes": {"secrets": {"canary-access": {"name": "s3", "key": "access"}}}},
            (
                "object_storage.access_key: stands in a Secret that exists, which a file can only be whole (accepted:"
                " credentials, with a Secret of the whole file)"
            ),
        ),
    ],
)
def test_what_is_refused(changes: Mapping[str, object], said: str) -> None:
    """Proves that settings that a program would refuse are one line, before anything is touched."""
    value = {"runtime": "kubernetes", "alerting": TOLD, "thanos": True, "object_storage": {**BUCKET, **KEYS}}

    assert complaint(**{**value, **changes}) == f"Pulumi.test.yaml: observability:settings.{said}"


# Labels.


def test_labels_that_leave_prometheus() -> None:
    """Proves that one Prometheus says no more than on a machine, that replicas tell themselves apart, and that under
    Thanos, which would put it on every series, the environment is not among them."""
    own = {"cluster": "here", "environment": "test"}
    source = {"cluster": "here", "prometheus": "test/observability"}
    replica = {"prometheus_replica": "${POD_NAME}"}

    assert _file(ALONE)["global"]["external_labels"] == own == _file(stack())["global"]["external_labels"]
    assert _file(PAIR)["global"]["external_labels"] == own | replica
    assert _file(LONG)["global"]["external_labels"] == source | replica
    assert [_file(SHARDED, name)["global"]["external_labels"] for name in prometheus.shards(SHARDED.context)] == [
        source | replica | {"prometheus_shard": shard} for shard in "012"
    ]


def test_thanos_hides_what_tells_replicas_apart() -> None:
    """Proves that every label that Thanos is told of is hidden again, but for the cluster, by queries and from people
    who are told of alerts."""
    said = set(_file(SHARDED)["global"]["external_labels"]) - {"cluster"}
    hidden = {
        arg.partition("=")[2] for arg in SHARDED.workload(names.QUERY).args if arg.startswith("--query.replica-label=")
    }
    ruler = SHARDED.workload(names.RULER)
    drop = {"regex": "prometheus|prometheus_replica|prometheus_shard", "action": "labeldrop"}

    assert said == hidden
    assert {arg.split("=")[1] for arg in ruler.args if arg.startswith("--label=")} - {"cluster"} < hidden
    assert _file(SHARDED, names.RULER, "alerts.yml")[0] == drop
    for made in (PAIR, LONG, SHARDED):
        assert _file(made)["alerting"]["alert_relabel_configs"][0] == drop
    assert "alert_relabel_configs" not in _file(ALONE)["alerting"]


def test_store_and_compactor_leave_other_stacks_alone() -> None:
    """Proves that blocks that another stack has in the bucket are not touched: two compactors would damage them."""
    for name in (names.STORE, names.COMPACTOR):
        (keep,) = _file(LONG, name, "blocks.yml")
        said = _file(LONG)["global"]["external_labels"]
        assert keep["action"] == "keep"
        assert re.fullmatch(keep["regex"], ";".join(said[label] for label in keep["source_labels"]))
        assert not re.fullmatch(keep["regex"], "here;other/observability")


# Who asks and tells whom.


def test_each_alert_reaches_every_alertmanager() -> None:
    """Proves that Prometheus and the ruler tell each replica by its own name, since what is told to one alone is lost
    with it; and that a single one is dialled by its Service."""
    managers = [f"alertmanager-{index}.alertmanager-peers.observability.svc:9093" for index in range(3)]

    for made in (PAIR, SHARDED):
        assert _file(made)["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": managers}]}]
    told = [arg for arg in SHARDED.workload(names.RULER).args if arg.startswith("--alertmanagers.url")]
    assert told == [f"--alertmanagers.url=http://{manager}" for manager in managers]
    alone = [{"static_configs": [{"targets": ["alertmanager.observability.svc:9093"]}]}]
    assert _file(ALONE)["alerting"]["alertmanagers"] == alone


def test_queries_ask_everything_that_has_series() -> None:
    """Proves that every replica of every shard, of the ruler, and the store are found by DNS, and that the alert on
    missing ones expects just as many."""
    asked = [each["address"] for each in _file(SHARDED, names.QUERY, "endpoints.yml")["endpoints"]]

    assert asked == [
        "dns+prometheus-peers.observability.svc:10901",
        "dns+prometheus-shard-1-peers.observability.svc:10901",
        "dns+prometheus-shard-2-peers.observability.svc:10901",
        "dns+thanos-ruler-peers.observability.svc:10901",
        "dns+thanos-store.observability.svc:10901",
    ]
    for name in (*prometheus.shards(SHARDED.context), names.RULER):
        assert SHARDED.workload(name).peers != (), f"{name}-peers is no name without"
    (alert,) = (alert for group in SHARDED.groups for alert in group.alerts if alert.name == "ThanosStoresMissing")
    assert alert.threshold == sum(
        SHARDED.workload(name).replicas for name in (*prometheus.shards(SHARDED.context), names.RULER, names.STORE)
    )


def test_where_dashboards_ask_and_what_is_pushed() -> None:
    """Proves that queries go to whatever sees all there is, and pushed samples to every replica of the first shard."""

    def answers(made: Stack) -> tuple[str, tuple[str, ...]]:
        context: Context = made.context
        return prometheus.query_url(context), prometheus.receivers(context)

    each = tuple(f"prometheus-{index}.prometheus-peers.observability.svc:9090" for index in range(2))
    assert answers(ALONE) == ("http://prometheus.observability.svc:9090", ("prometheus.observability.svc:9090",))
    assert answers(PAIR) == ("http://prometheus.observability.svc:9090", each)
    assert answers(SHARDED) == ("http://thanos-query-frontend.observability.svc:10902", each)
    elsewhere = {"url": "https://metrics.example.com/push", "query_url": "https://metrics.example.com/prometheus/"}
    assert prometheus.query_url(_cluster(remote_write=elsewhere).context) == "https://metrics.example.com/prometheus"
    assert answers(stack()) == ("http://127.0.0.1:9090", ("127.0.0.1:9090",))


# Shards.


def test_every_target_has_one_shard() -> None:
    """Proves that every job is in every shard, each with a different part of the hash of what tells its targets apart;
    but for what the first shard watches alone."""
    whole = {"alertmanager", "prometheus", names.SIDECAR, names.RULER, *THANOS}
    every = {job.name: job for job in SHARDED.jobs}
    first = _scraped(SHARDED)

    assert set(first) == set(every)
    assert whole < set(every)
    for shard, workload in enumerate(prometheus.shards(SHARDED.context)):
        found = _scraped(SHARDED, workload)
        assert set(found) == set(every) - (whole if shard else set())
        for name in set(found) - whole:
            hashed, kept = found[name]["relabel_configs"][-2:]
            source = "__param_target" if every[name].through else "__address__"
            assert hashed == {
                "source_labels": [source],
                "modulus": 3,
                "target_label": "__tmp_shard",
                "action": "hashmod",
            }
            assert kept == {"source_labels": ["__tmp_shard"], "regex": str(shard), "action": "keep"}
    assert any(job.through for job in every.values()), "the probes"
    for made in (ALONE, PAIR, LONG):
        assert "__tmp_shard" not in made.workload("prometheus").files["prometheus.yml"]


def test_each_rule_is_evaluated_in_one_place() -> None:
    """Proves that no rule is lost and none is evaluated twice, however many shards there are; and that what watches
    the ruler does not depend on it."""
    for made in (LONG, RULED, SHARDED):
        programs = [each for each in made.programs if each.name.startswith(("prometheus", "thanos"))]
        found = sum((_rules(program) for program in programs), Counter[str]())
        assert len(found) == sum(len(group.alerts) + len(group.records) for group in made.groups)
        assert set(found.values()) == {1}
    assert _rules(LONG.workload("prometheus")).total() > 100
    about = [yaml.safe_load(rule)["alert"] for rule in _rules(SHARDED.workload("prometheus"))]
    assert all(name.startswith("Thanos") for name in about)
    assert {"ThanosRulerDown", "ThanosRulerFailing", "ThanosQueriesFailing"} <= set(about)
    assert _rules(SHARDED.workload("prometheus-shard-1")) == Counter()


# Checkers.


@pytest.mark.parametrize("name", LAYOUTS)
def test_checkers_accept_every_file(name: str, tmp_path: Path) -> None:
    """Proves that promtool and Thanos' own checker accept what every layout renders for them."""
    refused: list[str] = []
    checked: list[str] = []
    for program in LAYOUTS[name].programs:
        if not program.name.startswith(("prometheus", "thanos")):
            continue
        for check in program.checks:
            config = _config(program, tmp_path / program.name)
            argv = [str(executable(check.argv[0])), *check.argv[1:]]
            done = subprocess.run(argv, cwd=config, capture_output=True, text=True, timeout=120, check=False)
            checked.append(program.name)
            if done.returncode:
                refused.append(f"{' '.join(check.argv)}: {done.stdout}{done.stderr}")

    assert refused == []
    shards = [f"prometheus-shard-{shard}" for shard in (1, 2)] if name == "sharded" else []
    assert checked == ["prometheus", *shards, *([names.RULER] if name in {"ruled", "sharded"} else [])]


def test_the_rules_checker_reads_every_file(tmp_path: Path) -> None:
    """Proves that Thanos' checker does look at each rule file: a bad one is refused."""
    program = RULED.workload(names.RULER)
    config = _config(program, tmp_path)
    (check,) = program.checks
    for path in (path for path in program.files if path.startswith("rules/")):
        (config / path).write_text("groups: [{name: a, rules: [{record: b, expr: '1 +'}]}]\n", encoding="utf-8")
        argv = [str(executable(check.argv[0])), *check.argv[1:]]
        done = subprocess.run(argv, cwd=config, capture_output=True, timeout=120, check=False)
        (config / path).write_text(program.files[path], encoding="utf-8")
        assert done.returncode != 0, path


# Object storage.


def test_keys_are_in_one_file_of_secrets() -> None:
    """Proves that whatever uploads or reads blocks has both keys in a file, and that nothing that is rendered names
    them."""
    using = [program for program in LONG.programs if object_storage.FILE in program.files]
    assert [program.name for program in using] == [names.SIDECAR, names.STORE, names.COMPACTOR]
    for program in using:
        (ref,) = program.secrets.values()
        assert {each.key for each in ref.each()} == {"canary-access", "canary-secret"}
        assert program.environment["AWS_SHARED_CREDENTIALS_FILE"] == "../config/secrets/object-storage"
        shown = [*program.args, *program.environment.values(), *program.files.values()]
        assert not [text for text in shown if "canary" in text]
    assert {"canary-access", "canary-secret"} <= {ref.key for ref in LONG.secrets()}


def test_without_keys_the_pod_is_asked_who_it_is() -> None:
    """Proves that a pod's own identity needs no secret, and that a Secret with the whole file takes the place of
    both."""
    by_identity = _long_term(object_storage=BUCKET)
    existing = {"storage-file": {"name": "object-storage", "key": "credentials"}}
    by_file = _long_term(
        object_storage={**BUCKET, "credentials": {"secret": "storage-file"}}, kubernetes={"secrets": existing}
    )

    for name in (names.STORE, names.COMPACTOR):
        workload = by_identity.workload(name)
        assert dict(workload.secrets) == {}
        assert "AWS_SHARED_CREDENTIALS_FILE" not in workload.environment
        (ref,) = by_file.workload(name).secrets.values()
        assert (ref.key, ref.template, ref.others) == ("storage-file", "", ())
    assert "storage-file" not in {ref.key for ref in by_file.secrets()}


def test_where_the_bucket_is() -> None:
    """Proves that region, plain HTTP and the path's style are what the settings say."""
    inside = {**BUCKET, "endpoint": "minio.storage.svc:9000", "region": "eu", "insecure": True, "path_style": True}

    assert _file(_long_term(object_storage=inside), names.STORE, object_storage.FILE) == {
        "type": "S3",
        "config": {
            "bucket": "metrics",
            "endpoint": "minio.storage.svc:9000",
            "region": "eu",
            "insecure": True,
            "bucket_lookup_type": "path",
        },
    }
    assert _file(LONG, names.STORE, object_storage.FILE)["config"] == {
        "bucket": "metrics",
        "endpoint": "s3.example.com",
        "bucket_lookup_type": "auto",
    }


# Remote write.


def test_remote_write_reads_its_login_of_a_file() -> None:
    """Proves that each form of a login is a path, beside Prometheus' own file, that the tenant is told, and that every
    shard sends."""
    url = "https://metrics.example.com/push"
    token = _long_term(remote_write={"url": url, "token": {"secret": "t"}, "tenant": "shop"}, replicas={"shards": 2})
    password = stack(remote_write={"url": url, "username": "u", "password": {"secret": "p"}})

    for name in prometheus.shards(token.context):
        (sent,) = _file(token, name)["remote_write"]
        assert (sent["url"], sent["headers"]) == (url, {"X-Scope-OrgID": "shop"})
        assert sent["authorization"] == {"credentials_file": "secrets/remote-write"}
        assert token.workload(name).secrets["secrets/remote-write"].key == "t"
    (sent,) = _file(password)["remote_write"]
    assert sent["basic_auth"] == {"username": "u", "password_file": "secrets/remote-write"}
    assert password.workload("prometheus").secrets["secrets/remote-write"].key == "p"
    assert "headers" not in sent
    assert "remote_write" not in _file(stack())
