"""Elasticsearch, Logstash, Kibana and the APM server: what is rendered, and the scripts and pipelines of it that run
without any of them."""

import json
import os
import re
import subprocess
import time
from base64 import b64decode
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from specs import apm, collector, elk
from specs.elk import elasticsearch, feed, logstash, watch
from specs.settings import Elk, Retention
from specs.stack import Stack
from specs.workload import SecretRef, Workload
from tests import log_stack
from tests.local.servers import free_offset
from tests.specs.support import complaint, context, stack

RECEIVERS = {"default": "team", "receivers": {"team": {"webhook": {"url": "https://example.com/hook"}}}}


def _stack(runtime: str = "docker", **changes: object) -> Stack:
    return stack(**{"runtime": runtime, "elk": True, "apm": True, "alerting": RECEIVERS, **changes})


MADE = _stack()
ELASTIC = ("elasticsearch", "logstash", "kibana", "apm-server", "elasticsearch-exporter", "elk-exporter")


def _yaml(name: str, path: str) -> Any:
    return yaml.safe_load(MADE.workload(name).files[path])


def _json(path: str) -> Any:
    return json.loads(MADE.workload("elasticsearch").files[path])


# What is asked for.


def test_nothing_unless_asked_for() -> None:
    """Proves that a stack has nothing of Elastic's, and its collector no login, unless it is asked for."""
    made = stack(runtime="docker", alerting=RECEIVERS)

    assert not made.names & {*ELASTIC}
    assert "elk.yml" not in made.workload("collector").files
    assert made.workload("collector").secrets == {}
    assert not [path for path in made.dashboards if path.endswith("/elk.json")]


def test_same_on_both_runtimes() -> None:
    """Proves that pods get the same parts as containers, and files that differ in nothing but addresses."""
    pods = _stack("kubernetes")

    assert {*ELASTIC} <= pods.names
    for name in ELASTIC:
        there, here = MADE.workload(name), pods.workload(name)
        assert {path: text.replace(".observability.svc", "") for path, text in here.files.items()} == {
            path: text.replace("http://127.0.0.1:5601", "http://kibana:5601") for path, text in there.files.items()
        }
        assert (there.secrets, there.program) == (here.secrets, here.program)


def test_apm_is_an_extra() -> None:
    """Proves that without the APM server nothing of it is there: no user, no template, no job."""
    made = _stack(apm=False)
    workloads = [made.workload(name) for name in made.names & {*ELASTIC}]
    words = "\n".join(text for each in workloads for text in (*each.files.values(), *each.secrets))

    assert "apm-server" not in made.names
    assert "apm" not in words
    assert "apm-server" not in [job.name for job in made.jobs]


def test_process_stacks_refuse_it() -> None:
    """Proves that where it cannot run, one line says so."""
    assert complaint(elk=True) == (
        "Pulumi.test.yaml: observability:settings.elk: does not run on process (accepted: on docker, kubernetes)"
    )


# Secrets.


def _secret_files() -> Iterator[tuple[str, str, SecretRef]]:
    for name in (*ELASTIC, "collector"):
        for path, ref in MADE.workload(name).secrets.items():
            yield name, path, ref


def test_every_secret_is_made_up() -> None:
    """Proves that nobody has to choose a password, and that none is shared by two users."""
    refs = [ref for _, _, ref in _secret_files()]

    assert all(ref.generated for ref in refs)
    keys = {ref.key for ref in refs}
    assert len(keys) == 7 + 3 + 1, sorted(keys)


