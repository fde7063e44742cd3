"""Hosts the component for programs of other languages (docs/reuse.md)."""

import sys
from pathlib import Path

# Started from a consumer's directory: what is imported stands here, and comes first.
sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from pulumi import ResourceOptions, RunError  # noqa: E402
from pulumi.output import Inputs  # noqa: E402
from pulumi.provider import ConstructResult, main  # noqa: E402
from pulumi.provider.experimental.component import ComponentProvider  # noqa: E402
from pulumi.provider.server import ComponentInitError  # noqa: E402

from components.reusable import Stack  # noqa: E402


class _Host(ComponentProvider):
    """Tells a user's mistake as the sentence it is, where Pulumi's own host adds a traceback."""

    def construct(
        self, name: str, resource_type: str, inputs: Inputs, options: ResourceOptions | None = None
    ) -> ConstructResult:
        """Make a component."""
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as problem:
            if isinstance(problem.inner, RunError):
                raise problem.inner from None
            raise


if __name__ == "__main__":
    main(_Host([Stack], "observability"), sys.argv[1:])
