"""The recording that other tests rely on."""

import pulumi
import pytest
from pulumi.runtime import invoke

from components.recording import Secret, record


class Thing(pulumi.CustomResource):
    """A resource with any inputs."""

    seen: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: object) -> None:
        super().__init__("test:index:Thing", name, inputs, opts)


def test_a_call_that_nobody_expects_is_an_error() -> None:
    """A look-up would reach out for a cluster or a daemon at preview: none passes unnoticed."""

    def program() -> None:
        invoke("test:index:lookUp", {})

    with pytest.raises(AssertionError, match=r"^unexpected call of test:index:lookUp$"):
        record(program, stack="test")


def test_secrets_keep_their_mark_and_their_place() -> None:
    """Beside a secret, what is no secret is not taken for one; whole numbers stay whole."""

    def program() -> None:
        Thing("one", both=[pulumi.Output.secret("hidden"), "open"], number=7)

    assert record(program, stack="test").resource("test:index:Thing", "one").inputs == {
        "both": [Secret("hidden"), "open"],
        "number": 7,
    }


def test_urns_are_the_engines() -> None:
    """A child's URN carries the types of all its parents, not only of the last."""

    def program() -> None:
        outer = pulumi.ComponentResource("test:index:Outer", "outer")
        inner = pulumi.ComponentResource("test:index:Inner", "inner", None, pulumi.ResourceOptions(parent=outer))
        Thing("thing", pulumi.ResourceOptions(parent=inner))

    thing = record(program, stack="test").resource("test:index:Thing", "thing")

    assert thing.urn == "urn:pulumi:test::observability::test:index:Outer$test:index:Inner$test:index:Thing::thing"
    assert thing.parent == "inner"


def test_what_a_program_raises_comes_out_and_leaves_nothing_behind() -> None:
    """A failed program's resources are in no later recording, and neither are its settings."""

    def failing() -> None:
        Thing("left over")
        raise pulumi.RunError("no")

    before = pulumi.get_stack()
    with pytest.raises(pulumi.RunError, match=r"^no$"):
        record(failing, stack="test", config={"key": "value"})

    later = record(lambda: pulumi.log.warn(str(pulumi.Config("observability").get("key"))), stack="other")
    assert later.resources == []
    assert later.warnings == ["None"]
    assert pulumi.get_stack() == before


def test_a_preview_knows_no_ids() -> None:
    """What waits for an id stays unknown in a preview, and becomes known by an update."""
    found: list[str] = []

    def program() -> None:
        Thing("one").id.apply(found.append)

    record(program, stack="test", preview=True)
    assert found == []

    record(program, stack="test")
    assert found == ["one"]
