"""What was changed by hand: seen by the real engine, and told by one issue on both forges."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from specs.model import SettingsError
from specs.settings import RuntimeKind
from tests.ci.stand_ins import StandIn
from tools import native
from tools.ci import drift, forges
from tools.engine import environment

SECRET = "a-word-that-nobody-may-see"  # noqa: S105 - of a file that lives for a test

PROGRAM = """
import pathlib
import pulumi
from pulumi import dynamic

class Files(dynamic.ResourceProvider):
    def create(self, props):
        pathlib.Path(props["path"]).write_text(props["text"])
        return dynamic.CreateResult(props["path"], dict(props))

    def read(self, id_, props):
        file = pathlib.Path(id_)
        if not file.parent.exists():
            raise Exception("nothing answers there")
        if not file.exists():
            return dynamic.ReadResult("", {})
        return dynamic.ReadResult(id_, {**props, "text": file.read_text()})

    def diff(self, id_, olds, news):
        return dynamic.DiffResult(changes=olds["text"] != news["text"])

class File(dynamic.Resource):
    def __init__(self, name, text, opts=None):
        super().__init__(Files(), name, {"path": f"{pathlib.Path.cwd()}/files/{name}", "text": text}, opts)

File("kept", "a")
File("edited", "a")
File("removed", "a")
File("secret", pulumi.Output.secret("SECRET"), pulumi.ResourceOptions(additional_secret_outputs=["text"]))
"""


class Project:
    """A Pulumi program of four files, brought up."""

    def __init__(self, directory: Path) -> None:
        native.ensure(["pulumi", "pulumi-language-python"])
        self.directory = directory
        self.files = directory / "files"
        (directory / "state").mkdir()
        self.files.mkdir()
        (directory / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (directory / "__main__.py").write_text(PROGRAM.replace("SECRET", SECRET))
        found, _ = environment(RuntimeKind.PROCESS)
        found.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        own = {"PULUMI_BACKEND_URL": f"file://{directory}/state", "PULUMI_CONFIG_PASSPHRASE": "a-passphrase"}
        self.environment: Mapping[str, str] = {**found, **own, **drift.EVENTS}
        self.pulumi("stack", "init", "test")
        assert self.pulumi("up", "--yes", "--skip-preview").returncode == 0

    def pulumi(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run pulumi in the project."""
        command = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def refreshed(self) -> str:
        """What `make drift` reads."""
        return self.pulumi("refresh", "--preview-only", "--json", "--stack", "test").stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Brought up once."""
    made = Project(tmp_path_factory.mktemp("tiny"))
    yield made
    made.files.mkdir(exist_ok=True)
    made.pulumi("destroy", "--yes", "--skip-preview", "--stack", "test")


def test_what_was_changed_by_hand_is_named(project: Project) -> None:
    """Proves with the real engine that nothing drifted at first; that then a changed, a removed and a secretly changed
    thing are named and what was kept is not; that looking changes nothing; and that no value is told."""
    assert drift.read(project.refreshed()) == ()

    (project.files / "edited").write_text("b, by hand")
    (project.files / "removed").unlink()
    (project.files / "secret").write_text(f"{SECRET}, and more")
    first, again = drift.read(project.refreshed()), drift.read(project.refreshed())

    assert [(each.name, each.words) for each in first] == [
        ("edited", "differs in text"),
        ("removed", "is gone"),
        ("secret", "differs in a secret value"),
    ]
    assert again == first
    told = drift.markdown("test", first) + drift.as_json("test", first)
    assert SECRET not in told
    assert "by hand" not in told
    assert [each["gone"] for each in json.loads(drift.as_json("test", first))["drift"]] == [False, True, False]


def test_a_look_that_fails_is_no_all_clear(project: Project) -> None:
    """Proves that a provider that cannot look is told in its words, and not taken for a stack without drift."""
    project.files.rename(project.directory / "elsewhere")
    try:
        events = project.refreshed()
    finally:
        (project.directory / "elsewhere").rename(project.files)
    with pytest.raises(SettingsError, match="nothing answers there"):
        drift.read(events)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ("", "ended before it had looked at everything"),
        ('{"sequence": 0, "preludeEvent": {}}', "ended before it had looked at everything"),
        ('{\n  "steps": []\n}', "no events"),
    ],
)
def test_half_an_answer_is_no_all_clear(events: str, words: str) -> None:
    """Proves that an engine that was interrupted, or is too old, is not taken for a stack without drift."""
    with pytest.raises(SettingsError, match=words):
        drift.read(events)


def _drifts(*names: str) -> tuple[drift.Drift, ...]:
    return tuple(
        drift.Drift(urn=f"urn::{name}", type="docker:index:Container", name=name, gone=False, properties=("image",))
        for name in names
    )


def test_one_issue_is_opened_changed_and_closed(stand_in: StandIn) -> None:
    """Proves that drift opens one issue of a stack, that later drift changes it, that another stack has its own, that
    it is closed with a word when all is as declared, and that the next drift opens a new one."""
    hosted, forge = stand_in.hosted, forges.of(stand_in.variables)
    for number in range(3):
        hosted.issue(f"talk {number}", "of drift", drift.LABEL, own=False)
    assert drift.tell(forge, "prod", ()) == "no issue"
    assert drift.tell(forge, "prod", _drifts("loki")) == "issue 4 opened"
    assert drift.tell(forge, "prod", _drifts("loki", "grafana")) == "issue 4 changed"
    assert drift.tell(forge, "dev", _drifts("jaeger")) == "issue 5 opened"
    assert drift.tell(forge, "dev", _drifts("jaeger")) == "issue 5 changed"
    assert drift.tell(forge, "prod", ()) == "issue 4 closed"
    assert drift.tell(forge, "prod", _drifts("loki")) == "issue 6 opened"

    ours = hosted.issues[3:]
    assert [(each["title"], each["label"], each["open"]) for each in ours] == [
        ("Drift: stack prod", "drift", False),
        ("Drift: stack dev", "drift", True),
        ("Drift: stack prod", "drift", True),
    ]
    assert "| `grafana` | `docker:index:Container` | differs in image |" in ours[0]["body"]
    assert "99" in ours[0]["body"]
    (closing,) = hosted.on(4)
    assert closing.startswith("All is as declared again.")
    assert all(each["open"] for each in hosted.issues[:3])


def test_a_persons_issue_is_never_changed(stand_in: StandIn) -> None:
    """Proves that an issue in which somebody quotes ours is left alone."""
    stand_in.hosted.issue("mine", "<!-- observability: drift prod -->\nmine", drift.LABEL, own=False)
    assert drift.tell(forges.of(stand_in.variables), "prod", _drifts("loki")) == "issue 2 opened"
    assert stand_in.hosted.issues[0]["body"].endswith("mine")


def test_an_issue_fits(stand_in: StandIn) -> None:
    """Proves that a stack of which everything drifted is still told."""
    drift.tell(forges.of(stand_in.variables), "prod", _drifts(*(f"part-{number}" for number in range(900))))
    (made,) = stand_in.hosted.issues
    assert "900 resources" in made["body"]
    assert "… and 700 more" in made["body"]


def test_a_stack_that_was_never_up_is_refused(tmp_path: Path) -> None:
    """Proves that `drift` of a stack that the backend does not have is one line and status 2."""
    found, _ = environment(RuntimeKind.PROCESS)
    env = {**found, "PULUMI_BACKEND_URL": f"file://{tmp_path}", "PULUMI_CONFIG_PASSPHRASE": "a-passphrase"}
    command = [sys.executable, "-m", "tools.cli", "drift", "--stack", "local"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 2
    assert done.stderr == "STACK=local: never brought up on this backend (accepted: make up STACK=local first)\n"
