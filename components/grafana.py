"""What is in Grafana, as resources of its provider: a preview names each, a refresh shows what was edited by hand."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumiverse_grafana as provider
from pulumiverse_grafana import oss

from components.part import Part
from components.ready import Ready
from specs import grafana
from specs.datasources import Datasource
from specs.grafana import Content

_PATIENCE = 30
"""Seconds for a Grafana elsewhere to answer: nobody starts it."""


def login(content: Content, secrets: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """`user:password` or a token, as the provider takes it."""
    value = secrets[content.login.key]
    return value if content.elsewhere else pulumi.Output.concat(f"{grafana.ADMIN}:", value)


def _waiting(part: Part | None) -> dict[str, Any]:
    """How long to wait for Grafana, and what makes it start anew."""
    if part is None:
        return {"seconds": _PATIENCE, "server": ""}
    server = hashlib.sha256(repr(part.workload).encode()).hexdigest()[:16]
    return {"seconds": part.workload.probe.start_seconds, "server": server}


def _numberless(board: Mapping[str, Any]) -> dict[str, Any]:
    """`board` without the numbers of its panels: the provider forgets them when it reads, and every diff of anything
    would show them all again. Grafana gives them numbers of its own."""

    def bare(panel: Mapping[str, Any]) -> dict[str, Any]:
        inner = {"panels": [bare(each) for each in panel["panels"]]} if "panels" in panel else {}
        return {**{key: value for key, value in panel.items() if key != "id"}, **inner}

    return bare(board)


class GrafanaContent(pulumi.ComponentResource):
    """Folders, dashboards, teams, permissions and a token for deployments; datasources too in a Grafana elsewhere."""

    secrets: Mapping[str, pulumi.Output[str]]
    """What is known only once it is made, by the key that the outputs name it by."""

    def __init__(
        self,
        name: str,
        content: Content,
        secrets: Mapping[str, pulumi.Output[str]],
        part: Part | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`secrets` are the stack's, by key; `part` is our own Grafana, None for one elsewhere."""
        super().__init__("observability:index:GrafanaContent", name, {}, opts)
        auth = login(content, secrets)
        teams = any(folder.owner for folder in content.folders)
        ready = Ready(
            "ready",
            {"url": content.url, "login": auth, "secret": content.login.key, "teams": teams, **_waiting(part)},
            pulumi.ResourceOptions(parent=self, depends_on=[part] if part else None),
        )
        # One more try each: `ready` has seen that Grafana answers. 0 would mean the provider's own number.
        there = provider.Provider(
            "grafana", url=content.url, auth=auth, retries=1, opts=pulumi.ResourceOptions(parent=self)
        )
        self._made = pulumi.ResourceOptions(parent=self, provider=there, depends_on=[ready])
        for source in content.datasources:
            self._datasource(source, secrets)
        folders = {folder.uid: self._folder(folder.uid, keep=content.elsewhere) for folder in content.folders}
        self._permissions(content, folders)
        dashboards = {path: self._dashboard(path, content, folders) for path in content.dashboards}
        if not content.elsewhere and grafana.HOME in dashboards:
            oss.OrganizationPreferences(
                "preferences",
                home_dashboard_uid=str(content.dashboards[grafana.HOME]["uid"]),
                opts=self._after(dashboards[grafana.HOME]),
            )
        account = oss.ServiceAccount(grafana.DEPLOYMENTS, name=grafana.DEPLOYMENTS, role="Editor", opts=self._made)
        token = oss.ServiceAccountToken(
            grafana.DEPLOYMENTS, name=grafana.DEPLOYMENTS, service_account_id=account.id, opts=self._made
        )
        self.secrets = {grafana.DEPLOYMENTS: pulumi.Output.secret(token.key)}
        self.register_outputs({})

    def _after(self, *others: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._made, pulumi.ResourceOptions(depends_on=list(others)))

    def _datasource(self, source: Datasource, secrets: Mapping[str, pulumi.Output[str]]) -> oss.DataSource:
        password = secrets[source.password.key] if source.password else None
        token = secrets[source.token.key] if source.token else None
        headers = token.apply(source.headers) if token else source.headers(None) or None
        return oss.DataSource(
            source.uid,
            uid=source.uid,
            name=source.name,
            type=source.kind,
            access_mode="proxy",
            url=source.url,
            is_default=source.default,
            json_data_encoded=json.dumps(source.settings, sort_keys=True),
            http_headers=headers,
            basic_auth_enabled=bool(source.user),
            basic_auth_username=source.user or None,
            secure_json_data_encoded=password.apply(lambda value: json.dumps({"basicAuthPassword": value}))
            if password
            else None,
            opts=self._made,
        )

    def _folder(self, uid: str, *, keep: bool) -> oss.Folder:
        # Deleting a folder takes along what else is in it, and elsewhere that is others' work. In our own, Grafana's
        # search, which may still list what was deleted a moment ago, would stop a `destroy` (decision 10).
        return oss.Folder(uid, uid=uid, title=uid, prevent_destroy_if_not_empty=keep, opts=self._made)

    def _permissions(self, content: Content, folders: Mapping[str, oss.Folder]) -> None:
        """The team of each owner, who alone may edit what is in the folder; administrators always may."""
        owners = sorted({folder.owner for folder in content.folders if folder.owner})
        teams = {owner: oss.Team(owner, name=owner, opts=self._made) for owner in owners}
        for folder in content.folders:
            if not folder.owner:
                continue
            team = teams[folder.owner]
            # The provider's ids name the organization in front; permissions are of one organization and keep the rest.
            team_id = team.id.apply(lambda found: found.rpartition(":")[2])
            oss.FolderPermission(
                folder.uid,
                folder_uid=folder.uid,
                permissions=[
                    oss.FolderPermissionPermissionArgs(role="Viewer", permission="View"),
                    oss.FolderPermissionPermissionArgs(role="Editor", permission="View"),
                    oss.FolderPermissionPermissionArgs(team_id=team_id, permission="Edit"),
                ],
                opts=self._after(folders[folder.uid]),
            )

    def _dashboard(self, path: str, content: Content, folders: Mapping[str, oss.Folder]) -> oss.Dashboard:
        folder, board = path.split("/", maxsplit=1)[0], content.dashboards[path]
        return oss.Dashboard(
            str(board["uid"]),
            # By uid and not by output: a preview knows it while Grafana is not there yet.
            folder=folder,
            config_json=json.dumps(_numberless(board), sort_keys=True),
            # Grafana's list of versions then says which are ours.
            message="pulumi up",
            # Of the same uid is the same dashboard, an earlier stack's for example.
            overwrite=True,
            opts=self._after(folders[folder]),
        )
