"""The pure core stays pure, and no environment is special."""

import re
import subprocess
import sys
from pathlib import Path

from tests.specs.support import ROOT

_IMPORT_ALL = """
import importlib, pkgutil, sys
import specs, dashboards
for package in (specs, dashboards):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
print(sorted(name for name in sys.modules if name.split(".")[0].startswith("pulumi")))
"""


def test_pure_core_does_not_import_pulumi() -> None:
    """Proves that importing all of `specs` and `dashboards` brings no part of Pulumi along."""
    done = subprocess.run([sys.executable, "-c", _IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


_STACK_NAME = r"(?:\bstack(?:_name)?|get_stack\(\)|\benvironment)"
_BRANCH = re.compile(
    rf"{_STACK_NAME}\s*(?:==|!=|\bin\b|\bnot in\b)\s*[\"'({{\[]"
    rf"|[\"']\s*(?:==|!=)\s*(?:[\w.]+\.)?{_STACK_NAME}"
    rf"|\bmatch\s+(?:[\w.]+\.)?{_STACK_NAME}\s*:"
)


def _code() -> list[Path]:
    folders = ("specs", "dashboards", "components", "processes", "tools", "examples")
    return [ROOT / "__main__.py", *(file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))]


def test_nothing_branches_on_the_environment() -> None:
    """Proves that no file outside the tests compares the name of a stack or an environment with a text."""
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in _code()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if _BRANCH.search(line)
    ]
    assert found == []


def test_the_search_finds_such_branches() -> None:
    """Proves that the search of the test above finds the usual forms of what it forbids, and nothing harmless."""
    bad = (
        'if stack == "prod":',
        'if pulumi.get_stack() == "dev":',
        'x = 1 if settings.environment != "prod" else 2',
        'if environment in ("dev", "prod"):',
        'if "prod" == stack:',
        "match settings.environment:",
    )
    good = (
        'labels = {"environment": settings.environment}',
        "if settings.runtime is RuntimeKind.DOCKER:",
        "for stack in stacks:",
    )
    assert [line for line in bad if not _BRANCH.search(line)] == []
    assert [line for line in good if _BRANCH.search(line)] == []
