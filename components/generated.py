"""Secrets that nobody has to choose. Process stacks make theirs where the programs run; elsewhere the engine does.

The engine's state refers to the provider's class by module and name: neither may change.
"""

import os
import secrets
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from processes.home import of_stack


def place(stack: str, key: str) -> Path:
    """The file that outlives the stack `stack`, as its data does, with the value of the secret `key`."""
    return of_stack(stack).path / "generated" / key


def make_up(file: Path | None) -> str:
    """A random value: letters, digits, - and _, 192 bits. What `file` holds already, where that is to outlive it."""
    if file is None:
        return secrets.token_urlsafe(24)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        beside = file.with_name(f".{file.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(secrets.token_urlsafe(24))
        beside.replace(file)
    return file.read_text(encoding="utf-8")


class GeneratedSecretProvider(ResourceProvider):
    """Inputs: `stack`, `key`, and `kept`, whether the value outlives the stack. Output: `value`."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it up."""
        value = make_up(place(props["stack"], props["key"]) if props["kept"] else None)
        return CreateResult(id_=str(props["key"]), outs={**props, "value": value})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Never: what was made up stays, or every program that knows it would have to learn another."""
        return DiffResult(changes=False)


class GeneratedSecret(Resource, module="observability", name="GeneratedSecret"):
    """A random secret, made once and kept in the engine's state, encrypted."""

    value: pulumi.Output[str]

    def __init__(self, key: str, *, stack: str, kept: bool, opts: pulumi.ResourceOptions | None = None) -> None:
        """`kept`: what knows the secret outlives the stack on this machine (volumes of Docker), and so it does too."""
        secret = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            GeneratedSecretProvider(),
            key,
            {"stack": stack, "key": key, "kept": kept, "value": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )
