"""Which backend, passphrase and configuration file Pulumi is given: this project's own, unless the user chose."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from specs.model import SettingsError
from specs.settings import RuntimeKind, Settings
from tools.engine import Engine, engine, environment

PROCESS, DOCKER, KUBERNETES = RuntimeKind.PROCESS, RuntimeKind.DOCKER, RuntimeKind.KUBERNETES


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a state directory of its own for each test."""
    monkeypatch.setenv("OBSERVABILITY_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def base(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a person who configured nothing of Pulumi."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    return {**found, "PULUMI_HOME": str(tmp_path / "pulumi-home")}


def log_in(base: dict[str, str], text: str) -> None:
    """Leave what `pulumi login` does."""
    home = Path(base["PULUMI_HOME"])
    home.mkdir()
    (home / "credentials.json").write_text(text)


@pytest.mark.parametrize("kind", RuntimeKind)
def test_without_a_choice_the_state_is_our_own(base: dict[str, str], state: Path, kind: RuntimeKind) -> None:
    """Proves that whoever has no backend gets a directory and a passphrase, and no account is needed."""
    found, own = environment(kind, base)
    assert own
    assert found["PULUMI_BACKEND_URL"] == f"file://{state}/pulumi"
    assert found["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(state / "passphrase")
    assert (state / "pulumi").stat().st_mode & 0o777 == 0o700


def test_a_process_stack_is_this_machines_own_though_the_user_is_logged_in(base: dict[str, str], state: Path) -> None:
    """Proves that what runs on this machine does not land in a company's backend by itself."""
    log_in(base, json.dumps({"current": "https://api.pulumi.com"}))
    found, own = environment(PROCESS, base)
    assert (own, found["PULUMI_BACKEND_URL"]) == (True, f"file://{state}/pulumi")


@pytest.mark.parametrize("kind", [DOCKER, KUBERNETES])
def test_other_stacks_use_the_login(base: dict[str, str], state: Path, kind: RuntimeKind) -> None:
    """Proves that backend and passphrase are then the user's, and nothing is made."""
    log_in(base, json.dumps({"current": "https://api.pulumi.com"}))
    found, own = environment(kind, base)
    assert not own
    assert "PULUMI_BACKEND_URL" not in found
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in found
    assert not state.exists()


@pytest.mark.parametrize("text", ["{}", '{"current": ""}', "not JSON"])
def test_credentials_without_a_current_backend_are_no_login(base: dict[str, str], text: str) -> None:
    """Proves that a file left by `pulumi logout`, or a broken one, chooses nothing."""
    log_in(base, text)
    assert environment(DOCKER, base)[1]


@pytest.mark.parametrize("kind", RuntimeKind)
def test_a_backend_in_the_environment_is_the_users(base: dict[str, str], state: Path, kind: RuntimeKind) -> None:
    """Proves that PULUMI_BACKEND_URL wins for every stack, and that its passphrase is the user's business."""
    found, own = environment(kind, {**base, "PULUMI_BACKEND_URL": "s3://bucket"})
    assert (own, found["PULUMI_BACKEND_URL"]) == (False, "s3://bucket")
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in found
    assert not state.exists()


def test_our_own_backend_in_the_environment_is_still_ours(base: dict[str, str]) -> None:
    """Proves that a shell in which `env` was evaluated is treated like any other."""
    first, _ = environment(PROCESS, base)
    again, own = environment(PROCESS, first)
    assert own
    assert again["PULUMI_BACKEND_URL"] == first["PULUMI_BACKEND_URL"]
    assert again["PULUMI_CONFIG_PASSPHRASE_FILE"] == first["PULUMI_CONFIG_PASSPHRASE_FILE"]


def test_the_passphrase_is_made_once_for_its_owner_alone(base: dict[str, str], state: Path) -> None:
    """Proves that secrets can still be decrypted next time, by nobody else."""
    environment(PROCESS, base)
    file = state / "passphrase"
    made = file.read_text()
    assert len(made) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    environment(PROCESS, base)
    assert file.read_text() == made


@pytest.mark.parametrize("key", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_the_users_passphrase_is_respected(base: dict[str, str], state: Path, key: str) -> None:
    """Proves that one in the environment is used as it is, and none is made beside it."""
    found, own = environment(PROCESS, {**base, key: "mine"})
    assert own
    assert {name: value for name, value in found.items() if "PASSPHRASE" in name} == {key: "mine"}
    assert not (state / "passphrase").exists()


def project(directory: Path) -> Path:
    """Write a Pulumi project with the stack file of `test`; return that file."""
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
    file = directory / "Pulumi.test.yaml"
    file.write_bytes(b"# A comment, and a line without an end\nconfig:\n  tiny:a:   1")
    return file


def test_making_a_stack_leaves_the_tracked_file_as_it_was(base: dict[str, str], tmp_path: Path) -> None:
    """Proves, with the real pulumi, that `stack init` of our own backend changes no byte of the checkout; the salt that
    it wrote is kept in a copy, and a second time makes nothing."""
    file = project(tmp_path / "project")
    before = file.read_bytes()
    found, own = environment(PROCESS, base)
    engine = Engine(stack="test", project=file.parent, environment=found, own=own)
    assert not engine.exists()
    engine.ready()
    assert engine.exists()
    assert file.read_bytes() == before
    engine.ready()
    assert (file.read_bytes(), sorted(path.name for path in file.parent.iterdir())) == (
        before,
        ["Pulumi.test.yaml", "Pulumi.yaml"],
    )
    engine.forget()
    assert not engine.exists()
    assert file.read_bytes() == before


def test_a_stack_of_the_users_backend_is_as_pulumi_makes_it(base: dict[str, str], tmp_path: Path) -> None:
    """Proves that there the salt stays in the stack file, where a team shares it."""
    file = project(tmp_path / "project")
    (tmp_path / "theirs").mkdir()
    theirs = {**base, "PULUMI_BACKEND_URL": f"file://{tmp_path}/theirs", "PULUMI_CONFIG_PASSPHRASE": "mine"}
    found, own = environment(PROCESS, theirs)
    engine = Engine(stack="test", project=file.parent, environment=found, own=own)
    engine.ready()
    assert engine.exists()
    assert "encryptionsalt: v1:" in file.read_text()


def test_a_backend_that_cannot_be_reached_is_said_in_pulumis_words(base: dict[str, str], tmp_path: Path) -> None:
    """Proves that the failure is a message for people, not a traceback."""
    file = project(tmp_path / "project")
    found, own = environment(PROCESS, {**base, "PULUMI_BACKEND_URL": f"file://{tmp_path}/nowhere"})
    with pytest.raises(SettingsError, match=r"^pulumi stack ls: .*nowhere"):
        Engine(stack="test", project=file.parent, environment=found, own=own).ready()


def test_a_docker_stack_gets_the_engine_that_the_commands_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that Pulumi's provider is told of a context's engine by address, since it would ask another."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest()
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": "ssh://me@far", "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": "far", "Metadata": {}, "Endpoints": endpoints}))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "Pulumi.test.yaml").write_text("config: {}")
    settings = Settings.model_validate({"environment": "test", "cluster": "test", "runtime": "docker"})

    found = engine("test", settings, tmp_path).environment
    assert found["DOCKER_HOST"] == "ssh://me@far"
    assert "DOCKER_CONTEXT" not in found

    (tmp_path / "Pulumi.test.yaml").write_text("config: {'docker:host': 'unix:///mine.sock'}")
    assert engine("test", settings, tmp_path).environment["DOCKER_HOST"] == "unix:///mine.sock"


def test_what_is_configured_and_deployed_is_known_by_name(base: dict[str, str], tmp_path: Path) -> None:
    """Proves, with the real engine, that keys of secrets are told without their values, and that a stack without
    resources has deployed nothing."""
    file = project(tmp_path / "tiny")
    found, own = environment(PROCESS, {**base, "PULUMI_CONFIG_PASSPHRASE": "test"})
    made = Engine(stack="test", project=file.parent, environment=found, own=own)
    made.ready()
    file.write_text("config:\n  tiny:plain: 1\n  tiny:hidden: {secure: nobody can read this}\n")
    assert made.configured() == {"tiny:plain", "tiny:hidden"}
    assert made.deployed("docker:") == {}


def test_what_needs_a_forgotten_provider_is_forgotten_too(base: dict[str, str], tmp_path: Path) -> None:
    """Proves, with the real pulumi, that nothing of a provider stays in the state, and that nobody asks its plugin."""
    file = project(tmp_path / "project")
    found, own = environment(PROCESS, base)
    engine = Engine(stack="test", project=file.parent, environment=found, own=own)
    engine.ready()
    root, type_ = "urn:pulumi:test::tiny::", "pulumi:providers:nowhere"
    provider = f"{root}{type_}::there"
    resources = [
        {"urn": f"{root}pulumi:pulumi:Stack::tiny-test", "type": "pulumi:pulumi:Stack", "custom": False},
        {"urn": provider, "type": type_, "custom": True, "id": "1"},
        {
            "urn": f"{root}nowhere:index:Folder::a",
            "type": "nowhere:index:Folder",
            "custom": True,
            "id": "a",
            "provider": f"{provider}::1",
        },
    ]
    state = json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": resources}})
    (tmp_path / "state.json").write_text(state)
    assert engine.run("stack", "import", "--stack", "test", "--file", str(tmp_path / "state.json")).returncode == 0
    assert list(engine.deployed("nowhere:")) == [f"{root}nowhere:index:Folder::a"]

    engine.disown(provider)

    assert list(engine.deployed("")) == [f"{root}pulumi:pulumi:Stack::tiny-test"]
    with pytest.raises(SettingsError, match=r"^pulumi state delete .*: .*"):
        engine.disown(provider)
    engine.forget()
