"""Scripts that jobs run, run on made inputs, with stand-ins for the command lines of clouds."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

PYTHON_OF_REPORTS = """#!/bin/sh
# -m tools.cli diff --base BASE --stack STACK --out FILE, or -m tools.cli policy --stack STACK
echo "$*" >> "$ASKED"
if [ "$3" = policy ]; then
  echo "rule none"; echo "12 resources of stack $5"
  [ "$5" != loose ]
  exit
fi
case "$7" in
  broken) exit 2 ;;
  gone) echo "# $7: an output is gone" > "$9"; exit 1 ;;
  *) echo "# $7" > "$9" ;;
esac
"""


def _script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def _report(tmp_path: Path, *stacks: str) -> "subprocess.CompletedProcess[str]":
    env = {
        **os.environ,
        "PYTHON": str(_script(tmp_path, "python", PYTHON_OF_REPORTS)),
        "ASKED": str(tmp_path / "asked"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    command = [str(ROOT / "tools" / "ci" / "change-report.sh"), "main", str(tmp_path / "reports"), *stacks]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False)


def test_reports_of_all_stacks(tmp_path: Path) -> None:
    """Proves that each stack's report is made, in the order that was asked for, that a breaking change and a broken
    rule do not stop the others and are named, and that the summary has all."""
    done = _report(tmp_path, "local", "gone", "loose")
    reports = tmp_path / "reports"

    assert done.returncode == 0, done.stderr
    names = [f"{name}{end}" for name in ("1-local", "2-gone", "3-loose") for end in (".md", ".policy.md")]
    assert sorted(path.name for path in reports.glob("*")) == sorted([*names, "breaking.txt", "policy.txt"])
    assert [(reports / name).read_text() for name in ("breaking.txt", "policy.txt")] == ["gone\n", "loose\n"]
    assert (tmp_path / "output").read_text() == "breaking=gone\npolicy=loose\n"
    summary = (tmp_path / "summary").read_text()
    assert re.findall("^# .*", summary, re.MULTILINE) == ["# local", "# gone: an output is gone", "# loose"]
    assert summary.count("rule none") == 3
    assert "<details><summary>Policy of gone: 12 resources of stack gone</summary>" in summary
    first = (tmp_path / "asked").read_text().splitlines()[0]
    assert first == f"-m tools.cli diff --base main --stack local --out {reports}/1-local.md"


def test_nothing_found_is_an_empty_output(tmp_path: Path) -> None:
    """Proves that a job finds no breaking change and no broken rule where there is none."""
    assert _report(tmp_path, "local").returncode == 0
    assert (tmp_path / "output").read_text() == "breaking=\npolicy=\n"


def test_a_report_that_cannot_be_made_fails(tmp_path: Path) -> None:
    """Proves that a stack that does not render is not taken for one without changes."""
    assert _report(tmp_path, "broken", "dev").returncode == 2
    assert "dev" not in (tmp_path / "asked").read_text()


TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> "$ASKED"
"""
CLOUDS = {
    "aws": ["aws eks update-kubeconfig --name observability"],
    "google": [
        "gcloud iam workload-identity-pools create-cred-config a-provider --service-account=me FILE FILE",
        "gcloud auth login --quiet FILE",
        "gcloud container clusters get-credentials observability --location here",
    ],
    "azure": [
        "az login --output none --service-principal --username me --tenant a-tenant --federated-token a.job.token",
        "az account set --subscription a-subscription",
        "az aks get-credentials --name observability --resource-group a-group",
        "kubelogin convert-kubeconfig --login azurecli",
    ],
    "": [],
}


PYTHON = """#!/bin/sh
echo "export PYTHONPATH=a-checkout"
"""


def _sourced(tmp_path: Path, cloud: str, stack: str = "prod") -> "subprocess.CompletedProcess[str]":
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("aws", "gcloud", "az", "kubelogin"):
        _script(tools, name, TOOL)
    env = {
        "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": f"{tools}:{os.environ['PATH']}",
        "ASKED": str(tmp_path / "asked"), "STACK": stack, "CLOUD": cloud, "OIDC_TOKEN": "a.job.token",
        "CLOUD_IDENTITY": "me", "CLOUD_REGION": "here", "CLUSTER": "observability", "CLUSTER_GROUP": "a-group",
        "GOOGLE_PROVIDER": "a-provider", "AZURE_TENANT": "a-tenant", "AZURE_SUBSCRIPTION": "a-subscription",
        "PULUMI_BACKEND_URL": "s3://bucket", "CI_PROJECT_ID": "42", "CI_JOB_ID": "1",
    }  # fmt: skip
    script = "set -eo pipefail\nsource tools/ci/gitlab-cloud.sh\nenv"
    where = tmp_path
    if stack == "local":
        where = _checkout(tmp_path)
    else:
        (tools / "ci").symlink_to(ROOT / "tools" / "ci")
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        _script(tmp_path / ".venv" / "bin", "python", PYTHON)
    command = ["bash", "-c", script]
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=60, check=False)


