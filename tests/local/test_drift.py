"""`make drift` on a stack that runs: what somebody changed by hand."""

import json

from tests.local.stacks import Local


def test_a_rule_that_was_changed_by_hand_is_drift(local: Local) -> None:
    """Proves that a stack that was just brought up has no drift, that an edited rule file is named by its program and
    path with status 1 and without what it says, and that the edit is still there after the look."""
    assert local.cli("drift").stdout == f"stack {local.name}: all is as Pulumi left it\n"
    file = local.home.config("prometheus") / "rules" / "node.yml"
    before = file.read_text()
    file.write_text(f"{before}# a word by hand\n")
    try:
        done = local.cli("drift", "--json", check=False)
        left = file.read_text()
    finally:
        file.write_text(before)

    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)["drift"]
    assert (found["name"], found["gone"], found["properties"]) == ("prometheus", False, ["files.rules/node.yml"])
    assert "a word by hand" not in done.stdout + done.stderr
    assert left.endswith("# a word by hand\n")
