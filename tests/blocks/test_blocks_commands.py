"""Blocks of commands name what exists, and those that need nothing run."""

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from tests.blocks.reading import ROOT, Block, of
from tools import cli, native
from tools.ci import __main__ as ci

PROGRAMS = {
    # The shell's, and what every system has.
    *(
        ".",
        "cat",
        "cd",
        "cp",
        "date",
        "df",
        "du",
        "echo",
        "eval",
        "exec",
        "export",
        "free",
        "grep",
        "gzip",
        "head",
        "ls",
    ),
    *("mkdir", "mv", "ps", "rm", "sed", "sleep", "sort", "sudo", "tail", "tar", "tee", "test", "top", "xargs"),
    # Others'.
    *(
        "amtool",
        "curl",
        "docker",
        "git",
        "jq",
        "kubectl",
        "locust",
        "nc",
        "npm",
        "pip",
        "promtool",
        "policy/.venv/bin/pip",
    ),
    *("lsof", "pg_dump", "pg_isready", "pidstat", "psql", "redis-cli", "systemd-cgtop"),
}
"""Programs of others that a page may call; their options are theirs."""
MODULES = {"tools.cli": cli.app, "tools.ci": ci.app}


def _commands(block: Block) -> Iterator[list[str]]:
    """Every command of a block, word by word, without what follows a pipe's or list's sign as one with it."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    # What a reader puts in.
    text = re.sub(r"<[a-z][a-z -]*>", "yours", text)
    # What stands in a here-document is no command.
    text = re.sub(r"<<-? ?'?(\w+)'?\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    for whole in _whole_lines(text):
        # What a command's words are made of is a command, too, with quotes of its own.
        inner = re.search(r"\$\((.+)\)", whole)
        if inner:
            yield from _commands(replace(block, text=inner[1] + "\n"))
        line = whole.replace(inner[0], "made") if inner else whole
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set("|&;()"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)
        if words:
            yield words


def _whole_lines(text: str) -> Iterator[str]:
    """Lines, put together where a quote goes on."""
    line = ""
    for part in text.splitlines():
        line = f"{line}\n{part}" if line else part
        try:
            shlex.split(re.sub(r"\$\(.+\)", "made", line), comments=True)
        except ValueError:
            continue
        if line.strip() and not line.lstrip().startswith("#"):
            yield line
        line = ""
    assert not line.strip(), f"a quote that does not end: {line}"


def _bare(words: Sequence[str]) -> list[str]:
    """Without what is set for it alone, and without who it is run as."""
    rest = list(words)
    while rest and (re.match(r"^[A-Za-z_]\w*=", rest[0]) or rest[0] in {"sudo", "exec", "time"}):
        rest = rest[1:]
    return rest


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_commands_are_there(block: Block) -> None:
    """Proves of every command of a page that its program is known; and, of what is ours or Pulumi's, that target,
    variables, module, subcommand and options exist."""
    wrong = [problem for command in _commands(block) for problem in _problems(_bare(command))]
    assert wrong == [], str(block)


def _problems(words: Sequence[str]) -> Iterator[str]:
    if not words:
        return
    program, rest = words[0], [word for word in words[1:] if "…" not in word]
    if program == "make":
        yield from _of_make(rest)
    elif program == "pulumi":
        yield from _of_pulumi(rest)
    elif program in {"python", "python3", ".venv/bin/python"}:
        yield from _of_python(rest)
    elif (
        program not in PROGRAMS
        and not (ROOT / program).exists()
        and not (Path(sys.executable).parent / program).exists()
    ):
        yield f"{program}: nobody knows it (accepted: {', '.join(sorted(PROGRAMS))}, or a file)"


def _of_make(words: Sequence[str]) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    # What it is told to write to is no target.
    to_files = {word for before, word in pairwise(words) if before == ">"}
    for word in words:
        if word in to_files or word == ">":
            continue
        variable, sign, _ = word.partition("=")
        if sign and f"$({variable})" not in makefile and f"or $({variable})" not in makefile:
            yield f"make {word}: the Makefile reads no {variable}"
        elif not sign and word not in targets:
            yield f"make {word}: no such target"


def _of_pulumi(words: Sequence[str]) -> Iterator[str]:
    bare = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)][:2]
    helped = _help_of_pulumi(*bare)
    if bare and not re.search(rf"Usage:\n  pulumi {bare[0]}\b", helped):
        yield f"pulumi {bare[0]}: no such command"
        return
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in helped:
            yield f"pulumi {' '.join(bare)} {option}: no such option"


@cache
def _help_of_pulumi(*words: str) -> str:
    (pulumi,) = (found.path for found in native.ensure(["pulumi"]).values() if found.name == "pulumi")
    command = [str(pulumi), *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def _of_python(words: Sequence[str]) -> Iterator[str]:
    if words[:1] != ["-m"]:
        return
    module, rest = words[1], words[2:]
    if not (ROOT / "examples" / "sample-app" / module).is_dir() and not _is_module(module):
        yield f"python -m {module}: no such module"
        return
    if module in MODULES and rest:
        options = _options(MODULES[module]).get(rest[0])
        if options is None:
            yield f"python -m {module} {rest[0]}: no such command"
        else:
            unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
            yield from (f"python -m {module} {rest[0]} {word}: no such option" for word in unknown)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _options(app: typer.Typer) -> dict[str, set[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in group.commands.items()
    }


RUN = ("make render", "make images STACK=dev", "make images STACK=dev JSON=1", "make render STACK=prod")
"""Commands of pages that need nothing and change nothing but where they are told to write."""


def test_commands_that_need_nothing_run(tmp_path: Path) -> None:
    """Proves that those commands stand on a page as they are here, and end well."""
    typed = {" ".join(_bare(words)) for block in of("sh") for words in _commands(block)}
    assert [command for command in RUN if command not in typed] == []
    for command in RUN:
        words = [*command.split(), *([f"OUT={tmp_path}/rendered"] if "render" in command else [])]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout.strip(), command


def test_a_mistake_in_a_command_is_found() -> None:
    """Proves that each kind of mistake is seen, and named by what is wrong."""
    mistakes = {
        "make uup STACK=dev": "make uup: no such target",
        "make up STAKC=dev": "make STAKC=dev: the Makefile reads no STAKC",
        "pulumi previw --stack dev": "pulumi previw: no such command",
        "pulumi preview --stak dev": "pulumi preview dev --stak: no such option",
        ".venv/bin/python -m tools.cli drift --isue": "python -m tools.cli drift --isue: no such option",
        "sudo python -m tools.clu": "python -m tools.clu: no such module",
        "A=1 kubctl get pods | jq .": "kubctl: nobody knows it",
    }
    for text, words in mistakes.items():
        block = Block("page.md", 1, "sh", f"{text}  # and a comment\n", "")
        found = [problem for command in _commands(block) for problem in _problems(_bare(command))]
        assert len(found) == 1, text
        assert found[0].startswith(words)
