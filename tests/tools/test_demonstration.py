"""`make demo` for a monitored system: what it accepts, how long it takes, and what it shows of real servers."""

import json
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from sample_app.impersonation.targets import targets

from specs import alertmanager, inbox, prometheus
from specs.model import SettingsError
from specs.stack import Stack
from specs.system import System
from tests.examples.stand_in import running
from tests.local.servers import free_offset
from tests.log_stack import started
from tests.specs.support import stack
from tools import demonstration
from tools.demonstration import Wishes

SYSTEM = "narra-forge"
SCENARIO = "DatabaseConnectionsSaturated"

NOTHING: Mapping[str, str] = {}


def _declared(offset: int = 0) -> Stack:
    return stack(
        systems={"roadtrip": NOTHING, "wwmaa": NOTHING, SYSTEM: NOTHING},
        port_offset=offset,
        scrape_interval="1s",
        evaluation_interval="1s",
        # Alertmanager gathers no longer than it must, and the alert does not wait.
        alerting={
            "grouping": {"wait": "1s", "interval": "1s"},
            "overrides": {f"{SYSTEM}/{SCENARIO}": {"for": "0s"}},
        },
    )


DECLARED = _declared()


def _system(name: str) -> System:
    return demonstration.system_of(DECLARED, name)


@pytest.mark.parametrize(
    ("system", "scenario", "length"),
    [
        ("roadtrip", "normal", 120),
        ("roadtrip", "down", 270),
        ("roadtrip", "LogErrorBurst", 270),
        ("roadtrip", "SecurityIncidents", 300 + 150),
        ("roadtrip", "LowBookingConversion", (15 + 5) * 60 + 150),
        ("roadtrip", "MemoryLeak", 3600 + 150),
        ("wwmaa", "ZeroDBSlow", (5 + 5) * 60 + 150),
    ],
)
def test_it_takes_as_long_as_the_alert_does(system: str, scenario: str, length: float) -> None:
    """Proves that without a run time it lasts until the alert can have fired and been told, and with one just that."""
    found = _system(system)
    demonstration.refuse_unknown(found, scenario)
    assert demonstration.length_of(found, Wishes(system=system, scenario=scenario)) == length
    assert demonstration.length_of(found, Wishes(system=system, scenario=scenario, run_time="90s")) == 90


def test_every_alert_of_every_system_is_a_scenario() -> None:
    """Proves that the names in the profile are accepted, by themselves and with a severity."""
    for system in DECLARED.systems:
        for alert in system.profile.alerts:
            demonstration.refuse_unknown(system, alert.name)
            demonstration.refuse_unknown(system, f"{alert.name}@{alert.severity.value}")


TROUBLES = ", ".join(demonstration.troubles(_system("wwmaa")))


@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        (lambda: _system("shop"), "SYSTEM=shop: not a system of this stack (accepted: roadtrip, wwmaa, narra-forge)"),
        (
            lambda: demonstration.system_of(stack(), "roadtrip"),
            "SYSTEM=roadtrip: not a system of this stack (accepted: none: Pulumi.test.yaml lists no systems)",
        ),
        (
            lambda: demonstration.refuse_unknown(_system("wwmaa"), "errors"),
            f"SCENARIO=errors: no such scenario (accepted: normal, down, {TROUBLES})",
        ),
        (
            lambda: demonstration.refuse_unknown(None, "errors@critical"),
            f"SCENARIO=errors@critical: no such scenario (accepted: {', '.join(demonstration.SCENARIOS)})",
        ),
        (
            lambda: demonstration.length_of(_system("wwmaa"), Wishes(run_time="31m")),
            "RUN_TIME=31m: not a run time (accepted: like 90s or 2m, at most 30m)",
        ),
    ],
    ids=["system", "no systems", "scenario of a system", "scenario of the shop", "run time"],
)
def test_what_does_not_exist_is_one_line(refuse: Callable[[], object], message: str) -> None:
    """Proves that each mistake names what is accepted."""
    with pytest.raises(SettingsError) as refused:
        refuse()
    assert str(refused.value) == message


