"""Files around secrets."""

import json

import pulumi

from specs.workload import SecretRef


def secret_file(ref: SecretRef, value: pulumi.Output[str]) -> pulumi.Output[str]:
    """Content of the file that `ref` asks for; as secret as `value`."""
    if not ref.template:
        return value
    return value.apply(lambda plain: ref.template.replace("$secret", json.dumps(plain)))
