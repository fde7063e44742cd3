"""The archive of a backup, and what is refused; tests/local/test_backup.py backs real programs up."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from processes import supervision
from processes.errors import ProcessError
from processes.home import Home
from specs.model import SettingsError
from specs.settings import load
from specs.stack import Stack, build
from tools.backup import archive, running
from tools.paths import ROOT
from tools.terminal import judging


@pytest.fixture
def stack() -> Stack:
    """The local stack."""
    return build(load(ROOT / "Pulumi.local.yaml"), file="Pulumi.local.yaml", absent=["grafana", "json_exporter"])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that is down, with data of Loki: a file, a second name of it, an empty directory."""
    made = Home(tmp_path / "home")
    data = made.data("loki")
    (data / "wal" / "empty").mkdir(parents=True)
    (data / "wal" / "00000001").write_bytes(b"lines" * 1000)
    os.link(data / "wal" / "00000001", data / "wal" / "second")
    return made


def _save(home: Home, stack: Stack, out: Path) -> list[running.Saved]:
    said: list[running.Saved] = []
    watch = running.Watch(healthy=lambda _: True, report=said.append)
    running.save(home, "local", running.keeping(stack, "loki"), out, watch)
    return said


def test_what_is_saved_comes_back_file_by_file(home: Home, stack: Stack, tmp_path: Path) -> None:
    """Proves that files, second names of files and empty directories come back, for their owner alone, and that a part
    which did not run was not away."""
    out = tmp_path / "backups" / "loki.tar"
    assert _save(home, stack, out) == [running.Saved(part="loki", size=10000, away=0.0)]
    target = Home(tmp_path / "other")
    assert running.restore(target, "local", stack, running.keeping(stack, ""), out) == ["loki: restored"]
    found = {path.relative_to(target.data("loki")).as_posix() for path in target.data("loki").rglob("*")}
    assert found == {"wal", "wal/empty", "wal/00000001", "wal/second"}
    for name in ("00000001", "second"):
        file = target.data("loki") / "wal" / name
        assert file.read_bytes() == b"lines" * 1000
        assert file.stat().st_mode & 0o777 == 0o600


def test_passwords_that_were_made_up_go_with_the_data(tmp_path: Path) -> None:
    """Proves that a generated secret of a part, and no other file of its configuration, is in the backup and comes
    back where the next `up` finds it."""
    stack = build(load(ROOT / "Pulumi.local.yaml"), file="Pulumi.local.yaml")
    grafana = stack.workload("grafana")
    (path, *_) = [path for path, ref in grafana.secrets.items() if ref.generated]
    home = Home(tmp_path / "home")
    secret = home.config("grafana") / path
    secret.parent.mkdir(parents=True)
    secret.write_text("made-up", encoding="utf-8")
    (home.config("grafana") / "grafana.ini").touch()
    home.data("grafana").mkdir()
    out = tmp_path / "grafana.tar"
    watch = running.Watch(healthy=lambda _: True, report=lambda _: None)
    running.save(home, "local", [grafana], out, watch)
    assert out.stat().st_mode & 0o777 == 0o600
    assert set(archive.verified(out).files) == {f"grafana/config/{path}"}
    target = Home(tmp_path / "other")
    running.restore(target, "local", stack, [grafana], out)
    assert (target.config("grafana") / path).read_text(encoding="utf-8") == "made-up"


def test_a_full_disk_is_told_before_anything_stops(
    home: Home, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that a backup which would not fit is refused with both sizes, and leaves no file."""

    def full(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=0)

    monkeypatch.setattr(shutil, "disk_usage", full)
    out = tmp_path / "backups" / "full.tar"
    with pytest.raises(SettingsError, match=r"full\.tar: 0 MB are needed, 0 MB are free \(accepted: another disk\)"):
        _save(home, stack, out)
    assert list(out.parent.iterdir()) == []


def test_an_interrupted_backup_leaves_nothing(
    home: Home, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that a backup which ends early is no file that somebody could believe in."""

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive.Writer, "directory", interrupt)
    out = tmp_path / "backups" / "half.tar"
    with pytest.raises(KeyboardInterrupt):
        _save(home, stack, out)
    assert list(out.parent.iterdir()) == []


def test_what_applications_registered_is_in_a_whole_backup(home: Home, stack: Stack, tmp_path: Path) -> None:
    """Proves that a whole backup brings registered targets and logs back, not over newer ones, and that one of a part
    has none of them."""
    home.make()
    for name in ("scrape/shop.json", "scrape/blog.json", "logs/shop/web.log"):
        (home.registry / name).parent.mkdir(exist_ok=True)
        (home.registry / name).write_text("old", encoding="utf-8")
    watch = running.Watch(healthy=lambda _: True, report=lambda _: None)
    parts = running.keeping(stack, "loki")
    out, one = tmp_path / "whole.tar", tmp_path / "one.tar"
    running.save(home, "local", parts, out, watch, whole=True)
    running.save(home, "local", parts, one, watch)
    assert not [name for name in archive.verified(one).files if name.startswith("registry/")]
    target = Home(tmp_path / "other")
    target.make()
    (target.registry / "scrape" / "blog.json").write_text("new", encoding="utf-8")
    lines = running.restore(target, "local", stack, running.keeping(stack, ""), out)
    assert lines == ["loki: restored", "what applications registered: restored"]
    found = {
        path.relative_to(target.registry).as_posix(): path.read_text(encoding="utf-8")
        for path in target.registry.rglob("*")
        if path.is_file()
    }
    assert found == {"scrape/shop.json": "old", "scrape/blog.json": "new", "logs/shop/web.log": "old"}


