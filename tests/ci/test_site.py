"""docs/ as a site: no link leads nowhere, every page is reached, and search finds what pages say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://git.example.com/team/observability"


def _build(target: Path, docs: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--site-dir", str(target)]
    env = {"PATH": "/usr/bin:/bin", "SITE_REPOSITORY": REPOSITORY, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=docs, env=env, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once."""
    target = tmp_path_factory.mktemp("site")
    done = _build(target)
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_built(site: Path) -> None:
    """Proves that each page of docs/ is a page of the site; it is built strictly, so that a page that the navigation
    lacks, and a link or heading that is not there, would have failed it."""
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.parent.relative_to(site) for path in site.rglob("index.html")}

    assert {page for page in pages if page.name != "index"} - built == set()


def test_search_finds_what_pages_say(site: Path) -> None:
    """Proves that the index of the search has runbooks, settings and headings."""
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    titles = {entry["location"]: entry["title"] for entry in found}

    assert titles["runbooks/DatabaseDiskFull/"] == "DatabaseDiskFull"
    assert any("port_offset" in entry["text"] for entry in found if entry["location"].startswith("settings/"))
    assert titles["ci/#drift-was-anything-changed-by-hand"] == "Drift: was anything changed by hand?"


def test_links_out_of_docs_lead_to_the_repository(site: Path) -> None:
    """Proves that a link to a file beside docs/ leads to it."""
    text = (site / "index.html").read_text(encoding="utf-8")
    assert f'<a href="{REPOSITORY}/blob/HEAD/README.md">README</a>' in text


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """Proves that a page loads no font, style or script from another host."""
    text = (site / "ci" / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script src|link rel="stylesheet" href)="([^"]+)"', text)

    assert loaded
    assert [url for url in loaded if "//" in url] == []


def test_a_broken_link_fails(tmp_path: Path) -> None:
    """Proves that the build would say so: a link, a heading and a page without a place."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("not_in_nav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{text}nav: [index.md]\n", encoding="utf-8")
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[b](gone.md) [c](other.md#nowhere) [d](../tools/gone.py)\n")
    (tmp_path / "docs" / "other.md").write_text("# B\n")
    done = _build(tmp_path / "site", tmp_path)

    assert done.returncode == 1
    for words in ("'gone.md'", "'other.md#nowhere'", "'../tools/gone.py'", 'not included in the "nav" configuration'):
        assert words in done.stderr
