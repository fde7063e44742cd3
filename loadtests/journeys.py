"""What users of a system do."""

import random
import re
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field

from specs.model import Model, SettingsError, parse
from specs.settings import read_yaml

FILE = Path(__file__).with_name("journeys.yaml")
_CHANCE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")


class Step(Model):
    """A request that users make."""

    path: Annotated[str, Field(pattern=r"^/([^/\s]\S*)?$")]
    """What they ask for; `{1..10}` is a whole number by chance. The path as written is the endpoint's name."""
    weight: Annotated[int, Field(ge=1)] = 1
    """How often, against the other steps."""
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    """How they ask."""
    body: dict[str, int | str] | None = None
    """JSON that they send."""

    @property
    def somewhere(self) -> str:
        """The path, with numbers by chance."""
        return _CHANCE.sub(lambda found: str(random.randint(int(found[1]), int(found[2]))), self.path)  # noqa: S311 - not for secrets


_UNKNOWN = (Step(path="/"),)


def journey(app: str, file: Path = FILE) -> tuple[Step, ...]:
    """What users of `app` do; of one that the file does not know, they open its first page.

    Raises SettingsError naming file and key.
    """
    known = read_yaml(file)
    if app not in known:
        return _UNKNOWN
    steps = cast("object", known[app])
    if not isinstance(steps, list) or not steps:
        raise SettingsError(f"{file.name}: {app}: no steps (accepted: a list, each entry after a dash)")
    return tuple(
        parse(Step, step, file=file.name, key=f"{app}[{index}]")
        for index, step in enumerate(cast("list[object]", steps))
    )
