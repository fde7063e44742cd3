"""A deployment's annotation as a resource: posted when it is made, and again when it says something else."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider


class _Provider(ResourceProvider):
    """Posts on create. An annotation marks what has been, so neither an update nor a deletion changes it."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Post it. Raises OutputsError with one line."""
        # Imported when it runs: Pulumi packs this class into the state.
        from observability_outputs.annotations import post
        from observability_outputs.contract import OutputsError

        if not props["url"] or not props["token"]:
            missing = "url" if not props["url"] else "token"
            raise OutputsError(f"outputs.grafana.annotations.{missing}: absent (docs/outputs.md)")
        made = post(props["url"], props["token"], props["text"], props["tags"])
        return CreateResult(id_=str(made), outs=dict(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Other words are another annotation; another address or token is not."""
        replaces = [key for key in ("text", "tags") if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(replaces), replaces=replaces, delete_before_replace=True)


class Mark(Resource, module="observability", name="DeploymentAnnotation"):
    """An annotation in Grafana; its id is Grafana's."""

    def __init__(  # noqa: PLR0913 - what an annotation is made of
        self,
        name: str,
        *,
        url: pulumi.Input[str],
        token: pulumi.Input[str],
        text: pulumi.Input[str],
        tags: pulumi.Input[Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs: Mapping[str, Any] = {"url": url, "token": token, "text": text, "tags": tags}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        super().__init__(_Provider(), name, dict(inputs), pulumi.ResourceOptions.merge(opts, secret))
