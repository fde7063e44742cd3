"""GitLab, by its REST API (https://docs.gitlab.com/api/rest/) and the variables that it sets for every job."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx

from specs.model import SettingsError
from tools.ci.api import Api, have
from tools.ci.forge import Issue, Note


@dataclass(frozen=True, slots=True)
class GitLab:
    """A project on GitLab."""

    api: Api
    project: str
    request: str
    run: str
    limit: int = 1_000_000

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "GitLab":
        """By the variables of a job of GitLab CI. Raises SettingsError when one is missing.

        GITLAB_TOKEN is a project access token with the scope `api`: CI_JOB_TOKEN may neither comment nor open issues.
        """
        client = httpx.Client(
            base_url=have(variables, "CI_API_V4_URL"),
            headers={"PRIVATE-TOKEN": have(variables, "GITLAB_TOKEN")},
            timeout=30,
        )
        return cls(
            api=Api("GitLab", client),
            project=f"/projects/{have(variables, 'CI_PROJECT_ID')}",
            request=variables.get("CI_MERGE_REQUEST_IID", ""),
            run=variables.get("CI_JOB_URL", ""),
        )

    @property
    def change(self) -> int:
        """Of a pipeline for merge requests."""
        if not self.request.isdecimal():
            raise SettingsError("CI_MERGE_REQUEST_IID: not set (accepted: a pipeline of a merge request)")
        return int(self.request)

    def _me(self) -> int:
        return int(self.api.have("GET", "/user")["id"])

    def notes(self, change: int) -> Iterator[Note]:
        """Comments of the token's own user."""
        me = self._me()
        for entry in self.api.pages(f"{self.project}/merge_requests/{change}/notes", sort="asc"):
            if entry["author"]["id"] == me:
                yield Note(int(entry["id"]), str(entry["body"]))

    def add_note(self, change: int, body: str) -> None:
        """A comment on the conversation, not on a line."""
        self.api.have("POST", f"{self.project}/merge_requests/{change}/notes", json={"body": body})

    def edit_note(self, change: int, note: int, body: str) -> None:
        """Change a comment."""
        self.api.have("PUT", f"{self.project}/merge_requests/{change}/notes/{note}", json={"body": body})

    def issues(self, label: str) -> Iterator[Issue]:
        """Open issues of the token's own user."""
        me = str(self._me())
        for entry in self.api.pages(f"{self.project}/issues", labels=label, state="opened", author_id=me):
            yield Issue(int(entry["iid"]), str(entry["description"] or ""))

    def open_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue; a label that is new is made."""
        content = {"title": title, "description": body, "labels": label}
        return int(self.api.have("POST", f"{self.project}/issues", json=content)["iid"])

    def edit_issue(self, number: int, body: str) -> None:
        """Change what an issue says."""
        self.api.have("PUT", f"{self.project}/issues/{number}", json={"description": body})

    def close_issue(self, number: int, words: str) -> None:
        """Comment on an issue and close it."""
        self.api.have("POST", f"{self.project}/issues/{number}/notes", json={"body": words})
        self.api.have("PUT", f"{self.project}/issues/{number}", json={"state_event": "close"})

    def release(self, tag: str, notes: str) -> None:
        """Of a tag that is there."""
        releases = f"{self.project}/releases"
        if self.api.ask("GET", f"{releases}/{tag}").status_code == 404:
            self.api.have("POST", releases, json={"tag_name": tag, "name": tag, "description": notes})
        else:
            self.api.have("PUT", f"{releases}/{tag}", json={"description": notes})
