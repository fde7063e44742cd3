"""What Grafana's provider is told to make, and the wait before it."""

import http.server
import json
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pulumi
import pytest
from pulumi.dynamic import ConfigureRequest

from components.outputs import resolved
from components.plain_errors import PlainError
from components.ready import ReadyProvider, wait
from components.recording import Recording, Registered, Secret, record
from specs.outputs import Made
from specs.settings import RuntimeKind
from specs.stack import Stack, build
from specs.workload import SecretRef
from tests.deployment import deployed, inputs_of, secret_of, settings_for

READY = "pulumi-python:dynamic/observability:Ready"
FOLDER = "grafana:oss/folder:Folder"
DASHBOARD = "grafana:oss/dashboard:Dashboard"
TEAM = "grafana:oss/team:Team"
PERMISSION = "grafana:oss/folderPermission:FolderPermission"
ACCOUNT = "grafana:oss/serviceAccount:ServiceAccount"
TOKEN = "grafana:oss/serviceAccountToken:ServiceAccountToken"  # noqa: S105 - a type
DATASOURCE = "grafana:oss/dataSource:DataSource"
PREFERENCES = "grafana:oss/organizationPreferences:OrganizationPreferences"
PROVIDER = "pulumi:providers:grafana"
ELSEWHERE = {"url": "https://grafana.example.com", "token": {"secret": "grafana-token"}}
RECEIVERS = {
    "default": "team",
    "stand_in": "team",
    "receivers": {"team": {"webhook": {"url": "http://team.example.com"}}},
}


def made(**more: Any) -> Stack:
    """Return a Docker stack of two systems."""
    body: dict[str, Any] = {"systems": {"wwmaa": {}, "roadtrip": {}}, "alerting": RECEIVERS, **more}
    return build(settings_for(RuntimeKind.DOCKER, **body), file="Pulumi.test.yaml")


def of_grafana(recording: Recording) -> list[Registered]:
    """Return what the provider makes."""
    return [resource for resource in recording.resources if resource.type.startswith("grafana:")]


def names(recording: Recording, type_: str) -> list[str]:
    """Return the names of all resources of a type."""
    return [resource.name for resource in recording.resources if resource.type == type_]


def unnumbered(value: Any) -> Any:
    """Return a dashboard without the numbers of its panels, which the provider forgets and would show in each diff."""
    board = json.loads(json.dumps(value))
    for panel in [inner for outer in board["panels"] for inner in (outer, *outer.get("panels", []))]:
        del panel["id"]
    return board


def test_every_folder_and_dashboard_is_a_resource() -> None:
    """Each folder and dashboard of the stack is one, by its uid, with the JSON that files would have, but numbers."""
    stack = made()
    recording = deployed(stack)

    assert names(recording, FOLDER) == ["exporters", "observability", "roadtrip", "wwmaa"]
    assert inputs_of(recording, FOLDER, "wwmaa") == {
        "uid": "wwmaa",
        "title": "wwmaa",
        "preventDestroyIfNotEmpty": False,
    }
    assert names(recording, DASHBOARD) == sorted(str(board["uid"]) for board in stack.dashboards.values())
    for path, board in stack.dashboards.items():
        assert inputs_of(recording, DASHBOARD, board["uid"]) == {
            "folder": path.split("/", maxsplit=1)[0],
            "configJson": json.dumps(unnumbered(board), sort_keys=True),
            "message": "pulumi up",
            "overwrite": True,
        }


def test_the_first_page_is_ours() -> None:
    """People of our own Grafana begin at the stack's first page."""
    recording = deployed(made())

    assert inputs_of(recording, PREFERENCES, "preferences") == {"homeDashboardUid": "home"}
    assert "home" in recording.resource(PREFERENCES, "preferences").depends_on


def test_the_owner_edits_and_everybody_sees() -> None:
    """The team of a system's owner may edit its folder, others may look; folders without an owner stay as they are."""
    recording = deployed(made())

    assert names(recording, TEAM) == names(recording, PERMISSION) == ["roadtrip", "wwmaa"]
    assert inputs_of(recording, TEAM, "wwmaa") == {"name": "wwmaa"}
    assert inputs_of(recording, PERMISSION, "wwmaa") == {
        "folderUid": "wwmaa",
        "permissions": [
            {"role": "Viewer", "permission": "View"},
            {"role": "Editor", "permission": "View"},
            {"teamId": "wwmaa", "permission": "Edit"},
        ],
    }
    without = deployed(made(grafana={"teams": False}))
    assert names(without, TEAM) == names(without, PERMISSION) == []
    assert names(without, FOLDER) == names(recording, FOLDER)


