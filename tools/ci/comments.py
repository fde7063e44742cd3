"""One comment on a change that is brought up to date, where a job runs again and again."""

import re
from collections.abc import Sequence

from tools.ci.forge import Forge

_FOLDED = re.compile(r"<details>(?:(?!<details>).)*?</details>", re.DOTALL)
_LEFT_OUT = "*What was folded here is too long for a comment: the job's artifact has all of it.*"
_CUT = "*The rest is too long for a comment: the job's artifact has all of it.*"


def marker(key: str) -> str:
    """First line of what belongs to `key`; pages do not show it."""
    return f"<!-- observability: {key} -->"


def put(forge: Forge, change: int, key: str, sections: Sequence[str]) -> str:
    """Make or change the comment of `key`; what was done, as a word. Further comments of the same key are left alone.

    Raises SettingsError in the forge's words.
    """
    first = marker(key)
    body = f"{first}\n{fitted(sections, forge.limit - len(first) - 1)}"
    for note in forge.notes(change):
        if note.body.startswith(first):
            # A forge may give line ends of its own, and drops what is white at the end.
            if _same(note.body, body):
                return "unchanged"
            forge.edit_note(change, note.id, body)
            return "changed"
    forge.add_note(change, body)
    return "made"


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def fitted(sections: Sequence[str], limit: int) -> str:
    """The sections below each other in at most `limit` characters. What is folded last in a section goes first, of the
    longest section before others; then ends are cut. Where something is missing, a line says so."""
    parts = [section.strip() for section in sections if section.strip()]
    for index in sorted(range(len(parts)), key=lambda each: -len(parts[each])):
        if _length(parts) <= limit:
            break
        folded = list(_FOLDED.finditer(parts[index]))
        if folded:
            last = folded[-1]
            parts[index] = f"{parts[index][: last.start()]}{_LEFT_OUT}{parts[index][last.end() :]}"
    if _length(parts) > limit:
        share = (limit - 2 * (len(parts) - 1)) // len(parts)
        parts = [cut(part, share) for part in parts]
    return "\n\n".join(parts)


def _length(parts: Sequence[str]) -> int:
    return len("\n\n".join(parts))


def cut(text: str, limit: int) -> str:
    """The beginning, at a line's end, with what it opened closed."""
    if len(text) <= limit:
        return text
    # Room for the words, and for the ends of a fence and of what is folded.
    kept = text[: limit - len(_CUT) - 40].rpartition("\n")[0]
    fence = "\n```" if kept.count("\n```") % 2 else ""
    folds = "\n</details>" * min(2, kept.count("<details>") - kept.count("</details>"))
    return f"{kept}{fence}{folds}\n\n{_CUT}"
