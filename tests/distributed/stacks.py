"""Stacks for Kubernetes, as small as they can be, for tests that run parts of them."""

from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build

FILE = "Pulumi.test.yaml"


def kubernetes_stack(**changes: object) -> Stack:
    """The whole stack that these settings declare."""
    value = {"environment": "prod", "cluster": "here", "runtime": "kubernetes", **changes}
    return build(parse(Settings, value, file=FILE, key=KEY), file=FILE)
