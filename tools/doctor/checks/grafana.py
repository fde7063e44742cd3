"""Grafana reaches what it asks, and has the declared dashboards."""

from collections.abc import Sequence
from typing import Any

import httpx

from specs import alertmanager, grafana
from specs.datasources import Datasource, datasources
from tools.doctor.findings import Finding, fail, listed, ok, warn
from tools.doctor.live import Live, SilentError

_ASKS = {
    "prometheus": "/api/v1/query?query=1",
    "loki": "/loki/api/v1/labels",
    "jaeger": "/api/services",
    "alertmanager": "/api/v2/status",
}
"""What each kind of datasource answers when it is well."""
_MOST = 5000
"""Dashboards of a search: Grafana's own limit."""


def _there_is(live: Live) -> bool:
    return grafana.NAME in live.stack.names or live.stack.context.settings.grafana.url is not None


def _base(live: Live) -> str:
    elsewhere = live.stack.context.settings.grafana.url
    return elsewhere.rstrip("/") if elsewhere else live.one(grafana.NAME).url


async def _ask(live: Live, path: str) -> httpx.Response:
    """What Grafana answers to somebody it knows. Raises SilentError when it does not answer, or knows nobody."""
    try:
        answer = await live.client.get(f"{_base(live)}{path}", headers=dict(live.grafana_login))
    except httpx.HTTPError as problem:
        raise SilentError(grafana.NAME, f"no answer ({type(problem).__name__})") from None
    if answer.status_code in {401, 403}:
        raise SilentError(grafana.NAME, f"{path} answers {answer.status_code}: the login is not allowed to see that")
    return answer


def _unknown(live: Live) -> list[Finding]:
    """The finding that nobody may ask Grafana; none: somebody may."""
    if live.grafana_login:
        return []
    return [warn("grafana: cannot be asked without a login", "set GRAFANA_TOKEN to a service account's token")]


async def datasources_answer(live: Live) -> list[Finding]:
    """By Grafana's own checks where it can be asked, by asking each address otherwise."""
    if not _there_is(live):
        found = [await _directly(live, source) for source in datasources(live.stack.context)]
        return [each for each in found if each] or [ok("there is no Grafana; what it would ask answers")]
    if unknown := _unknown(live):
        return unknown
    found = [await _by_grafana(live, source) for source in datasources(live.stack.context)]
    return [each for each in found if each] or [ok(f"Grafana reaches {len(found)} datasources")]


async def _directly(live: Live, source: Datasource) -> Finding | None:
    if source.uid in live.instances and source.kind in _ASKS:
        try:
            await live.ask(live.one(source.uid), _ASKS[source.kind])
        except SilentError as problem:
            return live.silent(problem)
    return None


async def _by_grafana(live: Live, source: Datasource) -> Finding | None:
    # What is Grafana's page alone, its server has no check of; it hands requests on.
    through = source.kind == alertmanager.NAME
    path = f"/api/datasources/proxy/uid/{source.uid}/api/v2/status" if through else ""
    answer = await _ask(live, path or f"/api/datasources/uid/{source.uid}/health")
    said: Any = {}
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        said = answer.json()
    if answer.is_success and (through or said.get("status") == "OK"):
        return None
    words = str(said.get("message") or f"answers {answer.status_code}")
    return fail(f"grafana: the datasource {source.uid}: {words}", f"make logs {live.of}PART={source.uid}")


async def _dashboards(live: Live) -> dict[str, str]:
    """Folder of each dashboard that Grafana has, by uid. Raises SilentError."""
    answer = await _ask(live, f"/api/search?type=dash-db&limit={_MOST}")
    if not answer.is_success:
        raise SilentError(grafana.NAME, f"/api/search answers {answer.status_code}")
    return {board["uid"]: board.get("folderUid") or "" for board in answer.json()}


def _declared(live: Live) -> dict[str, str]:
    """Folder of each declared dashboard, by uid."""
    split = (path.removesuffix(".json").split("/") for path in live.stack.dashboards)
    return {uid: folder for folder, uid in split}


async def dashboards_are_there(live: Live) -> list[Finding]:
    """Every declared one, in its folder."""
    declared = _declared(live)
    if not _there_is(live):
        return [ok(f"there is no Grafana; {len(declared)} dashboards are declared")]
    if unknown := _unknown(live):
        return unknown
    found = await _dashboards(live)
    missing = [uid for uid in declared if uid not in found]
    moved = [uid for uid, folder in declared.items() if uid in found and found[uid] != folder]
    todo = f"make up {live.of}".strip()
    return [
        *([fail(f"grafana: dashboards are missing: {listed(missing)}", todo)] if missing else []),
        *([warn(f"grafana: dashboards are in another folder: {listed(moved)}", todo)] if moved else []),
    ] or [ok(f"{len(declared)} dashboards are in Grafana")]


async def undeclared_dashboards(live: Live) -> Sequence[Finding]:
    """Those that Grafana has beside the declared ones; of one that others use too, those in the stack's folders."""
    if not _there_is(live) or not live.grafana_login:
        return []
    declared = _declared(live)
    shared = live.stack.context.settings.grafana.url is not None
    folders = set(declared.values())
    extra = [
        uid
        for uid, folder in (await _dashboards(live)).items()
        if uid not in declared and (not shared or folder in folders)
    ]
    todo = "export it into dashboards/, or remove it: nobody looks after it"
    return [warn(f"grafana: dashboards that nobody declared: {listed(extra)}", todo)] if extra else []
