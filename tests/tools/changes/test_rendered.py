"""Which files a revision has, and what it renders by its own code: with real git repositories and real processes."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specs.model import SettingsError
from tests.tools.changes.repositories import Repository
from tools.changes import rendered
from tools.changes.rendered import tree
from tools.changes.revisions import WORKING_TREE, revision


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "observability"


def _digest(directory: Path) -> str:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


def test_each_revision_is_rendered_by_its_own_code(tmp_path: Path) -> None:
    """Proves that a tag renders what its own program wrote then, and the working tree what an uncommitted one writes:
    programs that differ in a few letters only, one right after the other."""
    made = Repository.rendering(tmp_path / "project", "old")
    made.renders("new")
    made.commit("second")
    made.renders("uncommitted")
    found = [(tree(ref, "shop", root=made.root) / "file.yml").read_text() for ref in ("first", "second", WORKING_TREE)]
    assert found == ["old", "new", "uncommitted"]


def test_the_working_tree_is_what_git_would_take(tmp_path: Path) -> None:
    """Proves that new files count, ignored and deleted ones do not, and that the repository is left as it was: the
    index, every object, and what git says of its state."""
    made = Repository.rendering(tmp_path / "project", "text")
    made.write(".gitignore", "ignored\n")
    made.write("gone", "")
    made.commit("second")
    made.write("ignored", "")
    made.write("new", "written")
    (made.root / "gone").unlink()
    status, before = made.git("status", "--porcelain"), _digest(made.root / ".git")
    with revision(WORKING_TREE, option="HEAD", root=made.root) as found:
        assert found.names() == [".gitignore", "Pulumi.shop.yaml", "new", "tools"]
        assert found.read("new") == "written"
        assert found.read("gone") == ""
    assert _digest(made.root / ".git") == before
    assert made.git("status", "--porcelain") == status


def test_where_a_branch_left(tmp_path: Path) -> None:
    """Proves that `main...` is what the branch began with, whatever main did since: for the checkout and for a head."""
    made = Repository.rendering(tmp_path / "project", "old")
    made.git("switch", "--quiet", "--create", "branch")
    made.write("of-branch", "")
    made.commit("second")
    made.git("switch", "--quiet", "main")
    made.write("of-main", "")
    made.commit("third")
    made.git("switch", "--quiet", "branch")
    trees: list[str] = []
    for name, head in (("first", ""), ("main...", ""), ("main...", "branch"), ("branch...", "main"), ("main", "")):
        with revision(name, option="BASE", root=made.root, head=head) as found:
            trees.append(found.tree)
    assert trees[:4] == [trees[0]] * 4
    assert trees[4] != trees[0]


def test_a_render_is_kept_by_what_it_is_of(tmp_path: Path) -> None:
    """Proves that a revision is rendered once: also under another name, and as a working tree without a change."""
    made = Repository.rendering(tmp_path / "project", "text")
    found = {tree(ref, "shop", root=made.root) for ref in ("first", "HEAD", "main", WORKING_TREE, "first")}
    assert (len(found), made.count) == (1, 1)
    made.write("more", "")
    tree(WORKING_TREE, "shop", root=made.root)
    assert made.count == 2


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Proves that four renders of two revisions at the same time each have their own revision's files."""
    made = Repository.rendering(tmp_path / "project", "old")
    made.renders("new")
    made.commit("second")

    def text(ref: str) -> str:
        return (tree(ref, "shop", root=made.root) / "file.yml").read_text()

    with ThreadPoolExecutor(4) as pool:
        found = pool.map(text, ["first", "second"] * 2)
    assert list(found) == ["old", "new", "old", "new"]