def test_both_sides_have_the_same_secret() -> None:
    """Proves that each user's password in Elasticsearch is the one that its program logs in with."""
    users = {
        path.removeprefix("secrets/users/").removesuffix(".json"): ref.key
        for _, path, ref in _secret_files()
        if path.startswith("secrets/users/")
    }
    programs = {
        (name, ref.key)
        for name, _, ref in _secret_files()
        if name != "elasticsearch" and not ref.key.startswith("kibana-s") and "key" not in ref.key
    }

    assert users.pop("grafana") == elk.READER_PASSWORD.key
    assert {
        (name, users[user])
        for user, name in {
            "logstash": "logstash",
            "collector": "collector",
            "exporter": "elasticsearch-exporter",
            "apm_server": "apm-server",
            "kibana_system": "kibana",
        }.items()
    } == programs - {("apm-server", apm.TOKEN.key)}


def test_no_secret_is_in_the_environment_of_a_container() -> None:
    """Proves that what `docker inspect` shows has none: programs that read the environment are given theirs inside."""
    for name in ELASTIC:
        workload = MADE.workload(name)
        shown = [*workload.environment, *workload.environment.values()]
        assert not [text for text in shown if re.search("(?i)password|secret|token", text)]


@pytest.mark.parametrize(("name", "path", "ref"), [case for case in _secret_files() if case[2].template])
def test_templates_are_good_around_any_secret(name: str, path: str, ref: SecretRef) -> None:
    """Proves that a file around a secret is JSON, or YAML, whatever the secret is."""
    del name
    value_of = 'a "quoted" \\ back: #slash'
    text = ref.template.replace("$secret", json.dumps(value_of))
    value = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)

    assert value_of in value.values()


# Elasticsearch.


def test_one_node_with_its_heap() -> None:
    """Proves the contract's node: one, with the heap of the settings, twice as much memory, security and no trial."""
    workload, value = MADE.workload("elasticsearch"), _yaml("elasticsearch", "elasticsearch.yml")

    assert value["discovery.type"] == "single-node"
    assert value["xpack.security.enabled"] is True
    assert value["xpack.license.self_generated.type"] == "basic"
    assert workload.environment["ES_JAVA_OPTS"].startswith("-Xms512m -Xmx512m ")
    assert workload.resources.memory == "1024Mi"
    larger = _stack(elk={"heap": "1.5Gi"})
    assert larger.workload("elasticsearch").resources.memory == "3072Mi"
    # JRuby takes the same beside any heap.
    assert larger.workload("logstash").resources.memory == "2304Mi"
    assert value["path.data"].startswith("/workload/data/")


@pytest.mark.parametrize(
    ("logs", "archive", "cold", "gone"),
    [
        ("7d", "30d", "7d", "30d"),
        ("1w", "4w", "7d", "28d"),
        ("50h", "1y", "50h", "365d"),
        ("1d", "1y", "2d", "365d"),
        ("1d", "2d", "", "2d"),
        ("7d", "7d", "", "7d"),
    ],
)
def test_lifecycle_is_of_the_settings(logs: str, archive: str, cold: str, gone: str) -> None:
    """Proves that an index is read only once it is older than what is searched, never while lines of its day come in,
    and gone after the archive's time, in units that Elasticsearch knows; with one age for both it is only deleted."""
    phases = elasticsearch.lifecycle(Retention(logs=logs, log_archive=archive))["policy"]["phases"]

    assert phases["delete"] == {"min_age": gone, "actions": {"delete": {}}}
    assert phases.get("cold", {"min_age": ""})["min_age"] == cold
    assert not cold or phases["cold"]["actions"]["readonly"] == {}


def test_every_index_of_lines_is_covered() -> None:
    """Proves that the template takes what Logstash and the collector write, by its name, and gives it the lifecycle,
    no replica, and the types that Kibana's maps and Grafana's graphs need."""
    body = _json("setup/template.json")
    settings, fields = body["template"]["settings"], body["template"]["mappings"]["properties"]

    assert body["index_patterns"] == [elk.INDICES]
    # Elasticsearch has a template `logs` of its own, and puts it back.
    assert (
        "PUT /_index_template/observability-logs setup/template.json\n"
        in MADE.workload("elasticsearch").files["setup/requests"]
    )
    assert (settings["lifecycle.name"], settings["number_of_replicas"]) == (elasticsearch.LIFECYCLE, 0)
    assert fields["@timestamp"]["type"] == "date"
    assert fields["level"]["type"] == "keyword"
    assert fields["duration"]["type"] == "float"
    assert fields["client"]["properties"]["geo"]["properties"]["location"]["type"] == "geo_point"


