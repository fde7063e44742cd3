"""What the tests of the pure core share: stack files as values, and the stacks that they amount to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from specs import exporters
from specs.exporter import Exporting
from specs.model import SettingsError, parse
from specs.part import Context
from specs.settings import KEY, Settings, load
from specs.stack import Stack, addresses, build

ROOT = Path(__file__).resolve().parents[2]
FILE = "Pulumi.test.yaml"

BASE: Mapping[str, Any] = {"environment": "test", "cluster": "here", "runtime": "process"}

EVERY_EXPORTER: Mapping[str, Any] = {
    "node": {},
    "blackbox": {"probes": {"shop": {"url": "https://shop.example.com/"}, "mail": {"address": "mail.example.com:25"}}},
    "postgres": {
        "targets": {
            "main": {"address": "db.example.com:5432", "user": "watcher", "password": {"secret": "pg"}, "app": "shop"}
        }
    },
    "redis": {
        "targets": {"cache": {"address": "cache.example.com:6379", "password": {"secret": "redis"}, "app": "shop"}}
    },
    "nginx": {"targets": {"front": {"status_url": "http://front.example.com/stub_status", "app": "shop"}}},
    "celery": {"targets": {"jobs": {"broker": {"secret": "broker"}, "app": "shop"}}},
    "json": {
        "targets": {"health": {"url": "http://shop.example.com/health", "metrics": {"shop_healthy": "{ .healthy }"}}}
    },
}

EVERY_RECEIVER: Mapping[str, Any] = {
    "default": "all",
    "receivers": {
        "all": {
            "webhook": {"url": {"secret": "hook"}},
            "slack": {"url": {"secret": "slack"}, "channel": "#alerts"},
            "pagerduty": {"routing_key": {"secret": "pager"}},
            "email": {
                "to": "team@example.com",
                "from": "stack@example.com",
                "smarthost": "mail.example.com:587",
                "username": "stack",
                "password": {"secret": "smtp"},
            },
        },
        "team": {"webhook": {"url": "http://team.example.com/hook"}},
    },
    "routes": {"critical": ["all", "team"], "warning": ["team"]},
    "dead_mans_switch": {"url": {"secret": "beat"}},
}


def settings(**changes: object) -> Settings:
    """The settings of a small process stack, with `changes`."""
    return parse(Settings, {**BASE, **changes}, file=FILE, key=KEY)


def context(**changes: object) -> Context:
    """What every part of such a stack is told."""
    made = settings(**changes)
    return Context(settings=made, addresses=addresses(made), file=FILE)


def stack(**changes: object) -> Stack:
    """Such a stack as a whole."""
    return build(settings(**changes), file=FILE)


def whole(**changes: object) -> Stack:
    """A stack with every exporter."""
    return stack(exporters=EVERY_EXPORTER, **changes)


def committed(name: str, **changes: object) -> Stack:
    """The stack of the committed file of the stack `name`."""
    file = ROOT / f"Pulumi.{name}.yaml"
    return build(load(file).model_copy(update=changes), file=file.name)


def exporting(name: str, value: Mapping[str, Any], **changes: object) -> Exporting:
    """What the exporter `name` with the settings `value` amounts to."""
    exporter = exporters.discover()[name]
    return exporter.build(context(**changes), parse(exporter.settings, value, file=FILE, key=f"{KEY}.exporters.{name}"))


def complaint(**changes: object) -> str:
    """What a stack with bad `changes` is refused with."""
    try:
        stack(**changes)
    except SettingsError as refused:
        return str(refused)
    raise AssertionError("nothing was refused")


def yaml_file(made: Stack, workload: str, path: str) -> Any:
    """The value of a rendered YAML file."""
    return yaml.load(made.workload(workload).files[path], Loader=yaml.CSafeLoader)