def test_deploys_have_an_account_of_their_own() -> None:
    """The service account may annotate and no more than it must; its token is an output of the stack."""
    recording = deployed(made())

    assert inputs_of(recording, ACCOUNT, "deployments") == {"name": "deployments", "role": "Editor"}
    assert inputs_of(recording, TOKEN, "deployments") == {"name": "deployments", "serviceAccountId": "deployments"}


def test_everything_waits_for_grafana() -> None:
    """Nothing is made in Grafana before it was seen ready, which is after its container, and all of it by the one
    provider that knows the address and the password, as a secret."""
    recording = deployed(made())
    ready = recording.resource(READY, "ready")
    found = of_grafana(recording)
    login = Secret(f"admin:{secret_of('grafana-admin-password')}")

    assert len(found) > 20
    assert [resource.name for resource in found if "ready" not in resource.depends_on] == []
    assert {resource.provider for resource in found} == {"grafana"}
    assert {resource.parent for resource in found} == {"grafana-content"}
    assert "grafana" in ready.depends_on
    inputs = inputs_of(recording, READY, "ready")
    assert (inputs["url"], inputs["secret"], inputs["seconds"], inputs["teams"]) == (
        "http://127.0.0.1:3000",
        "grafana-admin-password",
        120,
        True,
    )
    assert inputs["login"] == login
    assert inputs_of(recording, PROVIDER, "grafana") == {"url": "http://127.0.0.1:3000", "auth": login, "retries": "1"}


def test_dashboards_come_after_their_folder_and_permissions_too() -> None:
    """What is in a folder is made after it, and so deleted before it."""
    recording = deployed(made())

    for resource in of_grafana(recording):
        if resource.type == DASHBOARD:
            assert resource.inputs["folder"] in resource.depends_on
        if resource.type == PERMISSION:
            assert resource.inputs["folderUid"] in resource.depends_on


def test_a_new_container_is_waited_for_again() -> None:
    """Whatever starts Grafana anew changes what the wait is about; what does not leaves it alone."""

    def server(**more: Any) -> object:
        return inputs_of(deployed(made(**more)), READY, "ready")["server"]

    assert server() == server(retention={"metrics": "3d"})
    assert server() != server(versions={"grafana": "13.1.3"})
    assert server() != server(scrape_interval="30s")


def test_a_preview_knows_all_but_what_grafana_numbers() -> None:
    """Before the first start a preview shows every resource; only ids that Grafana gives out are unknown."""
    stack = made()
    before = {(each.type, each.name): each for each in of_grafana(deployed(stack, preview=True))}
    after = {(each.type, each.name): each for each in of_grafana(deployed(stack))}

    assert before.keys() == after.keys()
    assert {type_ for (type_, name), each in before.items() if each != after[type_, name]} == {PERMISSION, TOKEN}


