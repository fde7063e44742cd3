"""Applies objects to an API server as Pulumi's provider does: server-side, with a field manager, nothing unknown let
through."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.stacks import Object

_MANAGER = "pulumi-kubernetes"
_ROUTE = Path(__file__).with_name("httproute.json")
"""The definition of HTTPRoute, from the standard channel of Gateway API 1.4.0 (Apache-2.0), without descriptions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What the server made of objects."""

    objects: tuple[Object, ...]
    """As it stored them, in the order given."""
    complaints: str
    """What it said beside that: warnings, one a line."""

    def versions(self) -> dict[tuple[str, str, str], str]:
        """By kind, namespace and name: the version of each, which any change would move."""
        return {
            (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each["metadata"][
                "resourceVersion"
            ]
            for each in self.objects
        }


def apply(plane: ControlPlane, objects: Iterable[Object], *flags: str) -> Applied:
    """Apply `objects` in their order; AssertionError with the server's words for what it does not accept."""
    given = list(objects)
    # Not as one List: kubectl would then look for unknown fields itself, and less well than the server.
    text = "---\n".join(f"{json.dumps(each)}\n" for each in given)
    done = plane.kubectl(
        *("apply", "--server-side", f"--field-manager={_MANAGER}", "--validate=strict", "--output=json"),
        *("--filename=-", *flags),
        stdin=text,
    )
    found: Any = json.loads(done.stdout)
    return Applied(objects=tuple(found["items"] if len(given) > 1 else [found]), complaints=done.stderr)


def teach_routes(plane: ControlPlane) -> None:
    """Have the server know HTTPRoutes, which are not its own."""
    plane.kubectl("apply", "--server-side", f"--filename={_ROUTE}")
    plane.kubectl("wait", "--for=condition=Established", "crd/httproutes.gateway.networking.k8s.io", "--timeout=30s")


def pod_answer(plane: ControlPlane, pod: Object) -> tuple[int, Object]:
    """What the server answers to who asks for `pod`: status and body. Nothing is made."""
    with plane.client() as client:
        answer = client.post(
            f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods",
            params={"dryRun": "All", "fieldValidation": "Strict"},
            json=pod,
        )
    return answer.status_code, answer.json()