def test_users_may_do_no_more_than_they_have_to() -> None:
    """Proves that who writes cannot read, who reads cannot write, that none may touch users or other indices, and that
    who does not log in sees nothing but the cluster's health."""
    found = {
        path.removeprefix("setup/role-").removesuffix(".json"): _json(path)
        for path in MADE.workload("elasticsearch").files
        if path.startswith("setup/role-")
    }
    may = {name: {right for grant in role["indices"] for right in grant["privileges"]} for name, role in found.items()}

    assert {name: role["cluster"] for name, role in found.items()} == {name: ["monitor"] for name in found}
    assert may == {
        "logstash": {"auto_configure", "create_doc"},
        "collector": {"auto_configure", "create_doc"},
        "grafana": {"read", "view_index_metadata"},
        "exporter": {"monitor"},
        "apm_server": {"auto_configure", "create_doc", "read"},
    }
    assert {
        names
        for name in ("logstash", "collector", "grafana")
        for grant in found[name]["indices"]
        for names in grant["names"]
    } == {elk.INDICES}
    assert _json("setup/open.json") == {"cluster": ["cluster:monitor/health"], "indices": []}
    assert _json("setup/closed.json") == {"cluster": [], "indices": []}


# Its scripts.


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A stand-in for Elasticsearch, and what it was asked."""

    port: int
    requests: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Method, path and body, with the right login."""
    strangers: list[str] = field(default_factory=list[str])
    failing: dict[str, int] = field(default_factory=dict[str, int])
    """Path → how many times it still fails."""


@contextmanager
def _stand_in(password: str) -> Generator[Asked]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            login = b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            status = 200
            if login != f"elastic:{password}":
                status = 401
                asked.strangers.append(login)
            elif asked.failing.get(self.path, 0):
                asked.failing[self.path] -= 1
                status = 503
            else:
                asked.requests.append((self.command, self.path, body))
            answer = b'{"status": "green"}' if status == 200 else b'{"error": "not this time"}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the names that http.server wants

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    asked = Asked(server.server_port)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def _lay_out(workload: Workload, home: Path, secret: str) -> Path:
    """Its files and secrets, where it finds them; its data directory."""
    for path, text in {
        **workload.files,
        **{
            path: ref.template.replace("$secret", json.dumps(secret)) if ref.template else secret
            for path, ref in workload.secrets.items()
        },
    }.items():
        file = home / "config" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (home / "data").mkdir()
    return home / "data"


def _script(place: Path, name: str, text: str) -> None:
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    (place / name).chmod(0o755)


def _impatient(home: Path, port: int) -> dict[str, str]:
    """An environment in which nothing sleeps, and files of Elasticsearch that ask the stand-in."""
    setup = home / "config" / "setup.sh"
    text = setup.read_text(encoding="utf-8")
    assert text.count("127.0.0.1:9200") == 1
    setup.write_text(text.replace("127.0.0.1:9200", f"127.0.0.1:{port}"), encoding="utf-8")
    _script(home / "bin", "sleep", "exit 0")
    return {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}


