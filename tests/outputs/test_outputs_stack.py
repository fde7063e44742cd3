"""What an application makes of a stack's outputs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.resources import OTELResourceDetector

from observability_outputs import OutputsError, Stack
from observability_outputs.annotations import post
from specs.discovery import applications
from tests.outputs.grafana import Grafana, grafana
from tests.outputs.told import HOME, ROOT, outputs

CANARY = "glsa_canary-of-the-annotations"


@pytest.fixture(name="server")
def _server() -> Iterator[Grafana]:
    with grafana() as found:
        yield found


def _annotating(server: Grafana, name: str = "dev") -> Stack:
    return Stack.of({**outputs(name), "grafana": {"annotations": {"url": server.url, "token": CANARY}}})


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_an_sdk_reads_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that OpenTelemetry's own SDK finds in the environment whose telemetry it is, whatever the version says."""
    env = Stack.of(outputs(name)).otel_env("web", app="shop", version="1.4,2=a é%")
    for key, text in env.items():
        monkeypatch.setenv(key, text)
    attributes = dict(OTELResourceDetector().detect().attributes)

    assert attributes == {
        "service.name": "web",
        "app": "shop",
        "service.version": "1.4,2=a é%",
        "environment": name,
        "deployment.environment.name": name,
    }


def test_telemetry_goes_where_an_application_can_dial() -> None:
    """Proves that a container dials the collector by the stack's network, and a process of the host the published port:
    loopback in a container is its own."""
    dev = Stack.of(outputs("dev"))
    endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

    assert dev.otel_env("web", app="shop")[endpoint] == "http://observability-collector:4318"
    assert dev.otel_env("web", app="shop", from_host=True)[endpoint] == "http://127.0.0.1:4318"
    assert Stack.of(outputs("local")).otel_env("web", app="shop")[endpoint] == "http://127.0.0.1:4318"
    assert Stack.of(outputs("prod")).otel_env("web", app="shop")[endpoint] == "http://collector.observability.svc:4318"


def test_pods_say_what_prometheus_asks() -> None:
    """Proves that annotations and labels of a pod are among those that the stack's discovery reads."""
    prod = Stack.of(outputs("prod"))
    annotations = prod.scrape_annotations(9102, "/internal/metrics", service="web", app="shop")
    discovery = applications("prod", "observability").discovery
    assert discovery is not None
    asked = json.dumps(discovery.relabel)

    assert annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9102",
        "prometheus.io/path": "/internal/metrics",
        "observability/app": "shop",
        "observability/service": "web",
    }
    for key in annotations:
        assert f"__meta_kubernetes_pod_annotation_{''.join(c if c.isalnum() else '_' for c in key)}" in asked
    assert prod.pod_labels("web", app="shop", version="1.4.2", client=True) == {
        "app.kubernetes.io/name": "web",
        "app.kubernetes.io/component": "web",
        "app.kubernetes.io/part-of": "shop",
        "app.kubernetes.io/version": "1.4.2",
        "observability/client": "true",
    }
    assert prod.pod_labels("web", app="shop", version="1.4.2+build.7")["app.kubernetes.io/version"] == "1.4.2_build.7"
    assert prod.pod_labels("web", app="shop", version=f"{'1' * 62}+x")["app.kubernetes.io/version"] == "1" * 62
    assert "app.kubernetes.io/version" not in prod.pod_labels("web", app="shop", version="+")
    assert prod.log_labels("web", app="shop") == {"app": "shop", "service_name": "web", "environment": "prod"}


def test_files_stand_where_the_stack_reads_them() -> None:
    """Proves that log files and scrape files are below the registry of their runtime."""
    local, dev = Stack.of(outputs("local")), Stack.of(outputs("dev"))

    assert local.log_file("web", app="shop") == f"{HOME}/registry/logs/shop/web.json"
    assert dev.log_file("web", app="shop", form="text") == "logs/shop/web.log"
    assert local.scrape_file("127.0.0.1:8000", service="web", app="shop") == (
        f"{HOME}/registry/scrape/shop.web.json",
        [{"targets": ["127.0.0.1:8000"], "labels": {"environment": "local", "app": "shop", "service": "web"}}],
    )


