"""Grafana: what is described once reaches it by files and by its provider alike."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from specs import grafana, outputs
from specs.model import SettingsError, parse
from specs.outputs import Made, readable
from specs.settings import KEY, Delivery, Settings
from specs.stack import Stack, build
from specs.workload import SecretRef
from tests.specs.support import ROOT

FILE = "Pulumi.test.yaml"
ELSEWHERE = {"url": "https://grafana.example.com/", "token": {"secret": "grafana-token"}}
DATASOURCES = "provisioning/datasources/stack.yml"


def made(runtime: str = "docker", **more: Any) -> Stack:
    """Return a stack of one system, with `more` settings."""
    receivers = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}}
    body: dict[str, Any] = {
        "environment": "test",
        "cluster": "test",
        "runtime": runtime,
        "systems": {"wwmaa": {}},
        "alerting": {**receivers, "stand_in": "team"},
        **more,
    }
    return build(parse(Settings, body, file=FILE, key=KEY), file=FILE)


def provisioned(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the datasources of the file that Grafana reads, by uid."""
    text = stack.workload("grafana").files[DATASOURCES]
    return {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}


@pytest.mark.parametrize(
    ("runtime", "settings", "expected"),
    [
        ("process", {}, Delivery.FILES),
        ("docker", {}, Delivery.PROVIDER),
        ("kubernetes", {}, Delivery.FILES),
        ("process", ELSEWHERE, Delivery.PROVIDER),
        ("kubernetes", ELSEWHERE, Delivery.PROVIDER),
        ("docker", {"delivery": "files"}, Delivery.FILES),
        ("kubernetes", {"delivery": "provider"}, Delivery.PROVIDER),
    ],
)
def test_delivery(runtime: str, settings: dict[str, Any], expected: Delivery) -> None:
    """Proves by which way dashboards go unless a stack says so, and that its own wish wins."""
    stack = made(runtime, grafana=settings)

    assert grafana.delivery(stack.context.settings) is expected
    assert (stack.grafana_content is not None) == (expected is Delivery.PROVIDER)


def test_both_ways_bring_the_same() -> None:
    """Proves that folders, uids and dashboards are the same by files and by the provider, and that neither way takes
    part in the other."""
    files, provider = made(grafana={"delivery": "files"}), made(grafana={"delivery": "provider"})
    read = files.workload("grafana").files
    folders = yaml.safe_load(read["provisioning/dashboards/stack.yml"])["providers"]
    content = provider.grafana_content

    assert content
    assert [(each["folder"], each["folderUid"]) for each in folders] == [
        (folder.uid, folder.uid) for folder in content.folders
    ]
    assert {
        path.removeprefix("dashboards/"): json.loads(text)
        for path, text in read.items()
        if path.startswith("dashboards/")
    } == content.dashboards
    assert files.grafana_content is None
    # Of each kind of provisioning there is a directory, or Grafana would begin its log with an error.
    empty = {f"provisioning/{kind}/none.yml" for kind in ("alerting", "dashboards", "plugins")}
    assert set(provider.workload("grafana").files) == {DATASOURCES, *empty}
    assert {path.split("/")[1] for path in read if path.startswith("provisioning/")} == {
        *("alerting", "dashboards", "datasources", "plugins")
    }
    assert provider.workload("grafana").files[DATASOURCES] == read[DATASOURCES]
    assert "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH" not in provider.workload("grafana").environment


def test_dashboards_are_as_grafana_saves_them() -> None:
    """Proves that no dashboard has what Grafana numbers itself, which each look at it would show as a change."""
    content = made().grafana_content

    assert content
    assert [path for path, board in content.dashboards.items() if {"id", "version"} & board.keys()] == []
    assert {path: path.split("/")[1] for path in content.dashboards} == {
        path: f"{board['uid']}.json" for path, board in content.dashboards.items()
    }


