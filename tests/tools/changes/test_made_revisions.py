"""The change report on two whole revisions of this checkout, made so that every difference is known."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.tools.changes import made
from tests.tools.changes.repositories import Repository
from tools.changes.report import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The command, run once in the made repository."""

    repository: Repository
    status: int
    stdout: str
    stderr: str
    markdown: str
    json: str

    @property
    def report(self) -> Mapping[str, Any]:
        """What machines read."""
        found: Mapping[str, Any] = json.loads(self.json)
        return found

    def of(self, subject: str) -> Mapping[str, Any]:
        """What changed in a subject."""
        every: list[Mapping[str, Any]] = self.report["subjects"]
        (found,) = [each for each in every if each["subject"] == subject]
        return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The report as Markdown and JSON, written by the very command that people type."""
    directory = tmp_path_factory.mktemp("changes")
    repository = made.of_checkout(directory / "project")
    command = [sys.executable, "-m", "tools.cli", "diff", "--stack", made.STACK, "--base", "base", "--head", "change"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
        patch.setenv("COLUMNS", "200")
        # Its own tools, and not those of the checkout that the tests are of.
        patch.setenv("PYTHONPATH", str(repository.root))
        out = f"{directory}/report.md {directory}/report.json"
        done = subprocess.run(
            [*command, "--out", out], cwd=repository.root, capture_output=True, text=True, timeout=280, check=False
        )
    assert done.returncode in {0, 1}, done.stderr
    return Run(
        repository=repository,
        status=done.returncode,
        stdout=done.stdout,
        stderr=done.stderr,
        markdown=(directory / "report.md").read_text(encoding="utf-8"),
        json=(directory / "report.json").read_text(encoding="utf-8"),
    )


def test_a_broken_promise_fails(run: Run) -> None:
    """Proves that an output under another name and one of another type are said first, and end the command with
    status 1."""
    assert run.status == 1
    renamed, retyped = "output loki.push_url is renamed to loki.push", "output contract_version was number and is text"
    assert run.report["breaking"] == [renamed, retyped]
    assert "- output loki.push\\_url is renamed to loki.push\n" in run.markdown
    assert "- output contract\\_version was number and is text\n" in run.markdown
    assert f"breaking: {renamed}\nbreaking: {retyped}\n" in run.stdout
    assert run.stderr == ""


def test_the_json_is_the_documented_shape(run: Run) -> None:
    """Proves that the model reads what was written, and that nothing else stands there."""
    report = Report.model_validate_json(run.json)
    assert (report.version, report.stack, report.base, report.head) == (1, made.STACK, "base", "change")
    assert json.loads(report.model_dump_json()) == run.report


def test_nothing_is_told_but_what_changed(run: Run) -> None:
    """Proves the whole list of subjects: none is missing, and none is there that no change is of."""
    changed = {
        each["subject"]: [len(each[key]) for key in ("added", "removed", "changed")] for each in run.report["subjects"]
    }
    alerts, routes = changed.pop("alerts"), changed.pop("routes")
    assert alerts[:2] == routes[:2] == [0, 0]
    assert changed == {
        "outputs": [1, 1, 3],
        "receivers": [0, 1, 0],
        "objectives": [0, 0, 1],
        "targets": [2, 0, 0],
        "dashboards": [0, 0, 1],
        "panels": [1, 0, 3],
        "retention": [0, 0, 1],
        "sizes": [0, 0, 2],
        "programs": [0, 0, 1],
        "ports": [1, 1, 0],
        "secrets": [1, 1, 1],
        "settings": [5, 5, 5],
        "files": [0, 0, 1],
        "objects": [0, 0, 3],
    }


def _was(before: str | None, after: str | None) -> dict[str, str | None]:
    return {"before": before, "after": after}


@pytest.mark.parametrize(
    ("subject", "kind", "name", "fields", "line"),
    [
        pytest.param(
            "alerts",
            "changed",
            "HighErrorRate of wwmaa (critical)",
            {"threshold": _was("0.05", "0.1"), "for": _was("5m", "10m"), "told": _was("team-email", "slack")},
            "| HighErrorRate of wwmaa (critical) | changed: threshold `0.05` → `0.1`<br>for `5m` → `10m` |",
            id="threshold",
        ),
        pytest.param(
            "alerts",
            "changed",
            "LowCacheHitRate of wwmaa (critical)",
            {"severity": _was("warning", "critical")},
            "| LowCacheHitRate of wwmaa (critical) | changed: severity `warning` → `critical` |",
            id="severity",
        ),
        pytest.param(
            "alerts",
            "changed",
            "ZeroDBSlow of wwmaa (warning)",
            {"told": _was("team-email", "slack")},
            "and 1 more | changed: told `team-email` → `slack`<br>told of security"
            " `security-team, team-email` → `email, security-team, slack` |",
            id="who is told",
        ),
        pytest.param(
            "routes",
            "changed",
            "app = wwmaa",
            {"tells": _was("team-email", "slack")},
            "| app = wwmaa | changed: tells `team-email` → `slack` |",
            id="route",
        ),
        pytest.param(
            "receivers",
            "removed",
            "team-email",
            {"by": "email", "email.to": "team@example.com"},
            "| ➖ | team-email | removed: by `email`<br>email.to `team@example.com` |",  # noqa: RUF001 - the sign
            id="receiver",
        ),
        pytest.param(
            "outputs",
            "added",
            "loki.push",
            {"type": "text", "value": "http://loki.observability.svc:3100/loki/api/v1/push"},
            "| loki.push | added: type `text`<br>value `http://loki.observability.svc:3100/loki/api/v1/push` |",
            id="output",
        ),
        pytest.param(
            "objectives",
            "changed",
            "wwmaa availability",
            {
                "objective": _was("99.9% of the requests are answered", "99.5% of them"),
                "budget": _was("0.001", "0.005"),
            },
            "| wwmaa availability | changed: objective `99.9% of the requests are answered` → `99.5% of them`"
            "<br>budget `0.001` → `0.005` |",
            id="objective",
        ),
        pytest.param(
            "targets",
            "added",
            "wwmaa-backend spare.wwmaa.svc:8000",
            {"app": "wwmaa", "environment": "prod", "service": "backend"},
            "| wwmaa-backend spare.wwmaa.svc:8000 | added: app `wwmaa`<br>environment `prod`<br>service `backend` |",
            id="target",
        ),
        pytest.param(
            "panels",
            "added",
            "wwmaa-backend / Cache Hits",
            {"type": "timeseries"},
            "| wwmaa-backend / Cache Hits | added: type `timeseries`<br>query A `sum by (environment, service)",
            id="panel",
        ),
        pytest.param(
            "panels",
            "changed",
            "wwmaa-backend / ZeroDB Query Duration",
            {"query A.legendFormat": _was("{{collection}} {{operation}}", "{{operation}}")},
            "| wwmaa-backend / ZeroDB Query Duration | changed: query A `…sum by (environment, service, collection, op",
            id="query",
        ),
        pytest.param(
            "dashboards",
            "changed",
            "wwmaa-backend",
            {"panels": _was("15", "16")},
            "| wwmaa-backend | changed: panels `15` → `16` |",
            id="dashboard",
        ),
        pytest.param(
            "retention",
            "changed",
            "log lines, oldest that is taken",
            {"kept": _was("30d", "14d")},
            "| log lines, oldest that is taken | changed: kept `30d` → `14d` |",
            id="retention",
        ),
        pytest.param(
            "sizes",
            "changed",
            "prometheus",
            {"volume": _was("50Gi", "80Gi")},
            "| prometheus | changed: volume `50Gi` → `80Gi` |",
            id="volume",
        ),
        pytest.param(
            "programs",
            "changed",
            "blackbox-exporter",
            {"version": _was("v0.28.0", "v1000.28.0")},
            "| blackbox-exporter | changed: version `v0.28.0` → `v1000.28.0` |",
            id="image",
        ),
        pytest.param(
            "ports",
            "added",
            "Ingress grafana.example.org/",
            {"to": "grafana:3000", "TLS": "yes"},
            "| Ingress grafana.example.org/ | added: to `grafana:3000`<br>TLS `yes`<br>",
            id="way in",
        ),
        pytest.param(
            "secrets",
            "added",
            "alerts-hook-url",
            {"needed": "yes"},
            "| alerts-hook-url | added: needed `yes` |",
            id="secret",
        ),
        pytest.param(
            "secrets",
            "changed",
            "slack-url",
            {"value": _was("a value", "another value")},
            "| slack-url | changed: value `a value` → `another value` |",
            id="secret's value",
        ),
        pytest.param(
            "settings",
            "changed",
            "alerting.services.security",
            {"value": _was("security-team", "security-team, email")},
            "| alerting.services.security | changed: value `security-team` → `security-team, email` |",
            id="setting",
        ),
    ],
)
def test_each_change_is_told(  # noqa: PLR0913, PLR0917 - what changed, and both forms of it
    run: Run, subject: str, kind: str, name: str, fields: Mapping[str, Any], line: str
) -> None:
    """Proves for each made change what machines read, and the exact words for people."""
    (found,) = [each for each in run.of(subject)[kind] if each["name"] == name]
    assert {key: found["fields"].get(key) for key in fields} == fields
    assert line in run.markdown


def test_the_totals_are_of_all_replicas(run: Run) -> None:
    """Proves that 30Gi more in each of two volumes are 60Gi, and 512Mi more in each of two Grafanas 1Gi."""
    found = {each["what"]: each["after"] - each["before"] for each in run.report["totals"]}
    assert found == {
        "pods": 0,
        "memory": 2 * 512 * 2**20,
        "cores": 0,
        "volumes": 2 * 30 * 2**30,
        "node_memory": 0,
        "node_cores": 0,
    }
    assert "\n| volumes | 377Gi | 437Gi | +60Gi |\n" in run.markdown


def test_no_secret_is_told(run: Run) -> None:
    """Proves that no value of a secret, encrypted or not, is in the report in any form, or in what was kept of it."""
    for text in (run.markdown, run.json, run.stdout, run.stderr):
        assert made.CANARY not in text
    assert made.CANARY in (run.repository.root / made.FILE).read_text(encoding="utf-8")
    kept = (run.repository.root.parent / "cache" / "observability" / "rendered").rglob("*")
    files = [path for path in kept if path.is_file()]
    assert len(files) > 100
    assert not [path for path in files if made.CANARY.encode() in path.read_bytes()]


def test_a_comment_takes_it(run: Run) -> None:
    """Proves that the Markdown is no longer than GitHub takes, begins with what a comment is found again by, closes
    what it opens, and says what was cut off."""
    assert len(run.markdown) <= 65_536
    assert run.markdown.startswith("<!-- change-report: prod -->\n## Change report of prod\n")
    assert run.markdown.endswith("\n```\n\n</details>\n")
    assert run.markdown.count("<details>") == run.markdown.count("</details>") == 1
    cut = [line for line in run.markdown.splitlines() if line.startswith("Cut: ")]
    assert len(cut) == 1
    assert cut[0].endswith("All of it: make diff BASE=base HEAD=change STACK=prod JSON=1")
    assert len(run.report["diff"]) > 65_536


def test_copies_are_left_out_of_the_difference(run: Run) -> None:
    """Proves that the raw difference has each changed file once: ConfigMaps repeat the files of programs."""
    assert "kubernetes/configmap-prometheus-config.yaml" in run.report["files"]["copies"]
    assert "+++ b/prometheus/rules/wwmaa.yml\n" in run.report["diff"]
    assert "configmap" not in run.report["diff"]
