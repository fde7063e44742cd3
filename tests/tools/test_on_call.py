"""The page of who is on duty."""

import re

import pytest

from specs.settings import load
from specs.stack import Stack, build
from tools import on_call, runbooks
from tools.documents import PRODUCTION, whole_stack
from tools.paths import ROOT


@pytest.fixture(scope="module")
def production() -> Stack:
    """The production stack."""
    return build(load(ROOT / PRODUCTION), file=PRODUCTION)


@pytest.fixture(scope="module")
def page(production: Stack) -> str:
    """The page, made anew."""
    return on_call.page(runbooks.rules(whole_stack(examples=True)), production)


def test_every_alert_with_a_runbook_is_on_the_page(page: str) -> None:
    """Proves that the page links each runbook there is, and no other."""
    linked = set(re.findall(r"\]\(\.\./runbooks/(\w+)\.md\)", page))
    assert linked == {file.stem for file in (ROOT / "docs" / "runbooks").glob("*.md")}


def test_every_alert_of_production_says_who_is_told(page: str, production: Stack) -> None:
    """Proves that no alert which production evaluates stands there as one it does not have, and that each critical one
    is told to somebody."""
    names = {
        (alert.name, alert.severity.value)
        for group in (*production.groups, *production.log_groups)
        for alert in group.alerts
    }
    critical = page[page.index("## Now") : page.index("## Today")]
    rows = {
        row.split("]", 1)[0][3:]: row.rsplit("|", 2)[1].strip()
        for row in critical.splitlines()
        if row.startswith("| [")
    }
    told = {name: rows[name] for name, severity in names if severity == "critical"}
    assert not [name for name, who in told.items() if who in ("not there", "nobody", "")]


def test_a_row_says_what_to_know(page: str) -> None:
    """Proves that a row has the alert's wait, what it says and its receivers by the routes of production."""
    name = "AlertmanagerConfigReloadFailed"
    says, who = "Alertmanager runs on an old configuration", "email, pagerduty, slack"
    assert f"| [{name}](../runbooks/{name}.md) | all | 5m | {says} | {who} |" in page.splitlines()
    assert "| `wwmaa` | team-email | team-email |" in page.splitlines()
