"""The one error of this package."""


class NativeError(Exception):
    """A native program cannot be had; `str()` says which, why, and what to do."""

    def __init__(self, program: str, why: str, *, remedy: str) -> None:
        """Put the three parts together."""
        super().__init__(f"{program}: {why}\n  What to do: {remedy}")
        self.program = program
        """The program that cannot be had."""
