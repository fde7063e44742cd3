"""The Pulumi engine as the commands use it: which backend, which secrets, which configuration file."""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specs.model import SettingsError
from specs.settings import RuntimeKind, Settings
from tools import native, paths


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A stack of a Pulumi program, ready to be worked on."""

    stack: str
    project: Path
    environment: Mapping[str, str]
    own: bool
    """Whether the state is this project's own, in a directory; else it is the user's."""

    def run(self, *arguments: str, capture: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run `pulumi`; output goes to the terminal unless captured. The caller looks at the exit status."""
        return subprocess.run(
            ["pulumi", *arguments],
            cwd=self.project,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL if capture else None,
            capture_output=capture,
            text=True,
            check=False,
        )

    def _config(self) -> list[str]:
        """Pulumi writes the salt of its encryption into the configuration file: of a stack of our own into a copy, so
        that bringing it up leaves the checkout clean."""
        if not self.own:
            return []
        tracked = self.project / f"Pulumi.{self.stack}.yaml"
        copy = paths.state() / "config" / self.project.name / tracked.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = tracked.read_text(encoding="utf-8")
        if "\nencryptionsalt:" not in text and copy.exists():
            lines = [
                line for line in copy.read_text(encoding="utf-8").splitlines() if line.startswith("encryptionsalt:")
            ]
            text = "\n".join([text.rstrip("\n"), *lines, ""])
        copy.write_text(text, encoding="utf-8")
        return ["--config-file", str(copy)]

    def work(self, command: str, *arguments: str, capture: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run up, preview, refresh or destroy on the stack."""
        return self.run(command, "--stack", self.stack, *self._config(), *arguments, capture=capture)

    def ready(self) -> None:
        """Make the stack where there is none yet. Raises SettingsError with Pulumi's words."""
        if self.exists():
            return
        # `stack init` knows no --config-file: it writes its salt into the tracked file, which is put back.
        tracked = self.project / f"Pulumi.{self.stack}.yaml"
        before = tracked.read_bytes()
        made = self.run("stack", "init", self.stack, "--no-select", "--non-interactive", capture=True)
        if self.own:
            tracked.write_bytes(before)
        if made.returncode:
            raise SettingsError(f"pulumi stack init {self.stack}: {(made.stderr or made.stdout).strip()}")

    def configured(self) -> frozenset[str]:
        """Keys that the stack's configuration has, as `observability:name`; values are not read.

        Raises SettingsError with Pulumi's words.
        """
        found = self.work("config", "--json", "--non-interactive", capture=True)
        if found.returncode:
            raise SettingsError(f"pulumi config: {(found.stderr or found.stdout).strip()}")
        return frozenset(json.loads(found.stdout or "{}"))

    def deployed(self, kind: str) -> dict[str, str]:
        """URN → name, as its provider has it, of every resource in the state whose type begins with `kind`."""
        found = self.run("stack", "export", "--stack", self.stack, "--non-interactive", capture=True)
        if found.returncode:
            raise SettingsError(f"pulumi stack export: {(found.stderr or found.stdout).strip()}")
        resources: list[dict[str, Any]] = json.loads(found.stdout)["deployment"].get("resources") or []
        return {
            str(resource["urn"]): str(resource.get("outputs", {}).get("name", ""))
            for resource in resources
            if str(resource["type"]).startswith(kind)
        }

    def disown(self, urn: str) -> None:
        """Forget the resource and everything that needs it, without asking its provider. Raises SettingsError with
        Pulumi's words."""
        done = self.run("state", "delete", urn, "--target-dependents", "--yes", "--stack", self.stack, capture=True)
        if done.returncode:
            raise SettingsError(f"pulumi state delete {urn}: {(done.stderr or done.stdout).strip()}")

    def exists(self) -> bool:
        """Whether the backend has the stack."""
        found = self.run("stack", "ls", "--json", "--non-interactive", capture=True)
        if found.returncode:
            raise SettingsError(f"pulumi stack ls: {(found.stderr or found.stdout).strip()}")
        names = [str(entry["name"]).rpartition("/")[2] for entry in json.loads(found.stdout or "[]")]
        return self.stack in names

    def forget(self) -> None:
        """Remove the stack from its backend."""
        self.run("stack", "rm", self.stack, "--yes", "--force", "--preserve-config", "--non-interactive", capture=True)


def _logged_in(environment: Mapping[str, str]) -> bool:
    """Whether the user has chosen a backend for every project (`pulumi login`)."""
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return bool(json.loads((home / "credentials.json").read_text()).get("current"))
    except (OSError, ValueError):
        return False


def environment(kind: RuntimeKind, base: Mapping[str, str] = os.environ) -> tuple[dict[str, str], bool]:
    """What Pulumi needs in its environment, and whether backend and secrets are this project's own.

    A process stack lives in this project's state directory. Any other uses the user's backend and secrets provider
    where one is configured (PULUMI_BACKEND_URL, `pulumi login`), as does a process stack with PULUMI_BACKEND_URL.
    """
    found = native.environment(base)
    state = paths.state()
    # Programs in other directories (examples) and the plugin they start must see this checkout and its state.
    found["PYTHONPATH"] = os.pathsep.join([str(paths.ROOT), *filter(None, [base.get("PYTHONPATH")])])
    found["OBSERVABILITY_STATE"] = str(state)
    backend = state / "pulumi"
    ours = f"file://{backend}"
    theirs = base.get("PULUMI_BACKEND_URL", ours) != ours or (kind is not RuntimeKind.PROCESS and _logged_in(base))
    if theirs:
        return found, False
    backend.mkdir(parents=True, exist_ok=True, mode=0o700)
    found["PULUMI_BACKEND_URL"] = ours
    if not (base.get("PULUMI_CONFIG_PASSPHRASE") or base.get("PULUMI_CONFIG_PASSPHRASE_FILE")):
        passphrase = state / "passphrase"
        if not passphrase.exists():
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(32))
        found["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    return found, True


def engine(stack: str, settings: Settings, project: Path = paths.ROOT) -> Engine:
    """The engine for a stack of `project`. Raises EngineError when a Docker stack wants a context that is not there."""
    found, own = environment(settings.runtime)
    if settings.runtime is RuntimeKind.DOCKER:
        # Only here, since Docker's SDK takes time to import.
        from tools import docker_engine

        # Pulumi's provider knows no current context, and would take this one before any host.
        found.pop("DOCKER_CONTEXT", None)
        found |= docker_engine.environment(docker_engine.where(project / f"Pulumi.{stack}.yaml"))
    return Engine(stack=stack, project=project, environment=found, own=own)
