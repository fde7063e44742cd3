"""Which forge a job runs on."""

from collections.abc import Mapping

from specs.model import SettingsError
from tools.ci.forge import Forge
from tools.ci.github import GitHub
from tools.ci.gitlab import GitLab


def of(variables: Mapping[str, str]) -> Forge:
    """The forge whose job has these variables. Raises SettingsError when it is none, or one is missing."""
    if variables.get("GITLAB_CI"):
        return GitLab.of(variables)
    if variables.get("GITHUB_ACTIONS"):
        return GitHub.of(variables)
    raise SettingsError("no job of a forge (accepted: GITHUB_ACTIONS or GITLAB_CI in the environment)")
