"""The command line says what is where, and answers mistakes with words."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tools.native.table import PROGRAMS

REPOSITORY = Path(__file__).parents[3]


def native(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "tools.native", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False)


def test_list_has_every_executable(front: Path, script: Callable[[Path, str], Path]) -> None:
    """Proves that the table shows all programs, where one is, and why one of PATH is not used."""
    script(front / "loki", "echo loki, version 3.1.0")
    script(front / "jaeger", 'echo \'{"gitVersion":"v1.60.0"}\'')
    done = native("list")
    assert done.returncode == 0
    assert [name for program in PROGRAMS for name in program.executables if name not in done.stdout] == []
    assert str(front / "loki") in done.stdout
    assert "it is 1.60.0, wanted is >=2.0.0rc2,<3" in done.stdout


def test_path_prints_the_path_alone(install: Callable[[str], Path]) -> None:
    """Proves that `path` can be used inside a command."""
    directory = install("amtool")
    assert native("path", "amtool").stdout == f"{directory / 'amtool'}\n"


def test_path_of_what_is_not_there_says_how_to_get_it(front: Path) -> None:
    """Proves that the answer is one error of two lines on the standard error, and no traceback."""
    done = native("path", "loki")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "loki: it is neither on PATH at an accepted version nor built",
        "  What to do: python -m tools.native ensure loki",
    ]
    assert front.is_dir()


def test_env_can_be_evaluated_by_a_shell(install: Callable[[str], Path], front: Path) -> None:
    """Proves that after `eval` the shell finds our pulumi by its name."""
    directory = install("pulumi")
    text = f'eval "$({sys.executable} -m tools.native env)" && command -v pulumi'
    done = subprocess.run(["/bin/sh", "-c", text], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).samefile(directory / "pulumi")
    assert front.is_dir()


def test_an_optional_program_that_is_absent_is_no_error(front: Path) -> None:
    """Proves that what no registry has is told in one line."""
    done = native("ensure", "json_exporter")
    assert (done.returncode, done.stdout) == (0, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("json_exporter: not on PATH, done without; https://")
    assert front.is_dir()


def test_a_debian_package_without_apt_is_told(front: Path) -> None:
    """Proves that a system without apt gets an instruction."""
    command = [sys.executable, "-m", "tools.native", "ensure", "nginx_exporter"]
    environment = {**os.environ, "PATH": str(front)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this system has no apt-get" in done.stderr
    assert "install nginx_exporter >=0.11,<2 in another way" in done.stderr
