"""A forge for each test, of either kind."""

from collections.abc import Iterator

import pytest

from tests.ci.stand_ins import StandIn, running


@pytest.fixture(params=["github", "gitlab"])
def stand_in(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    """GitHub, then GitLab."""
    with running(request.param) as made:
        yield made
