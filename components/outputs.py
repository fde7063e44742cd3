"""The stack's outputs at the edge: names of secrets become secret values, and nothing else becomes secret with them."""

from collections.abc import Mapping
from typing import Any, cast

import pulumi

from specs.outputs import Made
from specs.workload import SecretRef


def resolved(value: object, secrets: Mapping[str, pulumi.Output[str]]) -> Any:
    """`value` with the secret itself in the place of each name of one; `secrets` are all there are, by key."""
    if isinstance(value, SecretRef | Made):
        return pulumi.Output.secret(secrets[value.key])
    if isinstance(value, Mapping):
        return {key: resolved(item, secrets) for key, item in cast("Mapping[str, object]", value).items()}
    return value
