"""The example in Python, run for real with the package installed as pip installs it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.local.servers import free_offset
from tests.reuse.programs import Program
from tools.paths import ROOT

EXAMPLE = ROOT / "examples" / "reuse-python"
HOOK = "http://127.0.0.1:9/canary-4711"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` of this project puts into a virtual environment, without what it depends on."""
    base = tmp_path_factory.mktemp("installed")
    source = base / "source"
    left = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, source, ignore=left)
    target = base / "site"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return target


@pytest.fixture(scope="module")
def program(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The example, copied to where no checkout is, at ports that are free."""
    base = tmp_path_factory.mktemp("bookshop")
    shutil.copytree(EXAMPLE, base / "program")
    file = base / "program" / "observability.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**settings, "port_offset": free_offset()}), encoding="utf-8")
    made = Program(directory=base / "program", state=base / "state", extra={"PYTHONPATH": str(installed)})
    made.pulumi("stack", "init", "dev")
    made.pulumi("config", "set", "--secret", "hook-url", HOOK, "--stack", "dev")
    yield made
    made.destroy()


def test_a_missing_secret_is_one_line(program: Program) -> None:
    """Proves that a program which gives no value for a secret of its settings is told so by name, and that nothing
    runs then."""
    file = program.directory / "__main__.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace('{"hook-url": config.require_secret("hook-url")}', "{}"), encoding="utf-8")
    try:
        done = program.up(check=False)
    finally:
        file.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    said = "error: observability: secrets.hook-url: missing (accepted: a secret value, which the settings name by this"
    assert said in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert not (program.state / "homes").exists()


def test_the_example_brings_a_stack_up(program: Program, installed: Path) -> None:
    """Proves that the example, with the package installed and no checkout in sight, brings a real stack up which
    answers where its outputs say, and that its secret is nowhere in the engine's state."""
    program.up()
    found = program.outputs()
    assert httpx.get(f"{found['urls']['prometheus']}/-/ready", timeout=5).status_code == 200
    sent = httpx.post(f"{found['otel_env']['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces", json={"resourceSpans": []})
    assert sent.status_code == 200
    homes = [path.name for path in (program.state / "homes").iterdir()]
    assert homes == ["bookshop.dev"]
    script = (program.state / "homes/bookshop.dev/supervisor/programs/inbox.sh").read_text(encoding="utf-8")
    assert "tools.inbox" in script
    assert HOOK not in program.pulumi("stack", "export", "--stack", "dev").stdout
    again = program.pulumi("preview", "--stack", "dev", "--expect-no-changes", check=False)
    assert again.returncode == 0, again.stdout
    assert (installed / "systems" / "roadtrip.yaml").exists()


def test_a_directory_that_hides_a_package_is_named(installed: Path, tmp_path: Path) -> None:
    """Proves that a program whose own directory `components` hides ours is told which, and what else it can do."""
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import observability_stack"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{installed}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = f"ImportError: {tmp_path}/components: hides the package components of observability-stack (accepted: "
    assert done.stderr.splitlines()[-1].startswith(said), done.stderr


def test_what_is_imported_is_what_was_installed(installed: Path, tmp_path: Path) -> None:
    """Proves that the example's import finds the installed package, not this checkout."""
    code = (
        "import observability_stack, components.reusable as r; print(observability_stack.Stack.__module__, r.__file__)"
    )
    command = [sys.executable, "-c", code]
    env = {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["components.reusable", str(installed / "components" / "reusable.py")]
