"""What a job needs of where the code is hosted: comments on changes, issues, releases."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Note:
    """A comment on a change that a job wrote."""

    id: int
    body: str


@dataclass(frozen=True, slots=True)
class Issue:
    """An open issue."""

    number: int
    body: str


class Forge(Protocol):
    """What both can do. Each method raises SettingsError, in one line, when the forge refuses or does not answer."""

    @property
    def limit(self) -> int:
        """Most characters of a comment or an issue."""
        ...

    @property
    def run(self) -> str:
        """URL of the job that runs this; empty: it has none."""
        ...

    @property
    def change(self) -> int:
        """Number of the pull or merge request that the job is about. Raises SettingsError when it is about none."""
        ...

    def notes(self, change: int) -> Iterator[Note]:
        """Comments of jobs on a change, the oldest first."""
        ...

    def add_note(self, change: int, body: str) -> None:
        """Comment on a change."""
        ...

    def edit_note(self, change: int, note: int, body: str) -> None:
        """Change a comment."""
        ...

    def issues(self, label: str) -> Iterator[Issue]:
        """Open issues with a label."""
        ...

    def open_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue; its number."""
        ...

    def edit_issue(self, number: int, body: str) -> None:
        """Change what an issue says."""
        ...

    def close_issue(self, number: int, words: str) -> None:
        """Comment on an issue and close it."""
        ...

    def release(self, tag: str, notes: str) -> None:
        """Make the release of a tag, or change its notes where there is one."""
        ...
