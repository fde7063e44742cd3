"""The one error of this package."""


class ProcessError(Exception):
    """Something could not be run, checked or reloaded. `str()` is the whole message, with the program's own words."""
