"""Files around secrets."""

from collections.abc import Mapping

import pulumi
import pytest

from components.recording import record
from components.runtimes.secret_files import secret_file
from specs.workload import SecretRef


def _file(ref: SecretRef, values: Mapping[str, str]) -> tuple[str, bool]:
    """The text that becomes a file, and whether it is a secret."""
    found: list[tuple[str, bool]] = []

    def program() -> None:
        secrets = {key: pulumi.Output.secret(value) for key, value in values.items()}
        made = secret_file(ref, secrets)
        secret: pulumi.Output[bool] = pulumi.Output.from_input(made.is_secret())
        pulumi.Output.all(made, secret).apply(lambda both: found.append((both[0], both[1])))

    record(program, stack="test")
    ((text, secret),) = found
    return text, secret


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (SecretRef("a"), 'the "a"'),
        (SecretRef("a", template="x: $secret\n"), 'x: "the \\"a\\""\n'),
        (
            SecretRef("a", template="[default]\nkey = ${a}\nsecret = ${b}\n", others=("b",)),
            '[default]\nkey = the "a"\nsecret = ${a} $secret\n',
        ),
    ],
)
def test_files_are_as_secret_as_what_is_in_them(ref: SecretRef, text: str) -> None:
    """Proves that a value stands bare, quoted or among others, as its file asks; that what a secret says is never taken
    for the place of another one; and that the file is a secret in every case."""
    assert _file(ref, {"a": 'the "a"', "b": "${a} $secret", "other": "unused"}) == (text, True)


def test_every_part_has_to_be_configured() -> None:
    """Proves that whoever asks which secrets there are hears of each one in a file of several."""
    ref = SecretRef("a", template="${a} ${b}", others=("b",))

    assert [each.key for each in ref.each()] == ["a", "b"]
    assert ref.each()[1] == SecretRef("b")
