"""The only reader of pulumi.Config: settings in, secrets by name."""

from collections.abc import Mapping

import pulumi

from components import runtimes
from specs.model import SettingsError, parse
from specs.settings import KEY, PROJECT, RuntimeKind, Settings
from specs.stack import Stack, build


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

    Generated ones may be missing on a process stack, which makes them up.
    """
    config = pulumi.Config(PROJECT)
    found: dict[str, pulumi.Output[str]] = {}
    missing: list[str] = []
    for ref in wanted.secrets():
        value = config.get_secret(ref.key)
        if value is not None:
            found[ref.key] = value
        elif not (ref.generated and wanted.context.settings.runtime is RuntimeKind.PROCESS):
            missing.append(ref.key)
    if missing:
        raise pulumi.RunError(
            "\n".join(
                f"{_file()}: {PROJECT}:{key}: secret is missing"
                f" (set it: pulumi config set --secret {key} --stack {pulumi.get_stack()})"
                for key in missing
            )
        )
    return found