def test_folders_belong_to_owners() -> None:
    """Proves that a system's folder is its owner's, other folders nobody's, and none anybody's without teams."""
    teams, none = made().grafana_content, made(grafana={"teams": False}).grafana_content

    assert teams
    assert none
    assert [(folder.uid, folder.owner) for folder in teams.folders] == [
        ("exporters", ""),
        ("observability", ""),
        ("wwmaa", "wwmaa"),
    ]
    assert [(folder.uid, folder.owner) for folder in none.folders] == [
        ("exporters", ""),
        ("observability", ""),
        ("wwmaa", ""),
    ]


def test_one_elsewhere_is_served_instead() -> None:
    """Proves that a stack with a Grafana elsewhere runs none, hands its datasources over by the addresses that it
    says or that people use, and leads people there."""
    stack = made(grafana={**ELSEWHERE, "datasources": {"loki": "https://loki.internal.example.com"}})
    content = stack.grafana_content

    assert "grafana" not in stack.names
    assert content
    assert (content.url, content.login, content.elsewhere) == (
        "https://grafana.example.com",
        SecretRef("grafana-token"),
        True,
    )
    assert {source.uid: source.url for source in content.datasources} == {
        "prometheus": "http://127.0.0.1:9090",
        "loki": "https://loki.internal.example.com",
        "jaeger": "http://127.0.0.1:16686",
        "alertmanager": "http://127.0.0.1:9093",
    }
    assert [source.uid for source in content.datasources if source.default] == ["prometheus"]
    assert SecretRef("grafana-token") in stack.secrets()
    assert stack.outputs()["urls"]["grafana"] == "https://grafana.example.com"
    rules = [text for path, text in stack.workload("prometheus").files.items() if path.startswith("rules/")]
    assert any("https://grafana.example.com/d/" in text for text in rules)
    assert not any("127.0.0.1:3000" in text for text in rules)


def test_unknown_datasource_is_refused() -> None:
    """Proves that an address for a datasource that there is none of is one line with file and key."""
    with pytest.raises(SettingsError) as problem:
        made(grafana={**ELSEWHERE, "datasources": {"tempo": "https://tempo.example.com"}})

    assert str(problem.value) == (
        f"{FILE}: observability:settings.grafana.datasources.tempo: unknown datasource"
        " (accepted: prometheus, loki, jaeger, alertmanager)"
    )


def test_file_and_provider_say_the_same() -> None:
    """Proves that a datasource of the file is the one of the provider: only dollars are doubled there, since Grafana
    replaces ${…} in files."""
    ours, content = provisioned(made()), made(grafana=ELSEWHERE).grafana_content

    assert content
    for source in content.datasources:
        entry = ours[source.uid]
        assert (entry["name"], entry["type"], entry["isDefault"]) == (source.name, source.kind, source.default)
        assert json.loads(json.dumps(entry["jsonData"]).replace("$$", "$")) == source.settings


def test_rules_lead_to_their_silences() -> None:
    """Proves that Grafana lists the rules of Prometheus and Loki, and knows whose silences hold for them."""
    found = provisioned(made())

    assert {
        uid: source["jsonData"]["alertmanagerUid"]
        for uid, source in found.items()
        if "manageAlerts" in source["jsonData"]
    } == {"prometheus": "alertmanager", "loki": "alertmanager"}


def test_elasticsearch() -> None:
    """Proves that a stack with ELK has a datasource for it, which logs in with a password from a file, and whose lines
    lead to traces."""
    stack = made(elk=True)
    source = provisioned(stack)["elasticsearch"]
    secrets = stack.workload("grafana").secrets

    assert (source["type"], source["url"]) == ("elasticsearch", "http://elasticsearch:9200")
    assert source["jsonData"]["index"] == "*-logs-*"
    assert source["jsonData"]["dataLinks"] == [
        {"field": "trace_id", "url": "$${__value.raw}", "urlDisplayLabel": "Trace", "datasourceUid": "jaeger"}
    ]
    assert (source["basicAuth"], source["basicAuthUser"]) == (True, "grafana")
    assert source["secureJsonData"] == {"basicAuthPassword": "$__file{/workload/config/secrets/elasticsearch-password}"}
    assert secrets["secrets/elasticsearch-password"].generated
    assert "elasticsearch" not in provisioned(made())


