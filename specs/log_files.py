"""How the collector follows log files: what applications put below the registry, the stack's own output, and files
of a stack file's settings."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from specs import history, log_paths, telemetry
from specs.log_formats import FORMATS, Format
from specs.model import SettingsError
from specs.part import APP, Context
from specs.settings import KEY, RuntimeKind, Settings
from specs.workload import REGISTRY, HostPaths


def file_receiver(include: Sequence[str], log_format: Format, **resource: str) -> dict[str, Any]:
    """A receiver that follows the files `include`, and stays where it was over a restart."""
    return {
        "include": list(include),
        "start_at": "beginning",
        "storage": "file_storage",
        "poll_interval": "500ms",
        # What cannot be handed on now is handed on later.
        "retry_on_failure": {"enabled": True, **telemetry.FOREVER},
        **({"multiline": {"line_start_pattern": log_format.starts}} if log_format.starts else {}),
        **({"resource": resource} if resource else {}),
        **({"operators": [dict(step) for step in log_format.operators]} if log_format.operators else {}),
    }


def _by_path(receiver: dict[str, Any], pattern: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    """`receiver` with app and service from the paths of its files."""
    receiver["include_file_path"] = True
    receiver["operators"] = [
        {
            "type": "regex_parser",
            "parse_from": 'attributes["log.file.path"]',
            "parse_to": "resource",
            "regex": pattern,
        },
        {"type": "move", "from": "resource.service", "to": 'resource["service.name"]'},
        *receiver.get("operators", []),
        *more,
    ]
    return receiver


def _registered(log_format: Format) -> dict[str, Any]:
    """Follows what applications put below the registry: `logs/<app>/<service>.<ending of the format>`."""
    receiver = file_receiver([f"{REGISTRY}/logs/*/*{log_format.ending}"], log_format)
    endings = (other.ending for other in FORMATS.values())
    narrower = [ending for ending in endings if ending.endswith(log_format.ending) and ending != log_format.ending]
    if narrower:
        receiver["exclude"] = [f"{REGISTRY}/logs/*/*{ending}" for ending in narrower]
    return _by_path(receiver, rf"logs/(?P<app>[^/]+)/(?P<service>[^/]+){re.escape(log_format.ending)}$")


def _own() -> dict[str, Any]:
    """Follows the stack's own programs: supervisor keeps each one's output in <workload>/log/<workload>.log."""
    return _by_path(
        file_receiver(["../../*/log/*.log"], FORMATS["text"], app=APP),
        r"/(?P<service>[^/]+)/log/[^/]+\.log$",
        history.NOT_AN_EVENT,
        {
            # logfmt and JSON alike name their level in the first part of the line.
            "type": "regex_parser",
            "if": 'body matches "level[\\"=: ]+[a-zA-Z]+"',
            "regex": r'level["=: ]+(?P<level>[a-zA-Z]+)',
            "on_error": "send_quiet",
            "severity": {"parse_from": "attributes.level", "overwrite_text": True},
        },
    )


def refuse(settings: Settings, *, file: str) -> None:
    """Raise SettingsError for a name of log files, a system's among them, that another receiver has."""
    own = "pods" if settings.runtime is RuntimeKind.KUBERNETES else "stack"
    names = [each.name for each in settings.log_files]
    taken = sorted({name for name in names if name == own or names.count(name) > 1})
    if taken:
        raise SettingsError(
            f'{file}: {KEY}.log_files: "{taken[0]}" is the name of other log lines already, of the stack or of a system'
            " (accepted: another name)"
        )


def of_settings(context: Context) -> dict[str, dict[str, Any]]:
    """Receivers of the files that the stack file names, as whoever follows them sees them."""
    return {
        f"file_log/{file.name}": file_receiver(
            file.include if context.on_one_machine else [log_paths.inside(path) for path in file.include],
            FORMATS[file.format],
            **{"app": file.app, "service.name": file.service or file.name},
        )
        for file in context.settings.log_files
    }


def receivers(context: Context) -> dict[str, dict[str, Any]]:
    """What the collector follows itself, by the receivers' names: on a cluster nothing, the agents do (specs.agent)."""
    if context.on_cluster:
        return {}
    return {
        **{f"file_log/registered_{name}": _registered(log_format) for name, log_format in FORMATS.items()},
        **({"file_log/stack": _own()} if context.on_one_machine else {}),
        **of_settings(context),
    }


def host_paths(context: Context) -> tuple[HostPaths, ...]:
    """What a container has to see of its host to follow log files. Raises SettingsError for a file that is anywhere."""
    files = context.settings.log_files
    if context.on_one_machine or not files:
        return ()
    try:
        return (HostPaths(log_paths.seen(path for file in files for path in file.include)),)
    except ValueError as problem:
        raise SettingsError(f"{context.file}: {KEY}.log_files: {problem}") from None


def in_seconds(context: Context) -> list[str]:
    """OTTL that says which sources count `duration` in seconds, also where an application registers their files."""
    return [
        'set(log.attributes["duration_unit"], "s") where log.attributes["duration_unit"] == nil'
        f' and resource.attributes["app"] == "{file.app}"'
        f' and resource.attributes["service.name"] == "{file.service or file.name}"'
        for file in context.settings.log_files
        if file.durations == "s"
    ]
