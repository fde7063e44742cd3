"""The archive of a backup, and what is refused; tests/local/test_backup.py backs real programs up."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from processes.home import Home
from specs.model import SettingsError
from specs.settings import load
from specs.stack import Stack, build
from tools.backup import archive, running
from tools.paths import ROOT


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