def _checkout(tmp_path: Path) -> Path:
    """A directory with this project, and with the Python that runs the tests as .venv."""
    place = tmp_path / "checkout"
    place.mkdir()
    for entry in ("components", "dashboards", "processes", "specs", "systems", "tools", "Pulumi.yaml"):
        (place / entry).symlink_to(ROOT / entry)
    for stack in ("local", "prod"):
        (place / f"Pulumi.{stack}.yaml").symlink_to(ROOT / f"Pulumi.{stack}.yaml")
    (place / ".venv").symlink_to(sys.prefix)
    return place


def _asked(tmp_path: Path) -> Sequence[str]:
    """What was asked of clouds, with FILE for an option that names one."""
    file = tmp_path / "asked"
    text = file.read_text() if file.exists() else ""
    return re.sub(r"--\S+-file=\S+|--output-file=\S+", "FILE", text).splitlines()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_gitlab_reaches_a_cloud_by_its_token(cloud: str, tmp_path: Path) -> None:
    """Proves that each cloud's command line is asked for the cluster with the job's identity, that its libraries find
    the token in a file which only the job reads, and that Pulumi's environment is there."""
    done = _sourced(tmp_path, cloud)
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    assert _asked(tmp_path) == CLOUDS[cloud]
    assert found["PULUMI_BACKEND_URL"] == "s3://bucket"
    assert found["PYTHONPATH"] == "a-checkout"
    if cloud in {"aws", "azure"}:
        file = Path(found["AWS_WEB_IDENTITY_TOKEN_FILE" if cloud == "aws" else "AZURE_FEDERATED_TOKEN_FILE"])
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("a.job.token", 0o600)
    if cloud == "aws":
        assert (found["AWS_ROLE_ARN"], found["AWS_REGION"]) == ("me", "here")
    if cloud == "google":
        assert found["GOOGLE_APPLICATION_CREDENTIALS"].endswith(".json")


def test_a_stack_of_processes_needs_no_cloud(tmp_path: Path) -> None:
    """Proves that `local` is looked at in the job, whatever the project's variables say of the others."""
    done = _sourced(tmp_path, "aws", stack="local")
    assert done.returncode == 0, done.stderr
    assert _asked(tmp_path) == []
    assert "PULUMI_BACKEND_URL=file://" in done.stdout


def test_an_unknown_cloud_is_refused(tmp_path: Path) -> None:
    """Proves that a mistyped variable is one line and status 2."""
    done = _sourced(tmp_path, "amazon")
    assert done.returncode == 2
    assert done.stderr == "CLOUD=amazon: not known (accepted: aws, google, azure, or empty)\n"


@pytest.mark.parametrize("backend", ["", "s3://bucket?region=eu-central-1"])
def test_steps_that_follow_have_pulumis_environment(backend: str, tmp_path: Path) -> None:
    """Proves that what GitHub's action hands on is what `. ./activate` gives a shell, as lines that the runner reads,
    with the job's own backend where none is configured."""
    action = yaml.safe_load((ROOT / ".github" / "actions" / "credentials" / "action.yml").read_text())
    script = action["runs"]["steps"][-1]["run"]
    env = {
        "HOME": str(tmp_path), "PATH": os.environ["PATH"], "BACKEND": backend, "STACK": "local",
        "GITHUB_ENV": str(tmp_path / "env"), "GITHUB_PATH": str(tmp_path / "path"),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=_checkout(tmp_path), env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())

    assert found["PULUMI_BACKEND_URL"] == backend or (not backend and found["PULUMI_BACKEND_URL"].startswith("file:"))
    assert ("PULUMI_CONFIG_PASSPHRASE_FILE" in found) is not bool(backend)
    assert "PATH" not in found
    path = (tmp_path / "path").read_text().splitlines()
    # The runner puts each line before what it has.
    assert path[-1].endswith("/bin")
    assert any("observability" in line for line in path)