@pytest.mark.parametrize("password", ["plain", 'a "quoted" \\ back: #slash'])
def test_setup_makes_everything_in_order(password: str, tmp_path: Path) -> None:
    """Proves that the script logs in whatever the password is, asks for everything in its order with the right bodies,
    and opens the health check last."""
    workload = MADE.workload("elasticsearch")
    data = _lay_out(workload, tmp_path, password)
    with _stand_in(password) as asked:
        done = subprocess.run(
            ["bash", "../config/setup.sh"],
            cwd=data,
            env=_impatient(tmp_path, asked.port),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    wanted = [line.split() for line in workload.files["setup/requests"].splitlines()]
    assert (done.returncode, done.stdout, done.stderr) == (0, "setup: done\n", "")
    assert asked.strangers == []
    assert [(method, path) for method, path, _ in asked.requests[1:]] == [(line[0], line[1]) for line in wanted]
    assert [body for _, _, body in asked.requests[1:]] == [
        (tmp_path / "config" / line[2]).read_text(encoding="utf-8") if len(line) > 2 else "" for line in wanted
    ]
    health = [body for _, path, body in asked.requests if path == f"/_security/role/{elasticsearch.HEALTH}"]
    assert [json.loads(body)["cluster"] for body in health] == [[], ["cluster:monitor/health"]]
    made = [path for _, path, _ in asked.requests]
    assert all(
        made.index(f"/_security/role/{name}") < made.index(f"/_security/user/{name}")
        for name in ("logstash", "grafana")
    )
    shapes = [index for index, path in enumerate(made) if "_template/" in path or "_ilm/" in path]
    logins = [index for index, path in enumerate(made) if path.startswith("/_security/user/")]
    assert max(shapes) < min(logins), "nobody writes to an index before it has its shape"


def test_setup_goes_on_until_it_is_done(tmp_path: Path) -> None:
    """Proves that a request that fails is told with Elasticsearch's answer, and everything is asked for again, so that
    the health check stays shut until then; and that no password is ever told."""
    data = _lay_out(MADE.workload("elasticsearch"), tmp_path, "secret-word")
    with _stand_in("secret-word") as asked:
        asked.failing["/_cluster/health?wait_for_status=yellow&timeout=30s"] = 2
        asked.failing["/_ilm/policy/observability-logs"] = 1
        done = subprocess.run(
            ["bash", "../config/setup.sh"],
            cwd=data,
            env=_impatient(tmp_path, asked.port),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    said = done.stdout.splitlines()
    assert [re.sub(": (curl|[{]).*", "", line) for line in said] == [
        "setup: waiting for Elasticsearch",
        "setup: waiting for Elasticsearch",
        "setup: PUT /_ilm/policy/observability-logs setup/lifecycle.json",
        "setup: done",
    ]
    assert "not this time" in said[2]
    assert "secret-word" not in done.stdout + done.stderr
    opened = [
        index
        for index, (_, path, body) in enumerate(asked.requests)
        if path.endswith("/role/health") and "monitor" in body
    ]
    assert opened == [len(asked.requests) - 1]


def test_start_makes_a_configuration_of_its_own(tmp_path: Path) -> None:
    """Proves that a read-only image does: the configuration is copied, with ours in the place of the image's and no log
    in the image's directory; the password comes by a pipe; what was there of the last start is gone; and the server
    takes the script's place while it is set up."""
    home, image = tmp_path / "home", tmp_path / "image"
    data = _lay_out(MADE.workload("elasticsearch"), home, "secret-word")
    (image / "config" / "jvm.options.d").mkdir(parents=True)
    (image / "config" / "elasticsearch.yml").write_text("of: the image\n", encoding="utf-8")
    (image / "config" / "jvm.options").write_text("-XX:+UseG1GC\n-Xlog:gc*:file=logs/gc.log\n", encoding="utf-8")
    start = home / "config" / "start.sh"
    text = start.read_text(encoding="utf-8")
    for there, here in (
        ("/usr/share/elasticsearch", str(image)),
        ("/tmp/config", f"{tmp_path}/conf"),  # noqa: S108 - the script's
        ("/workload/data", str(data)),
    ):
        assert there in text
        text = text.replace(there, here)
    start.write_text(text, encoding="utf-8")
    (home / "config" / "setup.sh").write_text("touch set-up\n", encoding="utf-8")
    _script(tmp_path / "bin", "elasticsearch-keystore", f'echo "$@" >{tmp_path}/arguments; cat >{tmp_path}/given')
    _script(
        tmp_path / "bin",
        "elasticsearch",
        f'echo "$ES_PATH_CONF" >{tmp_path}/started; while [ ! -e set-up ]; do sleep 0.1; done',
    )
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "old").touch()

    done = subprocess.run(
        ["bash", str(start)],
        cwd=data,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "given").read_text(encoding="utf-8") == "secret-word"
    assert (tmp_path / "arguments").read_text(encoding="utf-8") == "add --force --stdin bootstrap.password\n"
    assert (tmp_path / "started").read_text(encoding="utf-8") == f"{tmp_path}/conf\n"
    assert sorted(path.name for path in (tmp_path / "conf").iterdir()) == [
        "elasticsearch.yml",
        "jvm.options",
        "jvm.options.d",
    ]
    assert (tmp_path / "conf" / "jvm.options").read_text(encoding="utf-8") == "-XX:+UseG1GC\n"
    assert (
        yaml.safe_load((tmp_path / "conf" / "elasticsearch.yml").read_text(encoding="utf-8"))["cluster.name"] == "here"
    )


# Logstash.


def test_pipeline_is_what_the_guide_means() -> None:
    """Proves that lines are JSON by TCP on the guide's port, that durations are numbers, addresses are places, indices
    are of a system and a day, and that what is no JSON is kept apart."""
    text = logstash.pipeline(MADE.context)

    assert re.search(r"tcp \{[^}]*port => 5000\s+codec => json_lines", text)
    assert re.search(r'if \[duration\] \{\s+mutate \{ convert => \{ "duration" => "float" \} \}', text)
    assert re.search(r'if \[client_ip\] \{\s+geoip \{\s+source => "client_ip"\s+target => "client"', text)
    assert 'index => "%{[@metadata][app]}-logs-%{+YYYY.MM.dd}"' in text
    assert re.search(r'"_jsonparsefailure" in \[tags\].*?"\[@metadata\]\[app\]" => "unparsed"', text, re.DOTALL)
    assert text.count("{") == text.count("}")
    assert "json {" not in text, "the codec has read the line already"


def test_lines_are_believed_as_long_as_their_index_is_written() -> None:
    """Proves that the time of a line counts for as long as the index of its day is not read only, which may be a day
    older than the line, and that this holds for a time that the line calls as Elasticsearch does."""
    changed = _stack(retention={"logs": "3d", "log_archive": "9d"}).context

    assert elasticsearch.lifecycle(changed.settings.retention)["policy"]["phases"]["cold"]["min_age"] == "3d"
    assert '"oldest" => 172800' in logstash.pipeline(changed)
    (made,) = feed.configuration(changed, (), ("batch",))["processors"]["transform/elk"]["log_statements"]
    assert 'Duration("172800s")' in "\n".join(made["statements"])
    assert (
        'event.get("[@metadata][said]") || event.get("@timestamp")'
        in MADE.workload("logstash").files["filter/lines.rb"]
    )


@pytest.mark.parametrize("logs", ["1d", "25h", "2d", "7d"])
def test_no_line_is_believed_into_an_index_that_is_read_only(logs: str) -> None:
    """Proves that the first line of a day and the last one that is believed never meet an index that can only be
    read, however short the retention is."""
    retention = Retention(logs=logs)

    assert elasticsearch.believed(retention) >= 86400
    assert elasticsearch.believed(retention) + 86400 <= elasticsearch.written(retention)


def test_password_of_logstash_is_read_inside(tmp_path: Path) -> None:
    """Proves that the container's script hands on the arguments, and the password by the environment of the process."""
    workload = MADE.workload("logstash")
    assert workload.args[0] == "-c"
    _lay_out(workload, tmp_path, "secret-word")
    _script(tmp_path / "bin", "logstash", f'echo "$LOGSTASH_PASSWORD $*" >{tmp_path}/said')
    script = (
        workload.args[1].replace("/usr/share/logstash/bin", str(tmp_path / "bin")).replace("/workload", str(tmp_path))
    )

    subprocess.run([*workload.program.entrypoint, "-c", script, *workload.args[2:]], check=True, timeout=30)

    assert (tmp_path / "said").read_text(encoding="utf-8") == "secret-word --path.settings=/workload/config/settings\n"
    assert '"${LOGSTASH_PASSWORD}"' in workload.files["pipeline/lines.conf"]
    assert {"settings/logstash.yml", "settings/log4j2.properties"} <= set(workload.files)


# The collector.


@pytest.mark.parametrize(
    ("logs", "loki", "elasticsearch_too"), [("beside", True, True), ("instead", False, True), ("none", True, False)]
)
def test_collector_feeds_as_asked(logs: str, loki: bool, elasticsearch_too: bool) -> None:
    """Proves that log lines go beside Loki, instead of Loki, or not at all, that the alert history is Loki's in any
    case, and that what a stack loses by it is said in one line."""
    made = _stack(elk={"logs": logs})
    workload = made.workload("collector")
    pipelines = dict(yaml.safe_load(workload.files["collector.yml"])["service"]["pipelines"])
    history = yaml.safe_load(workload.files["alert-history.yml"])["service"]["pipelines"]["logs/alert_history"]

    assert (pipelines.get("logs", {}).get("exporters") == ["otlp_http/loki"]) is loki
    assert (feed.FILE in workload.files) is elasticsearch_too
    assert (f"--config=../config/{feed.FILE}" in workload.args) is elasticsearch_too
    assert ("secrets/elasticsearch-password" in workload.secrets) is elasticsearch_too
    assert history["exporters"] == ["otlp_http/loki"]
    assert [line for line in made.left_out if "elk.logs: instead" in line] == list(elk.left_out(made.context))
    assert bool(elk.left_out(made.context)) is not loki
    alerts = {alert.name for group in made.groups for alert in group.alerts}
    assert ("LokiIngestionStopped" in alerts) is loki, "it would fire all the time"


def test_feed_reads_what_loki_gets() -> None:
    """Proves that both get the lines of the same receivers through the same processors, and that the password is read
    of a file."""
    workload = MADE.workload("collector")
    to_loki = yaml.safe_load(workload.files["collector.yml"])["service"]["pipelines"]["logs"]
    made = yaml.safe_load(workload.files[feed.FILE])
    to_elasticsearch = made["service"]["pipelines"]["logs/elk"]

    assert to_elasticsearch["receivers"] == to_loki["receivers"]
    assert to_elasticsearch["processors"] == [*to_loki["processors"], "transform/elk", "batch"]
    assert made["exporters"]["elasticsearch"]["password"] == "${file:../config/secrets/elasticsearch-password}"  # noqa: S105
    assert made["exporters"]["elasticsearch"]["sending_queue"]["storage"] == "file_storage"
    assert 401 in made["exporters"]["elasticsearch"]["retry"]["retry_on_status"], "users are made after the start"


@dataclass(frozen=True, slots=True, eq=False)
class Sink:
    """What takes OTLP in the exporter's place."""

    port: int
    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Scope and record, as OTLP's JSON."""


@contextmanager
def _sink() -> Generator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sink.records.extend(
                {"scope": scope.get("scope", {}), **record}
                for resource in value["resourceLogs"]
                for scope in resource["scopeLogs"]
                for record in scope["logRecords"]
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink = Sink(server.server_port)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()


def _plain(value: Mapping[str, Any]) -> Any:
    """A value of OTLP's JSON."""
    ((kind, found),) = value.items()
    if kind == "kvlistValue":
        return {each["key"]: _plain(each["value"]) for each in found["values"]}
    return int(found) if kind == "intValue" else found


def _attributes(of: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: _plain(each["value"]) for each in of.get("attributes", [])}


def _text(value: str) -> dict[str, str]:
    return {"stringValue": value}


NOW = datetime.now(UTC).replace(microsecond=256_000)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """Records that a real collector made for its exporter to Elasticsearch, by their message."""
    home = tmp_path_factory.mktemp("feed")
    (home / "registry").mkdir()
    small = log_stack.context(free_offset())
    whole = replace(small, settings=small.settings.model_copy(update={"elk": Elk()}))
    workload = collector.workload(whole)

    def lines(app: str | None, *records: dict[str, Any]) -> dict[str, Any]:
        named = [{"key": "service.namespace", "value": _text(app)}] if app else []
        service = [{"key": "service.name", "value": _text("web")}]
        return {"resource": {"attributes": [*named, *service]}, "scopeLogs": [{"logRecords": list(records)}]}

    def record(message: str, at: datetime | None = NOW, **more: Any) -> dict[str, Any]:
        time_of = {"timeUnixNano": str(int(at.timestamp() * 1000) * 10**6)} if at else {}
        return {"body": _text(message), **time_of, **more}

    sent = [
        lines(
            "My Shop",
            record(
                "all of it",
                severityNumber=17,
                traceId="0af7651916cd43dd8448eb211c80319c",
                spanId="b7ad6b7169203331",
                attributes=[
                    {"key": "duration", "value": {"doubleValue": 1.5}},
                    {"key": "client_ip", "value": _text("192.0.2.1")},
                ],
            ),
            record("old", NOW - timedelta(days=8)),
            record("ahead", NOW + timedelta(days=2)),
            record("of the day before yesterday", NOW - timedelta(days=2)),
            record("without a time", None),
        ),
        lines("..", record("of nobody")),
    ]
    mapped = {
        "kvlistValue": {
            "values": [{"key": "message", "value": _text("a map")}, {"key": "n", "value": {"intValue": "3"}}]
        }
    }
    sent.append(lines("shop", {"timeUnixNano": str(int(NOW.timestamp() * 10**9)), "body": mapped}))
    with _sink() as sink:
        value = yaml.safe_load(workload.files[feed.FILE])
        # The exporter of containers is in no build that there is for processes: OTLP says what it would be given.
        value["exporters"] = {
            "otlp_http/sink": {"endpoint": f"http://127.0.0.1:{sink.port}", "encoding": "json", "compression": "none"}
        }
        value["service"]["pipelines"]["logs/elk"]["exporters"] = ["otlp_http/sink"]
        ours = replace(workload, files={**workload.files, feed.FILE: json.dumps(value)}, secrets={})
        with log_stack.started(ours, home, whole):
            url = f"http://{whole.addresses.dial(collector.NAME, collector.OTLP_HTTP)}/v1/logs"
            assert httpx.post(url, json={"resourceLogs": sent}, timeout=10).status_code == 200
            deadline = time.monotonic() + 30
            while len(sink.records) < 7:
                assert time.monotonic() < deadline, sink.records
                time.sleep(0.1)
    return {_plain(each["body"])["message"]: each for each in sink.records}


def test_document_is_the_one_that_logstash_makes(documents: Mapping[str, dict[str, Any]]) -> None:
    """Proves that the collector's exporter gets a whole document, with the fields that Logstash's have."""
    found = documents["all of it"]

    assert _attributes(found["scope"]) == {"elastic.mapping.mode": "bodymap"}
    assert _plain(found["body"]) == {
        "@timestamp": f"{NOW:%Y-%m-%dT%H:%M:%S}.256Z",
        "message": "all of it",
        "level": "ERROR",
        "app": "My Shop",
        "service": "web",
        "environment": "test",
        "cluster": "here",
        "client_ip": "192.0.2.1",
        "duration_ms": 1.5,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }


@pytest.mark.parametrize(
    ("message", "index", "days_ago"),
    [
        ("all of it", "my-shop", 0),
        ("of the day before yesterday", "my-shop", 2),
        ("old", "my-shop", None),
        ("ahead", "my-shop", None),
        ("without a time", "my-shop", None),
        ("of nobody", "unnamed", 0),
        ("a map", "shop", 0),
    ],
)
def test_index_is_of_system_and_day(
    documents: Mapping[str, dict[str, Any]], message: str, index: str, days_ago: int | None
) -> None:
    """Proves that each record names the index of its system and its day, that of its arrival (None) where its own can
    only be read, and one for those of nobody."""
    # The suite may have been started before midnight and the collector after it.
    days = {NOW, datetime.now(UTC)} if days_ago is None else {NOW - timedelta(days=days_ago)}

    assert _attributes(documents[message])["elasticsearch.index"] in {f"{index}-logs-{day:%Y.%m.%d}" for day in days}


def test_body_that_is_a_map_stays_one(documents: Mapping[str, dict[str, Any]]) -> None:
    """Proves that what an application logs as a map becomes fields."""
    assert _plain(documents["a map"]["body"])["n"] == 3


# Kibana, APM, and how all of it is watched.


def test_kibana_logs_in_and_keeps_its_keys() -> None:
    """Proves that Kibana is on the guide's port, logs in as its own user, and has keys that survive a restart."""
    workload, value = MADE.workload("kibana"), _yaml("kibana", "kibana.yml")
    told = {key for ref in workload.secrets.values() for key in yaml.safe_load(ref.template.replace("$secret", '"x"'))}

    assert (workload.ports[0].number, value["server.port"]) == (5601, 5601)
    assert value["elasticsearch.username"] == "kibana_system"
    assert told == {
        "elasticsearch.password",
        "xpack.security.encryptionKey",
        "xpack.encryptedSavedObjects.encryptionKey",
        "xpack.reporting.encryptionKey",
    }
    assert workload.args[0].endswith("/kibana.yml")
    assert value["telemetry.optIn"] is False


def test_apm_server_wants_a_token() -> None:
    """Proves that the APM server is on the guide's port, lets nobody in without the token, and writes as a user of its
    own to indices without a replica, kept as long as traces are."""
    workload = MADE.workload("apm-server")

    assert workload.ports[0].number == 8200
    assert yaml.safe_load(workload.secrets["secrets/token.yml"].template.replace("$secret", '"x"')) == {
        "apm-server.auth.secret_token": "x"
    }
    assert workload.secrets["secrets/token.yml"].key == apm.TOKEN.key
    assert _yaml("apm-server", "apm-server.yml")["output.elasticsearch"]["username"] == "apm_server"
    assert _json("setup/apm.json")["template"]["settings"]["number_of_replicas"] == 0
    asked = MADE.workload("elasticsearch").files["setup/requests"]
    for kind in ("traces", "logs", "metrics"):
        assert f"PUT /_component_template/{kind}@custom setup/apm.json\n" in asked
    assert _json("setup/apm-traces.json")["template"]["lifecycle"]["data_retention"] == "7d"


def test_everything_is_scraped() -> None:
    """Proves that each program has a job, whose page has a module in the exporter that reads it."""
    jobs = {job.name: job for job in MADE.jobs}
    read = set(_yaml("elk-exporter", "json.yml")["modules"])

    assert {"elasticsearch", "logstash", "kibana", "apm-server", "elk-exporter"} <= set(jobs)
    for name in ("logstash", "kibana", "apm-server"):
        (target,) = jobs[name].targets
        assert jobs[name].through == "elk-exporter:7979"
        assert (target.labels["service"], target.labels["__param_module"]) == (name, name)
        assert name in read


def test_dashboard_asks_for_what_alerts_ask_for() -> None:
    """Proves that each alert of these parts has the dashboard, and that it is there with them and only then."""
    alerts = [alert for group in watch.monitoring(context()).groups for alert in group.alerts]

    assert {alert.dashboard for alert in alerts} == {"elk"}
    assert [path for path in MADE.dashboards if path.endswith("/elk.json")] == ["observability/elk.json"]
