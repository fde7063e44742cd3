"""Notes of a release, as CHANGELOG.md has them (https://keepachangelog.com/en/1.1.0/)."""

import re

from specs.model import SettingsError

_HEADING = re.compile(r"^## \[?v?(?P<version>[^\]\s]+)\]?(?: - .*)?$", re.MULTILINE)


def notes(changelog: str, tag: str) -> str:
    """What changed in the version of a tag (`v1.2.0` or `1.2.0`), in Markdown.

    Raises SettingsError when the changelog has no section of it, or an empty one.
    """
    version = tag.removeprefix("v")
    found = list(_HEADING.finditer(changelog))
    ends = [heading.start() for heading in found[1:]] + [len(changelog)]
    sections = {
        heading["version"]: changelog[heading.end() : end].strip() for heading, end in zip(found, ends, strict=True)
    }
    if version not in sections:
        raise SettingsError(f"CHANGELOG.md: no section {version} (accepted: {', '.join(sections) or 'none is there'})")
    if not sections[version]:
        raise SettingsError(f"CHANGELOG.md: {version} says nothing (accepted: at least one line below its heading)")
    return f"{sections[version]}\n"
