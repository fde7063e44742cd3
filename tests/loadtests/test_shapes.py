"""Curves of users over time."""

from dataclasses import asdict

import pytest

from loadtests.shapes import SHAPES, Heading


@pytest.mark.parametrize(
    ("shape", "second", "users"),
    [
        ("normal", 0, 0),
        ("normal", 5, 50),
        ("normal", 10, 100),
        ("normal", 299.9, 100),
        ("normal", 300, None),
        ("stress", 0, 0),
        ("stress", 5, 250),
        ("stress", 10, 500),
        ("stress", 599.9, 500),
        ("stress", 600, None),
        ("spike", 0, 0),
        ("spike", 30, 500),
        ("spike", 60, 1000),
        ("spike", 359.9, 1000),
        ("spike", 390, 500),
        ("spike", 420, None),
    ],
)
def test_users_at(shape: str, second: float, users: float | None) -> None:
    """Proves that the shapes are those of the guide: 100 by 10 a second for 5 min, 500 by 50 for 10, and 0 to 1000
    within a minute, for 5, and down again."""
    assert SHAPES[shape].users_at(second) == users


@pytest.mark.parametrize(
    ("shape", "second", "users", "change"),
    [
        ("normal", 0, 100, 10),
        ("normal", 200, 100, 0),
        ("stress", 9.9, 500, 50),
        ("spike", 59, 1000, 1000 / 60),
        ("spike", 100, 1000, 0),
        ("spike", 361, 0, 1000 / 60),
    ],
)
def test_heading_at(shape: str, second: float, users: int, change: float) -> None:
    """Proves that users head for the end of their stage, as fast as the curve rises or falls."""
    assert SHAPES[shape].heading_at(second) == Heading(users=users, change=change)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_ends(shape: str) -> None:
    """Proves that nobody heads anywhere after the end."""
    assert SHAPES[shape].heading_at(SHAPES[shape].seconds) is None


@pytest.mark.parametrize(("shape", "offered"), [("normal", 1250), ("stress", 2500), ("spike", 2500)])
def test_users_at_their_pace_offer_enough(shape: str, offered: float) -> None:
    """Proves that all users together can make the wanted throughput, coming and leaving included."""
    curve = SHAPES[shape]
    mean = sum(curve.users_at(tenth / 10) or 0 for tenth in range(int(curve.seconds * 10))) / curve.seconds / 10
    assert curve.peak / curve.pace == pytest.approx(offered)
    assert mean / curve.pace > 1000 * 1.2


def test_scaled() -> None:
    """Proves that users, time and load shrink alike, and the pace of a user stays."""
    small = SHAPES["spike"].scaled(0.1)
    assert (small.peak, small.rate, small.pace) == (100, 250, SHAPES["spike"].pace)
    assert small.seconds == pytest.approx(42)
    assert [stage.users for stage in small.stages] == [100, 100, 0]
    assert small.users_at(3) == 50


def test_scaled_keeps_somebody() -> None:
    """Proves that a part of less than one user is one, and that none stays none."""
    assert [stage.users for stage in SHAPES["spike"].scaled(0.0001).stages] == [1, 1, 0]


def test_given_users_and_seconds_win() -> None:
    """Proves that the curve is stretched to what is given, and that load stays the scale's."""
    curve = SHAPES["normal"].scaled(0.5, users=40, seconds=60)
    assert (curve.peak, curve.seconds, curve.rate) == (40, 60, 625)
    assert curve.users_at(1) == 20


def test_scale_one_is_the_shape() -> None:
    """Proves that nothing changes where nothing is asked for."""
    assert asdict(SHAPES["stress"].scaled(1)) == asdict(SHAPES["stress"])
