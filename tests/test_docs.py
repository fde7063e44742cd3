"""The documents are true: targets, links and commands that they name exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def test_readme_names_every_make_target() -> None:
    """Proves that the table of targets and the Makefile agree."""
    readme = (ROOT / "README.md").read_text()
    told = set(re.findall(r"^\| `make ([a-z-]+)` \|", readme, re.MULTILINE))
    command = ["make", "--no-print-directory", "help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == {line.split()[0] for line in helped.splitlines()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Proves that every relative link of a page leads to a file."""
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_scenarios_are_documented() -> None:
    """Proves that the scenarios of `make demo` are those of the README and of the sample app."""
    from tools.demonstration import SCENARIOS

    readme = (ROOT / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith("| `make demo` |"))
    assert set(re.findall(r"`(?:SCENARIO=)?([a-z-]+)`", row)) | {"normal"} == set(SCENARIOS)
    app = (ROOT / "examples" / "sample-app" / "README.md").read_text()
    assert all(f"`{scenario}`" in app for scenario in SCENARIOS)
