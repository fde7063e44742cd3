"""Blocks of Python run."""

import importlib.util
import json
import os
import subprocess
import sys
from ast import Import, ImportFrom, walk
from ast import parse as parse_python
from pathlib import Path

import pytest
import yaml

from specs.settings import load
from specs.stack import build
from tests.blocks.reading import BLOCKS, ROOT, Block, of
from tests.local.servers import free_offset

_FIRST = """
import json, os, re, sys
import pulumi

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        outputs = json.loads(os.environ["OUTPUTS"]) if args.typ == "pulumi:pulumi:StackReference" else {}
        return args.name + "-id", {**args.inputs, "outputs": outputs}

    def call(self, args):
        return {}

pulumi.runtime.set_mocks(Mocks(), project="example", stack="local")
blocks = json.load(sys.stdin)
asked = re.findall(r'require(?:_secret)?\\("([a-z-]+)"\\)', "".join(block["text"] for block in blocks))
pulumi.runtime.set_all_config({"example:" + key: "https://example.com/" + key for key in asked})
for block in blocks:
    exec(compile(block["text"], block["name"], "exec"), globals())
"""
"""The blocks of a page one after the other, as a reader takes them: in a Pulumi program whose stack references have the
outputs of this project's local stack."""


@pytest.mark.parametrize("page", sorted({block.page for block in of("python")}))
def test_python_runs(page: str, tmp_path: Path) -> None:
    """Proves that the examples in Python of a page do what they say, one after the other, without an error."""
    blocks = [{"name": str(block), "text": block.text} for block in of("python") if block.page == page]
    local = build(load(ROOT / "Pulumi.local.yaml"), file="Pulumi.local.yaml")
    # What pages speak of as the reader's own; of one, ports that are free now.
    for file in ROOT.glob("Pulumi.*.yaml"):
        (tmp_path / file.name).symlink_to(file)
    settings = yaml.safe_load((ROOT / "examples" / "reuse-python" / "observability.yaml").read_text(encoding="utf-8"))
    (tmp_path / "observability.yaml").write_text(yaml.safe_dump({**settings, "port_offset": free_offset()}))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "examples" / "sample-app"))),
        "OBSERVABILITY_STATE": str(tmp_path / "state"),
        "OUTPUTS": json.dumps(local.outputs(home="/home/of")),
    }
    command = [sys.executable, "-c", _FIRST]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input=json.dumps(blocks), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.word == "python" and each.why], ids=str)
def test_python_that_is_not_run_can_be_read(block: Block) -> None:
    """Proves that it is Python all the same, and that what it imports of this project is there."""
    tree = parse_python(block.text)
    named = [each.name for node in walk(tree) if isinstance(node, Import) for each in node.names]
    named += [node.module or "" for node in walk(tree) if isinstance(node, ImportFrom)]
    ours = [name for name in named if (ROOT / name.partition(".")[0]).is_dir()]

    assert [name for name in ours if importlib.util.find_spec(name) is None] == [], str(block)
