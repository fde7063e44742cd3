"""Writes the documents that say what the code says: run it after changing settings or alerts.

    python -m tools.documents            writes them
    python -m tools.documents --check    writes nothing; exits 1 and names what is stale

docs/runbooks/<Alert>.md    a page for each alert; what people write under "Notes" stays
docs/operations/on-call.md  every alert by its urgency, and who is told
docs/settings.md            every setting of a stack file
docs/systems.md             every key of a system's profile, and the named signals
docs/dashboards.md          every panel of every dashboard
docs/stack.schema.json      the shape of a whole stack file, for editors
docs/system.schema.json     the shape of a profile, for editors
"""

import argparse
import json
import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from specs import exporters
from specs.model import parse
from specs.profile import known
from specs.settings import KEY, RuntimeKind, Settings, load
from specs.stack import Stack, build
from tools import gallery, on_call, reference, runbooks
from tools.paths import ROOT

RUNBOOKS = "docs/runbooks"
PRODUCTION = "Pulumi.prod.yaml"
"""Whose routes say who is told."""
EXPORTERS = "docs/exporters.md"
"""Written by people; its examples are read here, so that an exporter is documented in one place."""
EXAMPLES = "examples/systems"
"""Profiles that show how one is written; their alerts have pages too."""

_CONTAINED: dict[str, Any] = {
    "runtime": "docker",
    "elk": True,
    "apm": True,
    "errors": "glitchtip",
    "alerting": {
        "default": "team",
        "receivers": {"team": {"webhook": {"url": "https://example.com"}}},
        "stand_in": "team",
    },
}
"""What a process stack has no programs for, and somebody to tell of it."""
_CLUSTERED: dict[str, Any] = {
    "runtime": "kubernetes",
    "alerting": _CONTAINED["alerting"],
    # Of all flavors the one where most of a control plane can be scraped.
    "kubernetes": {"flavor": "k3s"},
    "replicas": {"loki": 3},
    "object_storage": {"endpoint": "s3.example.com", "metrics_bucket": "metrics", "logs_bucket": "logs"},
    "thanos": {"ruler": True},
    "remote_write": {"url": "https://metrics.example.com/push"},
}
"""What only clusters have."""


@cache
def whole_stack(*, examples: bool = False) -> Stack:
    """A stack with every exporter, as `docs/exporters.md` shows it, and every system: its alerts are all there are.
    With `examples`, those of the profiles that are examples as well. It is a process stack; what only containers can
    run is added to it.

    Raises SettingsError when an example there is not acceptable.
    """
    shown: dict[str, Any] = {}
    for block in re.findall(
        r"^```yaml\n(.*?)^```$", (ROOT / EXPORTERS).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        shown |= yaml.safe_load(block)["exporters"]
    systems: dict[str, Any] = {name: {} for name in known()}
    if examples:
        systems |= {
            path.stem: {"profile": f"{EXAMPLES}/{path.name}"} for path in sorted((ROOT / EXAMPLES).glob("*.yaml"))
        }
    on_process = {
        name: value for name, value in shown.items() if RuntimeKind.PROCESS in exporters.discover()[name].runtimes
    }
    common = {"environment": "example", "cluster": "example", "systems": systems}
    whole = _built({**common, "runtime": "process", "exporters": on_process})
    contained = _built({**common, **_CONTAINED, "exporters": shown})
    for further in (contained, _built({**common, **_CLUSTERED})):
        there = {(group.file, group.name) for group in whole.groups}
        whole = replace(
            whole,
            workloads=(*whole.workloads, *(each for each in further.workloads if each.name not in whole.names)),
            groups=(*whole.groups, *(group for group in further.groups if (group.file, group.name) not in there)),
            dashboards={**further.dashboards, **whole.dashboards},
        )
    return whole


def _built(value: dict[str, Any]) -> Stack:
    return build(parse(Settings, value, file=EXPORTERS, key=KEY), file=EXPORTERS)


def documents(root: Path) -> dict[str, str]:
    """Every document by its path below `root`, whose notes are kept."""
    rules = runbooks.rules(whole_stack(examples=True))
    made = {
        f"{RUNBOOKS}/{name}.md": runbooks.page(name, same, runbooks.notes(root / RUNBOOKS / f"{name}.md"))
        for name, same in rules.items()
    }
    production = build(load(ROOT / PRODUCTION), file=PRODUCTION)
    made["docs/operations/on-call.md"] = on_call.page(rules, production)
    made["docs/settings.md"] = reference.settings_page()
    made["docs/systems.md"] = reference.systems_page()
    made["docs/dashboards.md"] = gallery.page(whole_stack().dashboards)
    for name, schema in (("stack", reference.stack_schema()), ("system", reference.system_schema())):
        made[f"docs/{name}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return made


def stale(root: Path) -> list[str]:
    """Paths of documents that are not what the code says, or that the code knows nothing of any more."""
    made = documents(root)
    there = {f"{RUNBOOKS}/{page.name}" for page in (root / RUNBOOKS).glob("*.md")}
    wrong = [
        path
        for path, text in made.items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]
    return sorted({*wrong, *(there - set(made))})


def write(root: Path) -> None:
    """Bring every document up to date; pages of alerts that are gone go too."""
    made = documents(root)
    for path in stale(root):
        file = root / path
        if path in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(made[path], encoding="utf-8")
        else:
            file.unlink()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.documents", description="Writes the documents that say what the code says."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; name what is stale, and fail if anything is"
    )
    if not parser.parse_args(arguments).check:
        write(root)
        return 0
    found = stale(root)
    for path in found:
        sys.stdout.write(f"{path} is stale: run {reference.MADE_BY}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