@dataclass(frozen=True)
class Demonstrated:
    """A system in trouble beside real servers."""

    urls: Mapping[str, str]
    system: System


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Generator[Demonstrated]:
    """Run Prometheus, Alertmanager and the inbox as the stack declares them, and the stand-in that they watch."""
    home: Path = tmp_path_factory.mktemp("demo")
    declared = _declared(free_offset())
    system = demonstration.system_of(declared, SYSTEM)
    with running(home, "--system", SYSTEM, "--fail", SCENARIO) as stand_in:
        address = stand_in.client.base_url.netloc.decode()
        registered = home / "registry" / "scrape" / "sample-app.json"
        registered.parent.mkdir(parents=True)
        registered.write_text(json.dumps(targets(SYSTEM, system.profile, address, {"environment": "test"})))
        with (
            started(declared.workload(inbox.NAME), home, declared.context),
            started(declared.workload(alertmanager.NAME), home, declared.context),
            started(declared.workload(prometheus.NAME), home, declared.context),
        ):
            yield Demonstrated(declared.outputs(home=str(home))["urls"], system)


def _told(demonstrated: Demonstrated) -> None:
    deadline = time.monotonic() + 45
    while SCENARIO not in demonstration.arrived(demonstrated.urls, SYSTEM):
        assert time.monotonic() < deadline, "the alert did not arrive at the inbox"
        time.sleep(0.2)


def _shown(table: Table) -> str:
    console = Console(file=sys.stdout, width=200)
    with console.capture() as text:
        console.print(table)
    return text.get()


def test_the_stack_sees_the_trouble_and_tells_somebody(demonstrated: Demonstrated) -> None:
    """Proves that the driven alert fires and arrives in the inbox, that no other of the profile fires, and that both
    tables say so with values, limits and receivers."""
    _told(demonstrated)
    measured = _shown(demonstration.measured(demonstrated.urls["prometheus"], demonstrated.system))
    alerts = {alert.name for alert in demonstrated.system.profile.alerts}
    rows = {line.split("(")[0].split()[-1]: line for line in measured.splitlines() if " (" in line}
    states = {name: line.split()[-1] for name, line in rows.items() if name in alerts}
    assert states.pop(SCENARIO) == "firing"
    assert set(states.values()) <= {"quiet"}
    assert "above 80" in rows[SCENARIO]
    told = _shown(demonstration.told(demonstrated.urls, demonstrated.system))
    assert f"{SCENARIO} (warning)" in told
    assert f"{demonstrated.urls['jaeger']}/search?service={SYSTEM}-backend" in told


def test_it_ends_as_soon_as_somebody_was_told(demonstrated: Demonstrated) -> None:
    """Proves that it does not wait longer than it has to, and keeps a run time that was asked for."""
    _told(demonstrated)
    console = Console(file=sys.stdout, width=200)
    for wishes, least, most in (
        (Wishes(system=SYSTEM, scenario=SCENARIO), 0, 5),
        (Wishes(system=SYSTEM, scenario=SCENARIO, run_time="6s"), 6, 12),
    ):
        start = time.monotonic()
        with console.capture() as text:
            demonstration.stand_in(
                console, demonstrated.urls, demonstrated.system, wishes, 6 if wishes.run_time else 600
            )
        assert least <= time.monotonic() - start < most
        assert f"what the stack measures of {SYSTEM}" in text.get()
        assert "who was told" in text.get()


def test_what_is_not_up_is_one_line() -> None:
    """Proves that no app is deployed where no Prometheus answers, and that tables of nothing say none."""
    urls: dict[str, str] = dict.fromkeys(
        ("prometheus", "alertmanager", "inbox", "jaeger", "loki"), "http://127.0.0.1:9"
    )
    with pytest.raises(SettingsError, match=r"^STACK=test: not up \(make up STACK=test brings it up\)$"):
        demonstration.refuse_absent("test", urls)
    assert "none" in _shown(demonstration.measured(urls["prometheus"], _system("wwmaa")))
    assert "none" in _shown(demonstration.told(urls, _system("wwmaa")))
    assert demonstration.arrived(urls, "wwmaa") == set()