def test_a_restore_that_fails_leaves_nothing(
    home: Home, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that a disk without room is told before anything is written, and that a restore that ends early takes back
    what it wrote."""
    out = tmp_path / "loki.tar"
    _save(home, stack, out)
    target = Home(tmp_path / "other")
    parts = running.keeping(stack, "")

    def full(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=0)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", full)
        with pytest.raises(SettingsError, match=r"other: 0 MB are needed, 0 MB are free"):
            running.restore(target, "local", stack, parts, out)
    assert not target.path.exists()
    extract = archive.extract

    def interrupted(path: Path, prefix: str, place: Path) -> None:
        extract(path, prefix, place)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(archive, "extract", interrupted)
        with pytest.raises(KeyboardInterrupt):
            running.restore(target, "local", stack, parts, out)
    assert list(target.data("loki").parent.iterdir()) == []
    assert running.restore(target, "local", stack, parts, out) == ["loki: restored"]


def test_a_part_that_does_not_come_back_is_an_error(
    home: Home, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that a part that ran and is not well after its copy is told as that."""

    def is_alive(*_: object) -> bool:
        return True

    def paused(*_: object) -> AbstractContextManager[None]:
        return nullcontext()

    monkeypatch.setattr(running, "_PATIENCE", 0.0)
    monkeypatch.setattr(supervision, "is_alive", is_alive)
    monkeypatch.setattr(supervision, "paused", paused)
    watch = running.Watch(healthy=lambda _: False, report=lambda _: None)
    with pytest.raises(ProcessError, match=r"loki: not healthy 0 s after its copy \(make logs STACK=local PART=loki\)"):
        running.save(home, "local", running.keeping(stack, "loki"), tmp_path / "x.tar", watch)


def test_a_part_runs_again_when_its_stop_is_interrupted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that Ctrl-C while a part stops has it started, once it has stopped."""
    states = iter(["RUNNING", "STOPPING", "STOPPING", "STOPPED"])
    started: list[str] = []

    def state(*_: object) -> supervision.State:
        return supervision.State(name=next(states, "STOPPED"), pid=0, started=0.0)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    def start(name: str, _: bool) -> None:
        started.append(name)

    def rpc(_: Home) -> SimpleNamespace:
        return SimpleNamespace(startProcess=start)

    monkeypatch.setattr(supervision, "state", state)
    monkeypatch.setattr(supervision, "_end", end)
    monkeypatch.setattr(supervision, "_rpc", rpc)
    with pytest.raises(KeyboardInterrupt), supervision.paused(home, "loki"):
        pass
    assert started == ["loki"]


def test_a_place_that_is_none_is_a_line(home: Home, stack: Stack) -> None:
    """Proves that a file below a file is refused with the reason."""
    with pytest.raises(SettingsError, match=r"--out /etc/passwd/x\.tar: cannot be written: File exists"):
        _save(home, stack, Path("/etc/passwd/x.tar"))


def test_what_the_disk_refuses_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves that an error of the disk is its file and its reason, with the command's own exit status."""

    @judging
    def command() -> None:
        Path("/etc/passwd/x").write_bytes(b"")

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "/etc/passwd/x: Not a directory\n"


def _tar(path: Path, members: Mapping[str, bytes], *, kind: bytes = tarfile.REGTYPE, version: int = 1) -> None:
    listing = {"stack": "x", "created": "", "versions": {"loki": "1"}, "files": {}, "format": version}
    with tarfile.open(path, "w") as tar:
        for name, content in {**members, archive.LISTING: json.dumps(listing).encode()}.items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.REGTYPE if name == archive.LISTING else kind
            info.size = len(content)
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize(
    ("members", "kind", "said"),
    [
        ({"loki/data/../../../evil": b"x"}, tarfile.REGTYPE, "evil: nothing that a backup has"),
        ({"/evil": b"x"}, tarfile.REGTYPE, "/evil: nothing that a backup has"),
        ({"loki/data/link": b""}, tarfile.SYMTYPE, "link: nothing that a backup has"),
        ({"loki/data/more": b"x"}, tarfile.REGTYPE, "damaged: loki/data/more"),
    ],
)
def test_an_archive_of_somebody_else_is_refused(
    tmp_path: Path, members: Mapping[str, bytes], kind: bytes, said: str
) -> None:
    """Proves that paths that lead elsewhere, links, and files that the list does not have are refused."""
    _tar(tmp_path / "x.tar", members, kind=kind)
    with pytest.raises(SettingsError) as refused:
        archive.verified(tmp_path / "x.tar")
    assert said in str(refused.value)


def test_a_format_of_later_is_named(tmp_path: Path) -> None:
    """Proves that an archive of another format is told as that."""
    _tar(tmp_path / "x.tar", {}, version=2)
    with pytest.raises(SettingsError, match=r"a backup of format 2 \(accepted: 1\)"):
        archive.verified(tmp_path / "x.tar")


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_other_runtimes_are_told_where_to_look(name: str) -> None:
    """Proves that a stack of containers or pods is refused, with the page that says how it is done."""
    stack = build(load(ROOT / f"Pulumi.{name}.yaml"), file=f"Pulumi.{name}.yaml")
    with pytest.raises(SettingsError, match=rf"make backup: stack {name} runs on .* docs/operations/backup-restore.md"):
        running.refuse_runtime(stack, name, "backup")
