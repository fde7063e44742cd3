"""Files that hold what a test expects, where that is too long to stand in it and worth reading in a diff."""

import difflib
import os
from pathlib import Path

DIRECTORY = Path(__file__).with_name("golden")


def assert_golden(path: Path | str, text: str) -> None:
    """`text` is what the file `path` (below `tests/golden`, unless absolute) holds.

    With `UPDATE_GOLDEN=1` in the environment the file is written instead.
    """
    file = DIRECTORY / path
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return
    expected = file.read_text(encoding="utf-8") if file.exists() else ""
    if text != expected or not file.exists():
        diff = "\n".join(
            difflib.unified_diff(expected.splitlines(), text.splitlines(), "expected", "found", lineterm="")
        )
        raise AssertionError(
            f"{file.name} is not what it was. When the change is meant, write it and read it in git's diff:\n"
            f"    UPDATE_GOLDEN=1 pytest {os.environ.get('PYTEST_CURRENT_TEST', '').partition(' ')[0]}\n{diff}"
        )