def test_one_elsewhere_gets_datasources_too() -> None:
    """A Grafana that exists elsewhere gets the datasources of our own's file, one of them the default; its folders are
    only deleted when nobody else's work is in them; its first page stays."""
    stack = made(grafana=ELSEWHERE)
    recording = deployed(stack)
    inputs = inputs_of(recording, READY, "ready")

    assert names(recording, "observability:index:Grafana") == []
    assert recording.resource(READY, "ready").depends_on == ()
    assert (inputs["login"], inputs["secret"], inputs["server"]) == (
        Secret(secret_of("grafana-token")),
        "grafana-token",
        "",
    )
    assert inputs_of(recording, PROVIDER, "grafana") == {
        "url": "https://grafana.example.com",
        "auth": Secret(secret_of("grafana-token")),
        "retries": "1",
    }
    assert names(recording, DATASOURCE) == ["alertmanager", "jaeger", "loki", "prometheus"]
    prometheus = inputs_of(recording, DATASOURCE, "prometheus")
    settings = json.loads(prometheus.pop("jsonDataEncoded"))
    assert prometheus == {
        "uid": "prometheus",
        "name": "Prometheus",
        "type": "prometheus",
        "accessMode": "proxy",
        "url": "http://127.0.0.1:9090",
        "isDefault": True,
        "basicAuthEnabled": False,
    }
    assert settings["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "jaeger"}]
    assert [name for name in names(recording, DATASOURCE) if inputs_of(recording, DATASOURCE, name)["isDefault"]] == [
        "prometheus"
    ]
    # Only files double the dollar.
    assert "$$" not in json.dumps([inputs_of(recording, DATASOURCE, name) for name in names(recording, DATASOURCE)])
    assert {each.inputs["preventDestroyIfNotEmpty"] for each in of_grafana(recording) if each.type == FOLDER} == {True}
    assert names(recording, PREFERENCES) == []


def test_a_datasource_logs_in_with_a_secret() -> None:
    """The password of a datasource is secret on its way to the provider."""
    recording = deployed(made(grafana=ELSEWHERE, elk=True))
    found = inputs_of(recording, DATASOURCE, "elasticsearch")

    assert (found["basicAuthEnabled"], found["basicAuthUsername"]) == (True, "grafana")
    assert found["secureJsonDataEncoded"] == Secret(
        json.dumps({"basicAuthPassword": secret_of("elasticsearch-grafana-password")})
    )


def test_files_need_no_provider() -> None:
    """With files nothing is made in Grafana, and nobody waits for it."""
    recording = deployed(made(grafana={"delivery": "files"}))

    assert of_grafana(recording) == []
    assert names(recording, READY) == names(recording, PROVIDER) == []


# Outputs.


def test_secrets_of_outputs_are_secret_and_the_rest_is_not() -> None:
    """A name of a secret becomes its value, marked as secret; what stands beside it stays readable."""
    outputs = {
        "sentry_env": {"SENTRY_DSN": SecretRef("dsn"), "SENTRY_ENVIRONMENT": "dev"},
        "grafana": {"annotations": {"url": "http://a", "token": Made("deployments")}},
        "logstash": None,
        "cluster": "dev",
    }

    def program() -> None:
        known = {"dsn": pulumi.Output.from_input("https://key@sentry"), "deployments": pulumi.Output.from_input("glsa")}
        pulumi.CustomResource("test:index:Thing", "one", resolved(outputs, known))

    assert record(program, stack="dev").resource("test:index:Thing", "one").inputs == {
        "sentry_env": {"SENTRY_DSN": Secret("https://key@sentry"), "SENTRY_ENVIRONMENT": "dev"},
        "grafana": {"annotations": {"url": "http://a", "token": Secret("glsa")}},
        "cluster": "dev",
    }


# The wait, against a real server.


@dataclass
class Fake:
    """A Grafana as far as the wait sees it."""

    port: int = 0
    health: list[int] = field(default_factory=list[int])
    """Statuses of `/api/health`, in order; then 200."""
    login: str = "Basic YWRtaW46bGV0IG1lIGlu"
    """What it takes: admin:let me in."""
    refused: int = 401
    version: str = ""
    """What it says; empty: nothing, as some do to strangers."""
    asked: list[str] = field(default_factory=list[str])
    """Paths, in order."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def fake() -> Generator[Fake]:
    """A server of this test alone."""
    state = Fake()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if self.path == "/api/health":
                status = state.health.pop(0) if state.health else 200
            else:
                status = 200 if self.headers.get("Authorization") == state.login else state.refused
            body = b'{"database": "ok", "version": "%s"}' % state.version.encode() if state.version else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            del code, size

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def props(url: str, **more: Any) -> dict[str, Any]:
    """Return the inputs of a wait."""
    base = {"url": url, "login": "admin:let me in", "secret": "grafana-admin-password", "seconds": 10, "server": "a"}
    return {**base, "teams": False, **more}


@pytest.fixture
def provider() -> ReadyProvider:
    """The provider as the plugin has it, but in this process."""
    found = ReadyProvider()
    found.configure(cast("ConfigureRequest", None))
    return found


def test_it_waits_until_grafana_is_healthy(
    fake: Fake, provider: ReadyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unhealthy answer is no answer; then one login, and no more."""
    monkeypatch.setattr("components.ready._PAUSE", 0.05)
    fake.health = [503, 502]

    created = provider.create({**props(fake.url), "__provider": "code"})

    assert fake.asked == ["/api/health"] * 3 + ["/api/serviceaccounts/search?perpage=1"]
    assert created.outs == props(fake.url)


def test_it_waits_for_one_that_is_not_there_yet(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is waited out as well."""
    monkeypatch.setattr("components.ready._PAUSE", 0.05)
    refused = iter([True, True])
    get = httpx.Client.get

    def flaky(self: httpx.Client, url: str, **more: Any) -> httpx.Response:
        if next(refused, False):
            raise httpx.ConnectError("[Errno 111] Connection refused")
        return get(self, url, **more)

    monkeypatch.setattr(httpx.Client, "get", flaky)
    wait(fake.url, login="admin:let me in", key="any", seconds=5)

    assert fake.asked[-1] == "/api/serviceaccounts/search?perpage=1"


@pytest.mark.parametrize(
    ("version", "teams", "refused"),
    [("9.4.0-pre", True, True), ("9.4.0-pre", False, False), ("13.2.0", True, False), ("", True, False)],
)
def test_one_too_old_for_teams_is_one_line(fake: Fake, version: str, *, teams: bool, refused: bool) -> None:
    """The provider would crash over a team, with half of the rest made: it is told before anything is."""
    fake.version = version
    if not refused:
        wait(fake.url, login="admin:let me in", key="any", seconds=5, teams=teams)
        return
    with pytest.raises(PlainError) as problem:
        wait(fake.url, login="admin:let me in", key="any", seconds=5, teams=teams)

    assert str(problem.value) == (
        f"{fake.url}: Grafana 9.4.0-pre is too old for teams (accepted: 11 or newer, or grafana.teams: false)"
    )


def test_nothing_there_is_one_line(provider: ReadyProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens, the error names address, time and reason."""
    monkeypatch.setattr("components.ready._PAUSE", 0.05)
    with pytest.raises(PlainError) as problem:
        provider.create(props("http://127.0.0.1:9", seconds=0.2))

    assert str(problem.value) == (
        "http://127.0.0.1:9/api/health: no Grafana within 0.2 s: [Errno 111] Connection refused"
    )


def test_an_unhealthy_one_is_one_line(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers otherwise is told by its status."""
    monkeypatch.setattr("components.ready._PAUSE", 0.05)
    fake.health = [503] * 100
    with pytest.raises(PlainError) as problem:
        wait(fake.url, login="admin:let me in", key="any", seconds=0.2)

    assert str(problem.value) == f"{fake.url}/api/health: no Grafana within 0.2 s: answers 503"


def test_a_wrong_password_is_tried_once(fake: Fake) -> None:
    """A refused login names the secret, not its value, and is not repeated: Grafana would lock the account."""
    with pytest.raises(PlainError) as problem:
        wait(fake.url, login="admin:wrong", key="grafana-admin-password", seconds=5)

    assert str(problem.value) == (
        f"{fake.url}: Grafana refuses the secret grafana-admin-password"
        " (after five wrong logins it refuses the right password too, for five minutes)"
    )
    assert fake.asked.count("/api/serviceaccounts/search?perpage=1") == 1


def test_a_token_that_may_too_little_is_one_line(fake: Fake) -> None:
    """A token without the role Admin is refused before anything is made with it."""
    fake.refused = 403
    with pytest.raises(PlainError) as problem:
        wait(fake.url, login="glsa_viewer", key="grafana-token", seconds=5)

    assert str(problem.value) == (
        f"{fake.url}: Grafana answers 403 where an administrator is asked for"
        " (accepted as grafana-token: an account of the role Admin)"
    )


def test_a_token_is_a_bearer(fake: Fake) -> None:
    """What has no colon is a token."""
    fake.login = "Bearer glsa_admin"
    wait(fake.url, login="glsa_admin", key="grafana-token", seconds=5)

    assert fake.asked[-1] == "/api/serviceaccounts/search?perpage=1"


def test_a_preview_dials_nobody(provider: ReadyProvider) -> None:
    """What decides over a change compares inputs: it works while Grafana is down."""
    old = props("http://127.0.0.1:9")

    assert not provider.diff("grafana", {**old}, {**old, "__provider": "new code"}).changes
    assert provider.diff("grafana", old, {**old, "server": "b"}).changes
    assert provider.diff("grafana", old, {**old, "login": "admin:another"}).changes


def test_an_update_waits_again(fake: Fake, provider: ReadyProvider) -> None:
    """Grafana started anew is waited for as it was the first time."""
    updated = provider.update("grafana", props(fake.url), props(fake.url, server="b"))

    assert fake.asked == ["/api/health", "/api/serviceaccounts/search?perpage=1"]
    assert updated.outs == props(fake.url, server="b")