def test_errors_carry_the_release() -> None:
    """Proves that Sentry's block names the release that the deployment's mark names, and is empty where the stack takes
    no errors."""
    block = Stack.of(outputs("everything")).sentry_env(app="shop", version="1.4.2")

    assert block["SENTRY_RELEASE"] == "shop@1.4.2"
    assert block["ENABLE_SENTRY"] == "true"
    assert Stack.of(outputs("prod")).sentry_env(app="shop", version="1.4.2") == {}


def _older() -> dict[str, Any]:
    return {key: item for key, item in outputs("prod").items() if key not in {"schema_version", "kubernetes"}}


def test_minor_versions_are_read_alike() -> None:
    """Proves that a stack older than the schema's version, and one that tells more, are read as this one is."""
    newer = {**outputs("prod"), "schema_version": "1.12", "profiles": {"url": "http://pyroscope:4040"}}
    now = Stack.of(outputs("prod"))

    for version, found in (("1.0", _older()), ("1.12", newer), ("1.1", {**outputs("prod"), "contract_version": 1.0})):
        stack = Stack.of(found)
        assert stack.version == version
        assert stack.otel_env("web", app="shop") == now.otel_env("web", app="shop")


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "another major": (
        lambda: Stack.of({**outputs("prod"), "schema_version": "2.0", "contract_version": 2}),
        "outputs.schema_version: 2.0 is another major version than this package's (accepted: 1.x; install ",
    ),
    "older major": (
        lambda: Stack.of({"contract_version": 0.0}),
        "outputs.schema_version: 0.0 is another major version",
    ),
    "something else's outputs": (
        lambda: Stack.of({"bucket": "b"}),
        "outputs.schema_version: None is no version: these are not the outputs of an observability stack (accepted: 1",
    ),
    "a service": (
        lambda: Stack.of(outputs("prod")).otel_env("Web 1", app="shop"),
        "service: 'Web 1' is not a name (accepted: at most 63 lowercase letters",
    ),
    "an app": (lambda: Stack.of(outputs("prod")).pod_labels("web", app="shop/"), "app: 'shop/' is not a name"),
    "no version": (
        lambda: Stack.of(outputs("prod")).annotation_tags(app="shop", version=""),
        "version: empty (accepted: the version that is deployed, like 1.4.2)",
    ),
    "a secret that is not shown": (
        lambda: Stack.of({**outputs("dev"), "sentry_env": {"SENTRY_DSN": "[secret]"}}).sentry_env(app="shop"),
        "outputs.sentry_env.SENTRY_DSN: a secret that is not shown (accepted: pulumi stack output --json --show-secr",
    ),
    "outputs that are not shown": (
        lambda: Stack.of({**outputs("dev"), "sentry_env": "[secret]"}).sentry_env(app="shop"),
        "outputs.sentry_env: a secret that is not shown",
    ),
    "a token that is not shown": (
        lambda: Stack.of(
            {**outputs("prod"), "grafana": {"annotations": {"url": "http://127.0.0.1:1", "token": "[secret]"}}}
        ).annotate("t", app="shop", version="1"),
        "outputs.grafana.annotations.token: a secret that is not shown",
    ),
    "no mapping": (
        lambda: Stack.of({**outputs("dev"), "otel_env": ["A=b"]}).otel_env("web", app="shop"),
        "outputs.otel_env: list (accepted: a mapping of names to texts)",
    ),
    "a port": (
        lambda: Stack.of(outputs("prod")).scrape_annotations(0, service="web", app="shop"),
        "port: 0 is not a port (accepted: 1 to 65535)",
    ),
    "a path": (
        lambda: Stack.of(outputs("prod")).scrape_annotations(1, "metrics", service="web", app="shop"),
        "path: 'metrics' is not a path (accepted: one that begins with /, as /metrics)",
    ),
    "annotations without a cluster": (
        lambda: Stack.of(outputs("dev")).scrape_annotations(1, service="web", app="shop"),
        "outputs.scrape.annotations: absent: this stack scrapes what registers a file (scrape_file)",
    ),
    "files on a cluster": (
        lambda: Stack.of(outputs("prod")).scrape_file("a:1", service="web", app="shop"),
        "outputs.scrape.directory: absent: this stack scrapes annotated pods (scrape_annotations)",
    ),
    "log files on a cluster": (
        lambda: Stack.of(outputs("prod")).log_file("web", app="shop"),
        "outputs.logs.directory: absent: on a cluster, what pods write to their output is read",
    ),
    "no token": (
        lambda: Stack.of(outputs("prod")).annotate("t", app="shop", version="1"),
        "outputs.grafana.annotations.token: absent: this stack makes none (accepted: the setting grafana.delivery: ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_one_line(case: str) -> None:
    """Proves that what cannot be is refused in one line that names the output or argument, and what is accepted."""
    call, line = REFUSED[case]
    with pytest.raises(OutputsError) as refused:
        call()

    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_a_deployment_is_marked(server: Grafana) -> None:
    """Proves that the mark reaches Grafana with the token of the outputs, the tag that makes it one, the app's name and
    the version; and that a token of one's own goes first."""
    stack = _annotating(server)

    assert stack.annotate("shop 1.4.2", app="shop", version="1.4.2", tags=["web", "shop"]) == 1
    assert stack.annotate("shop 1.4.3", app="shop", version="1.4.3", token="own\n") == 2  # noqa: S106 - a made one
    tags = ["deployment", "shop", "version:1.4.2", "environment:dev", "web"]
    assert server.asked[0] == ("/api/annotations", f"Bearer {CANARY}", {"text": "shop 1.4.2", "tags": tags})
    assert server.asked[1][1] == "Bearer own"


def test_a_busy_grafana_is_asked_again(server: Grafana) -> None:
    """Proves that an answer that says later is tried again, at most three times, and one that says no is not."""
    server.answers[:] = [(503, ""), (429, ""), (200, '{"id": 7}')]
    assert post(server.url, CANARY, "t", [], pause=0) == 7

    server.answers[:] = [(503, "")] * 4
    with pytest.raises(OutputsError, match=r"annotation not posted: 503: Service Unavailable$"):
        post(server.url, CANARY, "t", [], pause=0)
    assert len(server.answers) == 1

    server.answers[:] = [(403, ""), (200, '{"id": 8}')]
    with pytest.raises(OutputsError, match=r"403: the token may not annotate \(accepted: .* role Editor\)$"):
        post(server.url, CANARY, "t", [], pause=0)
    assert len(server.answers) == 1


def test_a_mark_that_may_be_there_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a request that Grafana may have taken is sent once, and one that never reached it again."""
    tried: list[httpx.HTTPError] = []

    def failing(error: httpx.HTTPError) -> Callable[..., httpx.Response]:
        def request(*_: object, **__: object) -> httpx.Response:
            tried.append(error)
            raise error

        return request

    for error, times in ((httpx.ReadTimeout("late"), 1), (httpx.ConnectError("nobody"), 3)):
        tried.clear()
        monkeypatch.setattr(httpx, "post", failing(error))
        with pytest.raises(OutputsError, match=f"no answer: {type(error).__name__}"):
            post("http://127.0.0.1:1", CANARY, "t", [], pause=0)
        assert len(tried) == times


@pytest.mark.parametrize("answer", ["", "[]", '{"message": "ok"}', '{"id": null}'])
def test_what_is_no_grafana_is_told(server: Grafana, answer: str) -> None:
    """Proves that an answer of something else is one line, without the token."""
    server.answers[:] = [(200, answer)]
    with pytest.raises(OutputsError) as refused:
        post(server.url, CANARY, "t", [])

    assert str(refused.value) == f"{server.url}: annotation not posted: the answer is not Grafana's"


@pytest.mark.parametrize(
    ("url", "token"),
    [("http://127.0.0.1:1/api/annotations", CANARY), ("http://[::1", CANARY), ("http://127.0.0.1:1/", f"{CANARY}\nx")],
)
def test_no_answer_is_one_line(url: str, token: str) -> None:
    """Proves that an address where nobody listens, one that is none, and a token that is no header end in one line
    without the token."""
    with pytest.raises(OutputsError) as refused:
        post(url, token, "t", [], pause=0)

    assert str(refused.value).startswith(f"{url}: annotation not posted: no answer: ")
    assert CANARY not in str(refused.value)


def _step(found: object, *arguments: str, token: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {key: text for key, text in os.environ.items() if key != "GRAFANA_TOKEN"}
    return subprocess.run(
        [sys.executable, "-m", "observability_outputs", *arguments],
        cwd=ROOT, input=found if isinstance(found, str) else json.dumps(found), capture_output=True, text=True,
        timeout=60, check=False, env={**environment, **({"GRAFANA_TOKEN": token} if token else {})},
    )  # fmt: skip


def test_a_step_of_ci_marks_a_deployment(server: Grafana) -> None:
    """Proves that the step that examples/deploy-kubernetes runs posts the mark with a token that is on no command line,
    and prints nothing of it."""
    found = {**outputs("prod"), "grafana": {"annotations": {"url": server.url, "token": None}}}
    workflow = (ROOT / "examples/deploy-kubernetes/.github/workflows/deploy.yml").read_text(encoding="utf-8")
    done = _step(found, "annotate", "--app=shop", "--version=1.4.2", "--tag=web", token=CANARY)

    assert (done.returncode, done.stdout, done.stderr) == (0, "annotation 1: shop 1.4.2\n", "")
    assert "python -m observability_outputs annotate --app shop --version" in workflow
    [(_, authorization, body)] = server.asked
    assert authorization == f"Bearer {CANARY}"
    assert body["tags"] == ["deployment", "shop", "version:1.4.2", "environment:prod", "web"]


def test_a_step_of_ci_prints_the_environment(tmp_path: Path) -> None:
    """Proves that a shell reads the printed environment as it is meant."""
    done = _step(outputs("prod"), "otel-env", "--app=shop", "--version=1.4.2 'x'", "--service=web")
    (tmp_path / "env").write_text(done.stdout, encoding="utf-8")
    script = f'. {tmp_path}/env; printf %s "$OTEL_RESOURCE_ATTRIBUTES"'
    read = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert done.returncode == 0, done.stderr
    wanted = Stack.of(outputs("prod")).otel_env("web", app="shop", version="1.4.2 'x'")
    assert read.stdout == wanted["OTEL_RESOURCE_ATTRIBUTES"]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ("", "stdin: not JSON (accepted: pulumi stack output --json)\n"),
        ("[]", "stdin: not a map of outputs (accepted: pulumi stack output --json)\n"),
        ({"schema_version": "3.1"}, "outputs.schema_version: 3.1 is another major version than this package's"),
    ],
)
def test_a_step_of_ci_that_cannot_is_one_line(found: object, line: str) -> None:
    """Proves that what is not a stack's outputs ends the step with status 2 and a line."""
    done = _step(found, "annotate", "--app=shop", "--version=1")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_the_package_is_installed_by_itself(tmp_path: Path) -> None:
    """Proves that an application can install the folder alone, and needs neither this project nor Pulumi's SDK for
    what CI does."""
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(ROOT / "observability_outputs", source, ignore=shutil.ignore_patterns("__pycache__"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True, timeout=200)
    script = (
        "import json, sys, observability_outputs as found; "
        "print(json.dumps([found.__file__, 'pulumi' in sys.modules, found.Stack.of(json.load(sys.stdin)).environment]))"
    )
    # The checkout is on the path of this virtual environment, behind what is named here.
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(target)},
        input=json.dumps(outputs("prod")), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout) == [str(target / "observability_outputs" / "__init__.py"), False, "prod"]
    assert (target / "observability_outputs" / "py.typed").exists()
