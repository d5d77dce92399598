import ctypes
import errno
import os
import sys
from types import SimpleNamespace

import pytest

from pipeline.sinks import disk, storage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs syncfs")


def test_a_file_system_is_synced(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"one")
    found = disk.FileSystem(str(tmp_path))
    found.sync()
    found.close()


def test_what_cannot_be_brought_to_disk_is_an_error(tmp_path, monkeypatch):
    def full(_):
        ctypes.set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(disk, "_LIBC", SimpleNamespace(syncfs=full))
    found = disk.FileSystem(str(tmp_path))
    with pytest.raises(OSError, match="No space left on device"):
        found.sync()
    found.close()


def _on(monkeypatch, kind, release="6.1.0-18-amd64"):
    monkeypatch.setattr(disk, "_kind", lambda device: kind)
    monkeypatch.setattr(disk.platform, "release", lambda: release)


@pytest.mark.parametrize(
    "kind, release, expected",
    [
        ("ext4", "6.1.0-18-amd64", True),
        ("xfs", "5.8", True),
        ("ext4", "5.7.19", False),
        ("ext4", "nonsense", False),
        ("nfs4", "6.1.0", False),
        ("fuse.gcsfuse", "6.1.0", False),
        (None, "6.1.0", False),
    ],
)
def test_only_where_a_failure_would_be_noticed(tmp_path, monkeypatch, kind, release, expected):
    _on(monkeypatch, kind, release)
    assert disk.syncs_together(str(tmp_path)) is expected


def test_not_where_a_kind_of_asset_lies_on_another_file_system(tmp_path, monkeypatch):
    _on(monkeypatch, "ext4")
    (tmp_path / "mask").symlink_to("/proc")
    assert not disk.syncs_together(str(tmp_path))
    (tmp_path / "cutout").symlink_to("/not/there")
    assert not disk.syncs_together(str(tmp_path))


def test_the_kind_of_a_mounted_file_system(tmp_path):
    assert disk._kind(os.stat("/proc").st_dev) == "proc"
    assert disk._kind(os.makedev(4000, 4000)) is None


def test_object_stores_are_not_asked(tmp_path):
    assert storage.syncs_together("s3://bucket/assets") is False
    assert storage.syncs_together(str(tmp_path / "new" / "assets")) in (True, False)
    assert (tmp_path / "new" / "assets").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(storage.StorageError, match="could not make the folder"):
        storage.syncs_together(str(tmp_path / "file" / "assets"))
