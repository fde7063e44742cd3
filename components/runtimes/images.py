"""Where container images come from."""

import pulumi

from specs.workload import Program


def reference(program: Program, registry: str | None) -> str:
    """The image of `program`, pulled through the mirror `registry` where there is one.

    Raises pulumi.RunError for a program that has no image.
    """
    if not program.image:
        raise pulumi.RunError(f"{program.name} has no container image: it runs as a process only")
    host, slash, path = program.image.partition("/")
    # The same rule as Docker's own: only a first part that looks like a host is one.
    has_host = slash and ("." in host or ":" in host or host == "localhost")
    repository = path if has_host else program.image
    return f"{registry}/{repository}:{program.version}" if registry else f"{program.image}:{program.version}"
