"""Elastic's APM server, beside Elasticsearch."""

from specs.exporter import Exporting
from specs.part import Context


def parts(context: Context) -> tuple[Exporting, ...]:
    """What the stack runs of it, and how that is watched; nothing where the stack does not ask for it."""
    del context
    return ()
