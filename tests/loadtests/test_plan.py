"""What may be loaded, by whom, and how long."""

import re
from pathlib import Path

import pytest

from loadtests import plan, targets
from loadtests.journeys import FILE, Step, journey
from specs.model import SettingsError
from specs.settings import read_yaml


@pytest.mark.parametrize(
    ("target", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://127.8.7.6", "http://127.8.7.6"),
        ("https://localhost:8443", "https://localhost:8443"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_this_machine(target: str, base: str) -> None:
    """Proves that every spelling of this machine is accepted, without being asked about."""
    assert targets.checked(target) == base


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://shop.example.com", "shop.example.com"),
        ("http://192.0.2.1:8000", "192.0.2.1"),
        ("http://0.0.0.0:8000", "0.0.0.0"),  # noqa: S104 - refused
        ("http://127.0.0.1.example.com", "127.0.0.1.example.com"),
        ("http://localhost.example.com", "localhost.example.com"),
        ("http://127.0.0.256", "127.0.0.256"),
        ("http://[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_another_machine(target: str, host: str) -> None:
    """Proves that another machine takes its exact name beside it, and that nothing else opens the way."""
    with pytest.raises(SettingsError, match=re.escape(f"TARGET={target}: not this machine") + ".*" + re.escape(host)):
        targets.checked(target)
    for other in ("1", "yes", "*", "example.com", f"x{host}", f"{host}.", f"{host}:8000"):
        with pytest.raises(SettingsError):
            targets.checked(target, allow_remote=other)
    assert targets.checked(target, allow_remote=host.upper()) == target


@pytest.mark.parametrize(
    "target",
    ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1/api",
     "http://127.0.0.1\\@example.com", "http://127.0.0.1 ", "http://127.0.0.1#@example.com", "http://"],
)  # fmt: skip
def test_no_base_url(target: str) -> None:
    """Proves that what is no plain base URL is refused, whatever is allowed."""
    with pytest.raises(SettingsError, match="not a base URL"):
        targets.checked(target, allow_remote="example.com")


def test_a_password_is_not_repeated() -> None:
    """Proves that a refused URL with credentials is not shown."""
    with pytest.raises(SettingsError) as refused:
        targets.checked("http://me:secret@127.0.0.1")
    assert "secret" not in str(refused.value)


def made(
    shape: str = "normal", app: str = "sample-app", scale: float = 1.0, users: int | None = None, run_time: str = ""
) -> plan.Plan:
    """A plan for this machine."""
    return plan.make(
        shape=shape,
        target="http://127.0.0.1:8000",
        allow_remote="",
        app=app,
        scale=scale,
        users=users,
        run_time=run_time,
    )


def test_bounds() -> None:
    """Proves that the most that is accepted is accepted."""
    most = made(users=2000, run_time="30m")
    assert (most.shape.peak, most.shape.seconds) == (2000, 1800)
    assert made(scale=0.01, shape="spike").shape.seconds == pytest.approx(4.2)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"shape": "flood"}, "SHAPE=flood: no such shape (accepted: normal, stress, spike, endpoints)"),
        ({"scale": 0.0}, "SCALE=0: out of bounds (accepted: from 0.01 to 1)"),
        ({"scale": 1.5}, "SCALE=1.5: out of bounds (accepted: from 0.01 to 1)"),
        ({"scale": float("nan")}, "SCALE=nan: out of bounds (accepted: from 0.01 to 1)"),
        ({"users": 0}, "USERS=0: out of bounds (accepted: from 1 to 2000)"),
        ({"users": 2001}, "USERS=2001: out of bounds (accepted: from 1 to 2000)"),
        ({"run_time": "31m"}, "RUN_TIME=31m: not a run time (accepted: from 1s to 30m, like 90s)"),
        ({"run_time": "soon"}, "RUN_TIME=soon: not a run time (accepted: from 1s to 30m, like 90s)"),
        ({"run_time": "90"}, "RUN_TIME=90: not a run time (accepted: from 1s to 30m, like 90s)"),
        ({"run_time": "-5s"}, "RUN_TIME=-5s: not a run time (accepted: from 1s to 30m, like 90s)"),
    ],
)
def test_out_of_bounds(wish: dict[str, object], message: str) -> None:
    """Proves that a wish that cannot be is one sentence with what can."""
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        made(**wish)  # type: ignore[arg-type]


@pytest.mark.parametrize("app", read_yaml(FILE))
def test_shipped_journeys(app: str) -> None:
    """Proves that every journey is acceptable, and made of paths."""
    assert all(step.path.startswith("/") and step.method == "GET" for step in journey(app))


def test_every_system_has_a_journey() -> None:
    """Proves that the five systems and the sample app are known."""
    systems = {"narra-forge", "wwmaa", "roadtrip", "personal-assistant", "mysmartnotes"}
    assert set(read_yaml(FILE)) == systems | {"sample-app"}


def test_an_unknown_app_is_asked_for_its_first_page() -> None:
    """Proves that any system can be loaded."""
    assert made(app="nobody-knows").journey == (Step(path="/"),)


def test_numbers_by_chance() -> None:
    """Proves that a range becomes each of its numbers, and nothing else does."""
    step = Step(path="/a/{1..3}/{id}")
    assert {step.somewhere for _ in range(200)} == {"/a/1/{id}", "/a/2/{id}", "/a/3/{id}"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop:\n- {path: health}\n", 'journeys.yaml: shop[0].path: "health" is not accepted here'),
        ("shop:\n- {path: //example.com}\n", 'journeys.yaml: shop[0].path: "//example.com" is not accepted'),
        ("shop:\n- {path: /, wait: 3}\n", "journeys.yaml: shop[0].wait: unknown key"),
        ("shop:\n- {path: /, weight: 0}\n", "journeys.yaml: shop[0].weight: 0 is out of bounds"),
        ("shop: []\n", "journeys.yaml: shop: no steps"),
    ],
)
def test_bad_journeys(tmp_path: Path, text: str, message: str) -> None:
    """Proves that a mistake in the file is one line with file and key."""
    file = tmp_path / "journeys.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        journey("shop", file)