def test_what_renders_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a revision's code, which may be anybody's, gets none of the variables that secrets come by, and none
    that a hook of git sets."""
    made = Repository.rendering(tmp_path / "project", "text")
    for name in ("PULUMI_CONFIG_PASSPHRASE", "GRAFANA_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    seen = set((tree("first", "shop", root=made.root) / "environment").read_text().splitlines())
    accepted = {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "COLUMNS"}
    assert seen <= accepted


def test_a_checkout_is_reused(tmp_path: Path, cache: Path) -> None:
    """Proves that of the next revision only what differs is written, and what it has not is gone."""
    made = Repository.rendering(tmp_path / "project", "old")
    made.write("only-then", "")
    made.commit("second")
    made.git("rm", "--quiet", "only-then")
    made.renders("new")
    made.commit("third")
    tree("second", "shop", root=made.root)
    (checkout,) = [path for path in (cache / "checkouts").glob("*/*") if path.is_dir()]
    same, other = checkout / "tools" / "__init__.py", checkout / "tools" / "cli.py"
    before = (same.stat().st_ino, other.read_text())
    assert (checkout / "only-then").exists()
    tree("third", "shop", root=made.root)
    assert same.stat().st_ino == before[0]
    assert other.read_text() != before[1]
    assert not (checkout / "only-then").exists()


def test_one_that_is_killed_leaves_nothing_half(tmp_path: Path) -> None:
    """Proves that a render which is killed is no render of the next command, and that its checkout can be taken."""
    made = Repository.rendering(tmp_path / "project", "text", before="import time; time.sleep(2)")
    code = (
        "import sys; from pathlib import Path; from tools.changes.rendered import tree;"
        " tree('first', 'shop', root=Path(sys.argv[1]))"
    )
    project = Path(rendered.__file__).resolve().parents[2]
    running = subprocess.Popen([sys.executable, "-c", code, str(made.root)], cwd=project, start_new_session=True)
    checkouts = tmp_path / "cache" / "observability" / "checkouts"
    deadline = time.monotonic() + 60
    while not list(checkouts.glob("*/0/tools/cli.py")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(10)
    (index,) = checkouts.glob("*/0.index")
    index.with_suffix(".index.lock").write_text("")
    assert (tree("first", "shop", root=made.root) / "file.yml").read_text() == "text"


def test_old_renders_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that no more than so many renders stay, and that what was asked for last is among them."""
    monkeypatch.setattr(rendered, "_KEPT", 2)
    made = Repository.rendering(tmp_path / "project", "text")
    first = last = tree("first", "shop", root=made.root)
    for number in range(3):
        made.write("more", str(number))
        later = time.time() + number + 1
        os.utime(first, (later, later))
        last = tree(WORKING_TREE, "shop", root=made.root)
    assert sorted(path.name for path in first.parent.glob("[!.]*")) == sorted({first.name, last.name})


@pytest.mark.parametrize(
    ("ref", "stack", "words"),
    [
        ("nope", "shop", "BASE=nope: no such revision (accepted: a branch, tag or commit that this clone has;"),
        ("--help", "shop", "BASE=--help: no such revision"),
        ("nope...", "shop", "BASE=nope...: no such revision"),
        ("first", "nope", "STACK=nope: BASE=first has no Pulumi.nope.yaml (accepted: shop)"),
        (WORKING_TREE, "nope", "STACK=nope: there is no Pulumi.nope.yaml (accepted: shop)"),
        ("first", "../shop", "STACK=../shop: BASE=first has no Pulumi.../shop.yaml (accepted: shop)"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path: Path, ref: str, stack: str, words: str) -> None:
    """Proves that a wrong revision or stack is one line with the option's name and what is accepted."""
    made = Repository.rendering(tmp_path / "project", "text")
    with pytest.raises(SettingsError) as raised:
        tree(ref, stack, root=made.root)
    assert str(raised.value).startswith(words)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (
            "raise ValueError('of old')",
            "BASE=first: shop does not render: ValueError: of old (accepted: a revision that renders)",
        ),
        ("sys.exit(0)", "BASE=first: shop does not render: it wrote no file (accepted: a revision that renders)"),
        ("import time; time.sleep(60)", "BASE=first: shop takes more than 2 s (accepted: one that renders)"),
    ],
)
def test_what_does_not_render_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, words: str
) -> None:
    """Proves that a revision that fails, writes nothing or never ends is one line, and that nothing of it is kept."""
    monkeypatch.setattr(rendered, "_SECONDS", 2 if "sleep" in before else 60)
    made = Repository.rendering(tmp_path / "project", "text", before=before)
    for _ in range(2):
        with pytest.raises(SettingsError, match="accepted") as raised:
            tree("first", "shop", root=made.root)
        assert str(raised.value) == words


def test_without_git_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a directory that git does not keep, and a machine without git, are one line each."""
    with pytest.raises(SettingsError, match=r"git rev-parse: .*not a git repository.* \(accepted: a checkout that git"):
        tree("main", "shop", root=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"^git: not found \(accepted: git on the PATH"):
        tree("main", "shop", root=tmp_path)
