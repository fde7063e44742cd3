"""Which outputs this package understands, and how one is read: a mistake is one line that names the output."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

MAJOR = 1
"""The version of the contract that this package was written for; minor versions only add to it."""

_HIDDEN = "[secret]"
"""What Pulumi prints in the place of a secret that nobody asked to see."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")


class OutputsError(ValueError):
    """Outputs that this package cannot use, or an argument that is none; one line for people."""


def refuse_foreign(outputs: Mapping[str, Any]) -> str:
    """The version of `outputs`, `<major>.<minor>`. A stack older than `schema_version` is minor version 0.

    Raises OutputsError for what is no outputs of a stack, and for another major version.
    """
    told = outputs.get("schema_version") or outputs.get("contract_version")
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?", f"{told:g}" if isinstance(told, int | float) else str(told))
    if not found:
        raise OutputsError(
            f"outputs.schema_version: {told!r} is no version: these are not the outputs of an observability stack"
            f" (accepted: {MAJOR}.x)"
        )
    if int(found[1]) != MAJOR:
        raise OutputsError(
            f"outputs.schema_version: {told} is another major version than this package's (accepted: {MAJOR}.x; install"
            f" observability-outputs {found[1]}.x)"
        )
    return f"{found[1]}.{found[2] or 0}"


def value(outputs: Mapping[str, Any], path: str) -> Any:
    """What stands at `path`, as `grafana.annotations.url`; None where it, or what holds it, is absent or null.

    Raises OutputsError for a secret that Pulumi did not show.
    """
    found: Any = outputs
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = _shown(cast("Mapping[str, Any]", found).get(key), path)
    return found


def _shown(found: Any, path: str) -> Any:
    if found == _HIDDEN:
        raise OutputsError(
            f"outputs.{path}: a secret that is not shown (accepted: pulumi stack output --json --show-secrets)"
        )
    return found


def required(outputs: Mapping[str, Any], path: str, why: str) -> Any:
    """What stands at `path`. Raises OutputsError, with `why` it may be missing, when nothing does."""
    found = value(outputs, path)
    if found is None:
        raise OutputsError(f"outputs.{path}: absent: {why}")
    return found


def block(outputs: Mapping[str, Any], path: str) -> dict[str, str]:
    """The mapping of texts at `path`; empty where nothing stands there. Raises OutputsError where it is none."""
    found = value(outputs, path)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise OutputsError(f"outputs.{path}: {type(found).__name__} (accepted: a mapping of names to texts)")
    return {str(key): str(_shown(item, f"{path}.{key}")) for key, item in cast("Mapping[str, Any]", found).items()}


def name(given: str, argument: str) -> str:
    """`given` as the name of an application or service. Raises OutputsError when it is none."""
    if not _NAME.fullmatch(given):
        raise OutputsError(
            f"{argument}: {given!r} is not a name (accepted: at most 63 lowercase letters, digits, dots, dashes and"
            " underscores, a letter or digit at both ends)"
        )
    return given


def label(text: str) -> str:
    """`text` as the value of a Kubernetes label, which takes 63 characters and fewer kinds of them."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text).strip("_.-")[:63].rstrip("_.-")


def attribute(text: str) -> str:
    """`text` as a value in OTEL_RESOURCE_ATTRIBUTES, where commas, equal signs and what is not ASCII are escaped."""
    return quote(text, safe="!#$&'()*+-./:<>?@[]^_`{|}~")
