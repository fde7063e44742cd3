"""Small git repositories of tests, whose programs render what a test says."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

RENDERER = """
import os, sys
from pathlib import Path
{before}
out = Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(parents=True)
(out / "file.yml").write_text({text!r})
(out / "environment").write_text("\\n".join(sorted(os.environ)))
with open({counter!r}, "a") as counter:
    counter.write("rendered\\n")
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A git repository of a test."""

    root: Path

    @classmethod
    def empty(cls, root: Path) -> Self:
        """One without a commit."""
        root.mkdir(parents=True, exist_ok=True)
        made = cls(root=root)
        made.git("init", "--quiet", "--initial-branch=main")
        return made

    @classmethod
    def rendering(cls, root: Path, text: str, *, before: str = "", stack: str = "shop") -> Self:
        """One with a commit whose own code renders `text` for `stack`, once it has run `before`."""
        made = cls.empty(root)
        made.renders(text, before=before)
        made.write(f"Pulumi.{stack}.yaml", "config: {}\n")
        made.commit("first")
        return made

    def renders(self, text: str, *, before: str = "") -> None:
        """From now on `text` is rendered."""
        self.write("tools/__init__.py", "")
        self.write("tools/cli.py", RENDERER.format(before=before, text=text, counter=str(self.counter)))

    @property
    def counter(self) -> Path:
        """A file with a line for each time that something was rendered."""
        return self.root.parent / "counter"

    @property
    def count(self) -> int:
        """How often something was rendered."""
        return len(self.counter.read_text(encoding="utf-8").splitlines()) if self.counter.is_file() else 0

    def git(self, *arguments: str) -> str:
        """Run git there."""
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def commit(self, tag: str) -> None:
        """Commit everything, and call it `tag`."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", tag)
        self.git("tag", tag)
