"""Every block of code on every page of the project.

docs/ci.md has the table of words. A block that cannot be tried has `<!-- not run: why -->` on the line above it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OUT_OF_SIGHT = {".venv", ".state", "node_modules", "modules", "golden", "site-packages"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {*path.relative_to(ROOT).parts} & _OUT_OF_SIGHT and ".cache" not in str(path)
)

SHOWN = {
    "text": "output",
    "console": "a transcript",
    "mermaid": "a picture",
    "ini": "read by another program",
    "sql": "read by a database",
    "http": "a request, for Kibana's Dev Tools",
    "cron": "read by cron",
    "diff": "a change",
    "typescript": "held to the package's schema in tests/reuse",
}
"""Words of blocks that nothing here reads."""
READ = {"yaml", "json", "promql", "logql", "python", "sh"}
"""Words of blocks that are read."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<word>[^\s`]*)[^\n`]*$")
_MARKER = re.compile(r"<!-- not run: (.+) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A block between fences."""

    page: str
    line: int
    """Of its first fence."""
    word: str
    """After the fence; empty: none."""
    text: str
    why: str
    """Why it cannot be tried; empty: it is."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks_of(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    opened: re.Match[str] | None = None
    first = 0
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if opened is None and found:
            opened, first = found, number
        elif opened is not None and line.strip() == opened["fence"]:
            above = next((text for text in reversed(lines[:first]) if text.strip()), "")
            marked = _MARKER.fullmatch(above.strip())
            text = "\n".join(text.removeprefix(opened["indent"]) for text in lines[first + 1 : number]) + "\n"
            name = str(page.relative_to(ROOT))
            yield Block(name, first + 1, opened["word"], text, marked[1] if marked else "")
            opened = None
    assert opened is None, f"{page}:{first + 1}: a block that does not end"


BLOCKS = tuple(block for page in PAGES for block in _blocks_of(page))


def of(word: str) -> list[Block]:
    """Blocks with a word, that can be tried."""
    return [block for block in BLOCKS if block.word == word and not block.why]
