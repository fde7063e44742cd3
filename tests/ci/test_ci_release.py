"""Notes of a release are its section of the changelog."""

from pathlib import Path

import pytest

from specs.model import SettingsError
from tests.ci.stand_ins import StandIn
from tools.ci import forges, release

ROOT = Path(__file__).resolve().parents[2]
LOG = """# Changelog

## Unreleased

### Added
- not yet

## [1.2.0] - 2026-11-22

### Added
- `make diff`

### Removed
- a setting

## 1.1.0 - 2026-10-01

## 1.1.0-rc.1
- first
"""


def test_notes_are_the_versions_section() -> None:
    """Proves that nothing of the versions around it is in it, with or without brackets and `v`."""
    assert release.notes(LOG, "v1.2.0") == "### Added\n- `make diff`\n\n### Removed\n- a setting\n"
    assert release.notes(LOG, "1.1.0-rc.1") == "- first\n"


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("v1.3.0", "no section 1.3.0 (accepted: Unreleased, 1.2.0, 1.1.0, 1.1.0-rc.1)"),
        ("v1.1.0", "1.1.0 says nothing"),
    ],
)
def test_a_tag_without_notes_is_refused(tag: str, words: str) -> None:
    """Proves that no empty release is made."""
    with pytest.raises(SettingsError) as refused:
        release.notes(LOG, tag)
    assert words in str(refused.value)


def test_the_changelog_can_be_read() -> None:
    """Proves that this project's own changelog has the form."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert release.notes(text, "Unreleased").startswith("### ")


def test_a_release_is_made_once(stand_in: StandIn) -> None:
    """Proves that a second run of a tag's job changes the notes and makes no second release."""
    forge = forges.of(stand_in.variables)
    forge.release("v1.2.0", "first")
    forge.release("v1.2.0", "second")

    assert [(tag, made["body"]) for tag, made in stand_in.hosted.releases.items()] == [("v1.2.0", "second")]
