"""What differs between the state that Pulumi kept of a stack and what is really there.

Read from the events of `pulumi refresh --preview-only --json`, which changes nothing: the engine, with each provider's
own comparison, says which resource differs. Values are never told: a resource's properties may hold a secret.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from specs.model import SettingsError
from tools.ci.comments import marker
from tools.ci.forge import Forge

EVENTS: Mapping[str, str] = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
"""What makes `--json` print events, one a line: https://www.pulumi.com/docs/iac/cli/environment-variables/."""

LABEL = "drift"

_MOST = 200
"""Rows of a table in an issue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One resource that is not as Pulumi left it."""

    urn: str
    type: str
    name: str
    gone: bool
    """Whether there is none any more."""
    properties: tuple[str, ...]
    """Paths of what differs, without values; empty where it is gone, and where only a secret differs."""

    @property
    def words(self) -> str:
        """What happened to it."""
        if self.gone:
            return "is gone"
        return f"differs in {', '.join(self.properties)}" if self.properties else "differs in a secret value"


def read(events: str) -> tuple[Drift, ...]:
    """Every resource that drifted, by name.

    Raises SettingsError with the engine's words when it failed, or when these are no events of a whole refresh.
    """
    try:
        each: list[dict[str, Any]] = [dict(json.loads(line)) for line in events.splitlines()]
    except (ValueError, TypeError) as problem:
        raise SettingsError("pulumi refresh --json: no events (accepted: Pulumi 3.200 or newer)") from problem
    said = [str(event["diagnosticEvent"]["message"]) for event in each if _is_error(event)]
    if said:
        raise SettingsError(f"pulumi refresh: {' '.join(' '.join(said).split())}")
    if not any("summaryEvent" in event for event in each):
        raise SettingsError("pulumi refresh --json: it ended before it had looked at everything")
    found = [
        drift for event in each if "resOutputsEvent" in event for drift in _of(event["resOutputsEvent"]["metadata"])
    ]
    return tuple(sorted(found, key=lambda drift: (drift.name, drift.urn)))


def _is_error(event: Mapping[str, Any]) -> bool:
    return "diagnosticEvent" in event and event["diagnosticEvent"].get("severity") == "error"


def _of(step: Mapping[str, Any]) -> Iterator[Drift]:
    if step["op"] in {"same", "refresh"}:
        return
    before: dict[str, Any] = step.get("old") or {}
    after: dict[str, Any] = step.get("new") or {}
    gone = step["op"] == "delete"
    paths = step.get("detailedDiff") or _differing(before.get("outputs"), after.get("outputs"), "")
    yield Drift(
        urn=str(step["urn"]),
        type=str(step["type"]),
        name=str(step["urn"]).rpartition("::")[2],
        gone=gone,
        properties=() if gone else tuple(sorted(set(paths))),
    )


def _differing(before: object, after: object, path: str) -> Iterator[str]:
    """Paths at which two values differ; of lists, the list's own."""
    if isinstance(before, dict) and isinstance(after, dict):
        one, other = cast("dict[str, object]", before), cast("dict[str, object]", after)
        for key in sorted({*one, *other}):
            yield from _differing(one.get(key), other.get(key), f"{path}.{key}".removeprefix("."))
    elif before != after and not path.rpartition(".")[2].startswith("__"):
        yield path


def as_json(stack: str, found: tuple[Drift, ...]) -> str:
    """For machines."""
    return json.dumps({"stack": stack, "drift": [asdict(drift) for drift in found]}, indent=2)


def markdown(stack: str, found: tuple[Drift, ...], run: str = "") -> str:
    """What an issue says."""
    rows = [f"| `{drift.name}` | `{drift.type}` | {drift.words} |" for drift in found[:_MOST]]
    more = [f"\n… and {len(found) - _MOST} more"] if len(found) > _MOST else []
    seen = [f"\nSeen by [this job]({run})."] if run else []
    advice = (
        f"`make preview STACK={stack} REFRESH=1` shows what `make up STACK={stack}` would do about it. Who meant the"
        " change declares it; who did not brings the stack up again. The next look closes this when nothing differs."
    )
    first = f"What is there is not what Pulumi made of the stack `{stack}`: {_count(found)}."
    table = ["| resource | type | what |", "|---|---|---|", *rows]
    return "\n".join([first, "", *table, *more, "", advice, *seen]) + "\n"


def _count(found: tuple[Drift, ...]) -> str:
    return f"{len(found)} resource{'' if len(found) == 1 else 's'}"


def tell(forge: Forge, stack: str, found: tuple[Drift, ...]) -> str:
    """Keep one issue of the stack: open while something drifted, and saying what, as of now. What was done, in words.

    Raises SettingsError in the forge's words.
    """
    first = marker(f"drift {stack}")
    known = next((issue for issue in forge.issues(LABEL) if issue.body.startswith(first)), None)
    if not found:
        if known is None:
            return "no issue"
        seen = f" [This job]({forge.run}) looked." if forge.run else ""
        forge.close_issue(known.number, f"All is as declared again.{seen}")
        return f"issue {known.number} closed"
    body = f"{first}\n{markdown(stack, found, forge.run)}"[: forge.limit]
    if known is None:
        number = forge.open_issue(f"Drift: stack {stack}", body, LABEL)
        return f"issue {number} opened"
    forge.edit_issue(known.number, body)
    return f"issue {known.number} changed"
