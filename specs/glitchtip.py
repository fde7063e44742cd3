"""GlitchTip: error tracking for Sentry's SDKs, with a database and a queue of its own."""

from specs.exporter import Exporting
from specs.part import Context


def parts(context: Context) -> tuple[Exporting, ...]:
    """What the stack runs of it, and how that is watched; nothing where the stack does not ask for it."""
    del context
    return ()