def test_a_trace_leads_to_where_the_lines_are() -> None:
    """Proves that a span's lines are looked for in Loki, and in Elasticsearch where that has them instead."""
    beside, instead = made(elk=True), made(elk={"logs": "instead"})

    def to_logs(stack: Stack) -> tuple[str, str]:
        found = provisioned(stack)["jaeger"]["jsonData"]["tracesToLogsV2"]
        return found["datasourceUid"], found["query"]

    assert to_logs(beside) == ("loki", "{$${__tags}} | trace_id=`$${__trace.traceId}`")
    assert to_logs(instead) == ("elasticsearch", 'trace_id:"$${__trace.traceId}"')


_STUB = """#!/bin/sh
echo "$@" >> calls
if [ "$1" = cli ]; then cat > password; exit "${CLI_STATUS:-0}"; fi
"""


def _start(home: Path, *, database: str | None, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Start the container's entry point in `home`, with a stand-in for Grafana."""
    workload = made().workload("grafana")
    for directory in ("bin", "data", "config/secrets"):
        (home / directory).mkdir(parents=True)
    stub = home / "bin" / "grafana"
    stub.write_text(_STUB)
    stub.chmod(0o755)
    (home / "config" / "secrets" / "admin-password").write_text("let me in")
    if database is not None:
        (home / "data" / "grafana.db").write_text(database)
    return subprocess.run(
        [*workload.program.entrypoint, *workload.args],
        cwd=home / "data",
        env={"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "CLI_STATUS": str(status)},
        capture_output=True,
        text=True,
        check=True,
    )


SERVER = "server --homepath=/usr/share/grafana"


def test_a_first_start_makes_the_password(tmp_path: Path) -> None:
    """Proves that Grafana alone is started where there is no database yet: it takes the password from its settings."""
    _start(tmp_path, database=None)

    assert (tmp_path / "data" / "calls").read_text().splitlines() == [SERVER]


def test_a_later_start_sets_the_password_anew(tmp_path: Path) -> None:
    """Proves that the password of the secret holds for a database of an earlier stack too, and is on no command
    line."""
    _start(tmp_path, database="of last week")

    assert (tmp_path / "data" / "calls").read_text().splitlines() == [
        "cli --homepath=/usr/share/grafana admin reset-admin-password --password-from-stdin",
        SERVER,
    ]
    assert (tmp_path / "data" / "password").read_text() == "let me in"


def test_grafana_starts_with_an_old_password_too(tmp_path: Path) -> None:
    """Proves that a password that cannot be set is told, and keeps nobody from their dashboards."""
    done = _start(tmp_path, database="broken", status=1)

    assert done.stderr == "the administrator keeps the password of an earlier start\n"
    assert (tmp_path / "data" / "calls").read_text().splitlines()[-1] == SERVER


def test_grafana_asks_its_makers_for_nothing() -> None:
    """Proves that it neither reports nor looks for news, updates and plugins."""
    environment = made().workload("grafana").environment

    assert {
        name: environment[name]
        for name in environment
        if name.startswith(("GF_ANALYTICS", "GF_NEWS", "GF_SNAPSHOTS", "GF_PLUGINS"))
    } == {
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false",
    }


@pytest.mark.parametrize(("runtime", "generated"), [("process", False), ("docker", True), ("kubernetes", True)])
def test_the_provider_knows_the_password(runtime: str, generated: bool) -> None:
    """Proves that a process stack, whose made up passwords only Grafana reads, has to be told the one that the provider
    logs in with."""
    stack = made(runtime, grafana={"delivery": "provider"})
    (password,) = {ref for ref in stack.secrets() if ref.key == grafana.ADMIN_PASSWORD}

    assert password.generated is generated


# Outputs.


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"url": "http://127.0.0.1:3000/api/annotations", "token": Made("deployments")}),
        ({"delivery": "files"}, {"url": "http://127.0.0.1:3000/api/annotations", "token": None}),
        (ELSEWHERE, {"url": "https://grafana.example.com/api/annotations", "token": Made("deployments")}),
        ({"run": False}, {"url": None, "token": None}),
    ],
    ids=["provider", "files", "elsewhere", "none"],
)
def test_where_annotations_go(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    """Proves what a deploy is told: an address wherever there is a Grafana, a token where the provider makes one."""
    assert made(grafana=settings).outputs()["grafana"] == {"annotations": expected}


def test_errors() -> None:
    """Proves the block for Sentry's SDKs: none when off, the DSN as a secret's name, and switched off while nobody has
    made a project."""
    dsn = {"secret": "sentry-dsn"}
    named = made(errors={"to": "dsn", "dsn": dsn, "traces_sample_rate": 0.25})

    assert made().outputs()["sentry_env"] is None
    assert named.outputs()["sentry_env"] == {
        "ENABLE_SENTRY": "true",
        "SENTRY_DSN": SecretRef("sentry-dsn"),
        "SENTRY_ENVIRONMENT": "test",
        "SENTRY_TRACES_SAMPLE_RATE": "0.25",
    }
    assert SecretRef("sentry-dsn") in named.secrets()
    assert made(errors="glitchtip").outputs()["sentry_env"] == {
        "ENABLE_SENTRY": "false",
        "SENTRY_ENVIRONMENT": "test",
        "SENTRY_TRACES_SAMPLE_RATE": "0.1",
    }


def test_elk_and_apm() -> None:
    """Proves what applications are told of Logstash and of Elastic's APM server, and people of the rest."""
    stack = made(elk=True, apm=True, port_offset=100)
    found = stack.outputs()

    assert found["logstash"] == "127.0.0.1:5100"
    assert found["elastic_apm_env"] == {
        "ELASTIC_APM_SERVER_URL": "http://127.0.0.1:8300",
        "ELASTIC_APM_ENVIRONMENT": "test",
        "ELASTIC_APM_SECRET_TOKEN": SecretRef("apm-secret-token", generated=True),
    }
    assert (found["urls"]["kibana"], found["urls"]["elasticsearch"]) == (
        "http://127.0.0.1:5701",
        "http://127.0.0.1:9300",
    )
    assert SecretRef("apm-secret-token", generated=True) in stack.secrets()
    without = made().outputs()
    assert (without["logstash"], without["elastic_apm_env"]) == (None, None)
    assert {"kibana", "elasticsearch"} & without["urls"].keys() == set()


def test_outputs_can_be_read() -> None:
    """Proves that people see names in the place of secrets, and everything else as it is."""
    found = made(errors={"to": "dsn", "dsn": {"secret": "sentry-dsn"}}).outputs()
    shown = readable(found)

    assert shown["sentry_env"]["SENTRY_DSN"] == "<secret: sentry-dsn>"
    assert shown["grafana"]["annotations"]["token"] == "<secret: deployments>"  # noqa: S105 - its name
    assert shown["urls"] == found["urls"]
    assert [ref.key for ref in outputs.secrets(found)] == ["sentry-dsn"]
    assert json.dumps(shown)


MAPS = ("otel_env", "scrape.labels", "elastic_apm_env", "sentry_env")
"""Outputs that an application takes as a whole."""


def _leaves(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and path not in MAPS:
        for key, item in cast("dict[str, object]", value).items():
            yield from _leaves(item, f"{path}.{key}".lstrip("."))
    else:
        yield path


def test_outputs_are_documented() -> None:
    """Proves that docs/outputs.md has a row for every output that optional parts bring, and names what each block
    holds."""
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    found = made(elk=True, apm=True, errors={"to": "glitchtip", "dsn": {"secret": "sentry-dsn"}}).outputs()

    assert set(_leaves(found)) - rows == set()
    assert [name for block in MAPS[2:] for name in found[block] if f"`{name}`" not in page] == []
