"""The only reader of pulumi.Config: settings in, secrets by name."""

from collections.abc import Container, Mapping

import pulumi
from pulumi.runtime import get_config

from components import runtimes
from components.generated import GeneratedSecret
from specs.grafana import ADMIN_PASSWORD
from specs.model import SettingsError, parse
from specs.settings import KEY, PROJECT, RuntimeKind, Settings
from specs.stack import Stack, build

_KNOWN = frozenset({"admin", "changeme", "elastic", "grafana", "password", "postgres", "secret"})
"""What programs ship with, and people put in for a start: never what a stack runs with."""


def _file() -> str:
    return f"Pulumi.{pulumi.get_stack()}.yaml"


def stack() -> Stack:
    """The stack that the stack file declares. Raises pulumi.RunError naming file and key."""
    value: object = pulumi.Config(PROJECT).get_object("settings")
    if value is None:
        raise pulumi.RunError(f"{_file()}: config.{KEY}: required, but missing")
    try:
        settings = parse(Settings, value, file=_file(), key=KEY)
        return build(settings, file=_file(), absent=runtimes.absent(settings))
    except SettingsError as problem:
        raise pulumi.RunError(str(problem)) from None


def secrets(wanted: Stack) -> Mapping[str, pulumi.Output[str]]:
    """Every secret of the stack by its key. Raises pulumi.RunError naming each that is missing and how to set it.

    Generated ones may be missing: a process stack makes them up where its programs run, others by a GeneratedSecret.
    """
    config = pulumi.Config(PROJECT)
    settings = wanted.context.settings
    found = {ref.key: config.get_secret(ref.key) for ref in wanted.secrets()}
    absent = [ref for ref in wanted.secrets() if found[ref.key] is None]
    unset = [_unset(ref.key, pulumi.get_stack()) for ref in absent if not ref.generated]
    own = [ref.key for ref in wanted.secrets() if ref.generated or ref.key == ADMIN_PASSWORD]
    known = [_known(key) for key in own if _plain(key) in _KNOWN]
    if unset or known:
        raise pulumi.RunError("\n".join([*unset, *known]))
    made: dict[str, pulumi.Output[str]] = {}
    if settings.runtime is not RuntimeKind.PROCESS:
        kept = settings.runtime is RuntimeKind.DOCKER and settings.docker.keep_volumes
        made = {ref.key: GeneratedSecret(ref.key, stack=pulumi.get_stack(), kept=kept).value for ref in absent}
    return {**{key: value for key, value in found.items() if value is not None}, **made}


def _plain(key: str) -> str:
    # Not `pulumi.Config.get`, which warns of a secret that is read: this one goes no further than a comparison.
    return (get_config(f"{PROJECT}:{key}") or "").strip().lower()


def _known(key: str) -> str:
    return (
        f"{_file()}: {PROJECT}:{key}: a password that everybody knows (accepted: another one; or none, then one is made"
        f" up: pulumi config rm {key} --stack {pulumi.get_stack()})"
    )


def _unset(key: str, name: str) -> str:
    how = f"set it: pulumi config set --secret {key} --stack {name}"
    return f"Pulumi.{name}.yaml: {PROJECT}:{key}: secret is missing ({how})"


def missing(wanted: Stack, configured: Container[str], name: str) -> list[str]:
    """What `secrets` would refuse of the stack `name`, whose configuration has the keys `configured`: a line each."""
    return [
        _unset(ref.key, name)
        for ref in wanted.secrets()
        if not ref.generated and f"{PROJECT}:{ref.key}" not in configured
    ]
