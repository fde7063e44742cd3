"""What a Grafana says of its dashboards; it is only read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast
from urllib.parse import urlencode

import httpx

from tools.pictures.request import PictureError, Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboard:
    """A dashboard, as far as it matters for its picture."""

    uid: str
    title: str
    folder: str
    panels: Mapping[int, str]
    """Titles of the panels by id; rows are none."""
    rows: int
    """Height of its grid, in the grid's own rows."""


def _flat(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        if panel.get("type") != "row":
            yield panel
        # What is in a collapsed row is not shown, but may be called by its id.
        yield from _flat(panel.get("panels") or [])


def _described(found: Mapping[str, Any], model: Mapping[str, Any]) -> Dashboard:
    panels: list[dict[str, Any]] = model.get("panels") or []
    shown = [panel for panel in panels if panel.get("type") != "row"]
    return Dashboard(
        uid=str(found["uid"]),
        title=str(found["title"]),
        folder=str(found.get("folderTitle") or "General"),
        panels={int(panel["id"]): str(panel.get("title") or f"panel {panel['id']}") for panel in _flat(panels)},
        rows=max((panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in shown if "gridPos" in panel), default=0),
    )


class Grafana:
    """A live Grafana; close it, or use it in a `with`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        headers = {"Authorization": f"Bearer {request.token}"} if request.token else {}
        self._client = httpx.Client(base_url=request.url, headers=headers, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def version(self) -> str:
        """Its version. Raises PictureError when no Grafana answers."""
        said = self._json("/api/health")
        if not isinstance(said, dict) or "database" not in said:
            raise PictureError(f"{self._request.url}: this is no Grafana (accepted: the address that its pages have)")
        return str(cast("dict[str, Any]", said).get("version", "of a version that it does not tell"))

    def log_in(self) -> None:
        """Log in where there is a password, once: after a few wrong ones Grafana locks the account."""
        if self._request.token or not self._request.password:
            return
        answer = self._ask("POST", "/login", {"user": self._request.user, "password": self._request.password})
        if not answer.is_success:
            raise PictureError(
                f"{self._request.url}: refuses the login of {self._request.user} (status {answer.status_code}); after"
                " a few wrong passwords it refuses the right one too, for five minutes"
            )

    def cookies(self) -> list[dict[str, Any]]:
        """The session's cookies, in the form of browsers."""
        return [{"name": each.name, "value": each.value, "url": self._request.url} for each in self._client.cookies.jar]

    def dashboards(self) -> tuple[Dashboard, ...]:
        """Those that are asked for, by folder and title. Raises PictureError when there are none."""
        found = self._json("/api/search?type=dash-db&limit=5000")
        if not found:
            raise PictureError(f"{self._request.url}: it has no dashboards, or none that this account may see")
        wanted = [each for each in found if self._request.wants(each["uid"])]
        if not wanted:
            known = ", ".join(sorted(each["uid"] for each in found))
            asked = ",".join(self._request.dashboards)
            raise PictureError(f'DASHBOARD: "{asked}" is none of {self._request.url} (accepted: {known})')
        every = [_described(each, self._json(f"/api/dashboards/uid/{each['uid']}")["dashboard"]) for each in wanted]
        return tuple(sorted(every, key=lambda each: (each.folder, each.title)))

    def page(self, dashboard: Dashboard) -> str:
        """Address of the dashboard, without menus."""
        back = self._request.range
        query = {"theme": self._request.theme, **({"from": f"now-{back}", "to": "now"} if back else {})}
        return f"{self._request.url}/d/{dashboard.uid}?{urlencode(query)}&kiosk"

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise PictureError(f"GRAFANA_URL: {self._request.url} does not answer: {error}") from error

    def _json(self, path: str) -> Any:
        answer = self._ask("GET", path)
        if answer.status_code in {401, 403}:
            raise PictureError(
                f"{self._request.url}{path}: refused (status {answer.status_code}; accepted: GRAFANA_TOKEN of a service"
                " account that may see dashboards, or GRAFANA_USER and GRAFANA_PASSWORD_FILE)"
            )
        try:
            return answer.raise_for_status().json()
        except (httpx.HTTPStatusError, ValueError) as error:
            why = f"no answer of a Grafana (status {answer.status_code})"
            raise PictureError(f"{self._request.url}{path}: {why}") from error
