"""The golden files' own check."""

from pathlib import Path

import pytest

from tests.golden import assert_golden


@pytest.fixture(autouse=True)
def _as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPDATE_GOLDEN", raising=False)


def test_the_same_text_passes(tmp_path: Path) -> None:
    """What stands in the file is what is expected, to the byte."""
    (tmp_path / "a.txt").write_text("é\n", encoding="utf-8")

    assert_golden(tmp_path / "a.txt", "é\n")


def test_another_text_fails_with_a_diff_and_the_way_out(tmp_path: Path) -> None:
    """The message shows what changed, and the command that accepts it; the file stays as it is."""
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")

    with pytest.raises(AssertionError) as problem:
        assert_golden(tmp_path / "a.txt", "one\nthree\n")

    said = str(problem.value).splitlines()
    assert said[0] == "a.txt is not what it was. When the change is meant, write it and read it in git's diff:"
    assert said[1].startswith("    UPDATE_GOLDEN=1 pytest tests/test_golden.py::")
    assert said[-3:] == [" one", "-two", "+three"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "one\ntwo\n"


def test_a_file_that_is_missing_fails(tmp_path: Path) -> None:
    """A new expectation does not pass before somebody has written and read it."""
    with pytest.raises(AssertionError, match=r"^a\.txt is not what it was"):
        assert_golden(tmp_path / "a.txt", "one\n")


def test_a_file_is_written_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """UPDATE_GOLDEN=1 writes what was found, in new directories too."""
    monkeypatch.setenv("UPDATE_GOLDEN", "1")

    assert_golden(tmp_path / "new" / "a.txt", "one\n")

    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "one\n"
