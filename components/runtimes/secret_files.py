"""Files around secrets."""

import json
import re
from collections.abc import Mapping

import pulumi

from specs.workload import SecretRef

_PLACE = re.compile(r"\$secret|\$\{([a-z0-9-]+)\}")


def secret_file(ref: SecretRef, secrets: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """Content of the file that `ref` asks for, of the values of `secrets` by their keys; as secret as they are."""
    if not ref.template:
        return secrets[ref.key]

    def text(values: Mapping[str, str]) -> str:
        # In one pass: what a secret says is never taken for a place of another.
        return _PLACE.sub(lambda place: values[place[1]] if place[1] else json.dumps(values[ref.key]), ref.template)

    return pulumi.Output.all(**{one.key: secrets[one.key] for one in ref.each()}).apply(text)
