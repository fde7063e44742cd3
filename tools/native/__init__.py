"""Finds and builds the native programs of the local stack: `python -m tools.native --help`.

A program of PATH is used when its version will do; otherwise it is made once, and kept in the user's cache.
"""

from tools.native.environment import environment
from tools.native.errors import NativeError
from tools.native.locate import Located, locate
from tools.native.making import ensure
from tools.native.table import version_pin

__all__ = ["Located", "NativeError", "ensure", "environment", "locate", "version_pin"]
