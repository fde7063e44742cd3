"""Writes every file a stack would place, without engine, network, daemon, cluster or secrets."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from specs.flows import flows
from specs.model import SettingsError
from specs.monitoring import to_json
from specs.outputs import readable
from specs.settings import RuntimeKind
from specs.stack import Stack

INVENTORY = "inventory.json"


def files(stack: Stack) -> Mapping[str, str]:
    """Every file by its path: `<workload>/…`, `dashboards/<folder>/<uid>.json`, `kubernetes/*.yaml`, the inventory."""
    found: dict[str, str] = {}
    for workload in stack.workloads:
        for path, text in workload.files.items():
            found[f"{workload.name}/{path}"] = text
    for path, dashboard in stack.dashboards.items():
        found[f"dashboards/{path}"] = to_json(dashboard)
    if stack.context.settings.runtime is RuntimeKind.KUBERNETES:
        # Only here, since recording what the runtime registers takes Pulumi's SDK.
        from components.manifests import manifests

        for path, text in manifests(stack).items():
            found[f"kubernetes/{path}"] = text
    found[INVENTORY] = to_json(inventory(stack))
    return dict(sorted(found.items()))


def inventory(stack: Stack) -> dict[str, Any]:
    """What the stack consists of, for machines: two of these compared say what a change means."""
    routing: Mapping[str, Any] = yaml.safe_load(stack.workload("alertmanager").files["alertmanager.yml"])
    return {
        "environment": stack.context.settings.environment,
        "runtime": stack.context.settings.runtime.value,
        "workloads": {
            workload.name: {
                "program": workload.program.name,
                "version": workload.program.version,
                "image": f"{workload.program.image}:{workload.program.version}" if workload.program.image else None,
                "ports": [
                    {
                        "name": port.name,
                        "number": stack.context.addresses.port(port.number),
                        "protocol": port.protocol,
                        "published": port.published,
                    }
                    for port in workload.ports
                ],
                "resources": {"memory": workload.resources.memory, "cpu": workload.resources.cpu},
                "volume": workload.volume.size if workload.volume else None,
                "arguments": list(workload.args),
                "variables": dict(workload.environment),
            }
            for workload in stack.workloads
        },
        "jobs": {
            job.name: {
                "path": job.path,
                "targets": [{"address": target.address, "labels": dict(target.labels)} for target in job.targets],
            }
            for job in stack.jobs
        },
        "alerts": [
            {
                "name": alert.name,
                "group": group.name,
                "severity": alert.severity.value,
                "for": alert.for_,
                "threshold": alert.threshold,
                "service": alert.service,
                "summary": alert.summary,
            }
            for group in stack.groups
            for alert in group.alerts
        ],
        "route": routing["route"],
        "receivers": [receiver["name"] for receiver in routing["receivers"]],
        "dashboards": sorted(stack.dashboards),
        **({"flows": _flows(stack)} if stack.context.on_cluster else {}),
        "secrets": sorted(ref.key for ref in stack.secrets()),
        "outputs": readable(stack.outputs(home="<home>" if stack.context.on_one_machine else "")),
    }


def _flows(stack: Stack) -> list[str]:
    """Who may dial whom."""
    return [f"{flow.source} → {flow.target}: {', '.join(map(str, flow.ports))}" for flow in flows(stack)]


def write(stack: Stack, out: Path) -> int:
    """Write all files below `out`, and nothing else: what an earlier render left is gone. Returns how many.

    Raises SettingsError when `out` holds something that no render wrote.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise SettingsError(f"{out}: not a directory (accepted: a new or empty directory)")
    if out.exists() and any(out.iterdir()) and not (out / INVENTORY).is_file():
        raise SettingsError(f"{out}: not empty, and not from an earlier render (accepted: a new or empty directory)")
    found = files(stack)
    try:
        if out.exists():
            shutil.rmtree(out)
        for path, text in found.items():
            file = out / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"{problem.filename or out}: cannot be written: {problem.strerror}") from None
    return len(found)
