"""GitHub, by its REST API (https://docs.github.com/rest) and the variables that it sets for every job."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx

from specs.model import SettingsError
from tools.ci.api import Api, have
from tools.ci.forge import Issue, Note


@dataclass(frozen=True, slots=True)
class GitHub:
    """A repository on GitHub, or on a GitHub Enterprise Server."""

    api: Api
    repository: str
    ref: str
    run: str
    limit: int = 65_536

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "GitHub":
        """By the variables of a job of GitHub Actions. Raises SettingsError when one is missing."""
        repository = have(variables, "GITHUB_REPOSITORY")
        client = httpx.Client(
            base_url=variables.get("GITHUB_API_URL", "https://api.github.com"),
            headers={
                "Authorization": f"Bearer {have(variables, 'GITHUB_TOKEN')}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            timeout=30,
        )
        server, run = variables.get("GITHUB_SERVER_URL", "https://github.com"), variables.get("GITHUB_RUN_ID", "")
        url = f"{server}/{repository}/actions/runs/{run}" if run else ""
        return cls(api=Api("GitHub", client), repository=repository, ref=variables.get("GITHUB_REF", ""), run=url)

    @property
    def change(self) -> int:
        """Of `refs/pull/<number>/merge`, which is what a job on a pull request has checked out."""
        found = re.fullmatch(r"refs/pull/(\d+)/(?:merge|head)", self.ref)
        if not found:
            raise SettingsError(f"GITHUB_REF={self.ref}: no pull request (accepted: refs/pull/<number>/merge)")
        return int(found[1])

    def notes(self, change: int) -> Iterator[Note]:
        """Comments of Apps, whose token a job has. What a person wrote is never edited, marker or not."""
        for entry in self.api.pages(f"/repos/{self.repository}/issues/{change}/comments"):
            if entry["user"]["type"] == "Bot":
                yield Note(int(entry["id"]), str(entry["body"]))

    def add_note(self, change: int, body: str) -> None:
        """A comment on the conversation, not on a line."""
        self.api.have("POST", f"/repos/{self.repository}/issues/{change}/comments", json={"body": body})

    def edit_note(self, change: int, note: int, body: str) -> None:  # noqa: ARG002 - GitLab needs the change
        """Change a comment."""
        self.api.have("PATCH", f"/repos/{self.repository}/issues/comments/{note}", json={"body": body})

    def issues(self, label: str) -> Iterator[Issue]:
        """Open issues of Apps; pull requests, which the API lists too, are none."""
        for entry in self.api.pages(f"/repos/{self.repository}/issues", labels=label, state="open"):
            if "pull_request" not in entry and entry["user"]["type"] == "Bot":
                yield Issue(int(entry["number"]), str(entry["body"] or ""))

    def open_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue; a label that is new is made."""
        content = {"title": title, "body": body, "labels": [label]}
        return int(self.api.have("POST", f"/repos/{self.repository}/issues", json=content)["number"])

    def edit_issue(self, number: int, body: str) -> None:
        """Change what an issue says."""
        self.api.have("PATCH", f"/repos/{self.repository}/issues/{number}", json={"body": body})

    def close_issue(self, number: int, words: str) -> None:
        """Comment on an issue and close it as done."""
        self.add_note(number, words)
        content = {"state": "closed", "state_reason": "completed"}
        self.api.have("PATCH", f"/repos/{self.repository}/issues/{number}", json=content)

    def release(self, tag: str, notes: str) -> None:
        """One whose version has a pre-release part is marked so."""
        releases = f"/repos/{self.repository}/releases"
        content = {"tag_name": tag, "name": tag, "body": notes, "prerelease": "-" in tag}
        found = self.api.ask("GET", f"{releases}/tags/{tag}")
        if found.status_code == 404:
            self.api.have("POST", releases, json=content)
        else:
            self.api.have("PATCH", f"{releases}/{found.json()['id']}", json=content)
