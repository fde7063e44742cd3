"""How tests are shared between processes: `make test` runs one for each core."""

import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# A shell that runs tests in the background has what they start deaf to Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TOGETHER = {
    # Their tests start what the machine should not see twice, or measure.
    **dict.fromkeys(("cluster", "examples", "gameday", "loadtests", "local", "processes"), "the machine"),
    "test_canary.py": "the machine",
    # It looks whether ports are free.
    "tools/test_docker_engine.py": "the machine",
    # Its modules share what takes long to start.
    "kubernetes": "the API server",
}
"""Folders and modules whose tests one process runs, one after the other; of others, those of one module."""


class _Sharing(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        place = file.removeprefix("tests/")
        return _TOGETHER.get(place) or _TOGETHER.get(place.partition("/")[0], file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Who runs what."""
    return _Sharing(config, log)
