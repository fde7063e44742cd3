"""Errors of dynamic resources as people read them: one sentence, where Pulumi's plugin would print a traceback."""

import sys
import traceback

from processes.errors import ProcessError


class PlainError(Exception):
    """A sentence for people."""


class _PlainTraceback:
    """Stands in for the module `traceback` in Pulumi's plugin, which makes every exception's traceback the message."""

    def __getattr__(self, name: str) -> object:
        return getattr(traceback, name)

    @staticmethod
    def format_exc() -> str:
        """What is meant for people is a sentence; anything else keeps its traceback."""
        error = sys.exc_info()[1]
        return str(error) if isinstance(error, ProcessError | PlainError) else traceback.format_exc()


def speak_plainly() -> None:
    """Called by a provider once it is in the plugin; does nothing elsewhere."""
    plugin = sys.modules["__main__"]
    if hasattr(plugin, "DynamicResourceProviderServicer"):
        plugin.traceback = _PlainTraceback()  # type: ignore[attr-defined]
