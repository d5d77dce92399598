"""Listing and opening files, wherever they are."""

import os

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from pipeline.sources.filesystem import exists, find_files, open_file, resolve, scheme_of


def names(place: str) -> list[str]:
    return [file.relative for file in find_files(place)]


def test_folders_globs_and_single_files(store):
    folder, put = store
    for name in ("b/2.png", "b/1.png", "a.png", "b/c/3.jpg"):
        put(name, name.encode())
    assert names(folder) == names(folder + "/") == ["a.png", "b/1.png", "b/2.png", "b/c/3.jpg"]
    assert names(folder + "/b") == ["1.png", "2.png", "c/3.jpg"]
    assert names(folder + "/*.png") == ["a.png"]
    assert names(folder + "/b/*.png") == ["1.png", "2.png"]
    assert names(folder + "/**.png") == ["a.png", "b/1.png", "b/2.png"]
    assert names(folder + "/b/[12].png") == ["1.png", "2.png"]
    assert names(folder + "/b/1.png") == ["1.png"]
    assert names(folder + "/nothing") == names(folder + "/nothing/*") == []
    (found,) = find_files(folder + "/b/c/3.jpg")
    assert found.size == 9
    with open_file(found.uri) as stream:
        assert stream.seekable()
        stream.seek(4)
        assert stream.read() == b"3.jpg"
    assert exists(found.uri)
    assert not exists(folder + "/b/9.png")


@pytest.mark.parametrize("store", ["s3", "gs"], indirect=True)
def test_objects_are_found_by_their_keys_as_they_are(store):
    folder, put = store
    for name in ("b/", "b//1.png", "b/2.png", "b2.png"):  # the first is what consoles make for an empty folder
        put(name, b"x")
    assert names(folder + "/b") == ["/1.png", "2.png"]
    assert names(folder + "/b//*.png") == ["1.png"]
    assert names(folder + "/b*.png") == ["b2.png"]
    (found,) = find_files(folder + "/b//1.png")
    assert found.uri == folder + "/b//1.png" and found.version
    with pytest.raises(OSError, match="names no bucket"):
        names(f"{folder.partition(':')[0]}://buck*/b.png")


class _ElsewhereFileSystem(LocalFileSystem):
    """Files of this machine under another scheme, as those of any file system that only Beam knows."""

    @classmethod
    def scheme(cls):
        return "elsewhere"

    def match(self, patterns, limits=None):
        found = super().match([_without_scheme(pattern) for pattern in patterns], limits)
        for result in found:
            for metadata in result.metadata_list:
                metadata.path = f"elsewhere://{metadata.path}"
        return found

    def exists(self, path):
        return super().exists(_without_scheme(path))

    def open(self, path, *args, **options):
        return super().open(_without_scheme(path), *args, **options)


def _without_scheme(path):
    return path.removeprefix("elsewhere://")


def test_file_systems_that_only_beam_knows(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").write_bytes(b"one")
    (found,) = find_files(f"elsewhere://{tmp_path}/")
    assert (found.relative, found.size, found.version) == ("b/1.png", 3, None)
    with open_file(found.uri) as stream:
        assert stream.read() == b"one"


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_without_a_path(scheme, request):
    client_and_options = request.getfixturevalue(f"{scheme}_client_and_options")
    assert client_and_options
    assert not exists(f"{scheme}://feed")
    with pytest.raises(ValueError, match="names a bucket"):
        open_file(f"{scheme}://feed/")


def test_names_with_wildcard_characters(tmp_path):
    folder = tmp_path / "photos [1]*"
    folder.mkdir()
    (folder / "what?.png").write_bytes(b"x")
    (folder / "whatx.png").write_bytes(b"y")
    assert names(str(folder)) == ["what?.png", "whatx.png"]
    (only,) = find_files(str(folder / "what?.png"))
    with open_file(only.uri) as stream:
        assert stream.read() == b"x"


def test_file_uris(tmp_path):
    (tmp_path / "a b.png").write_bytes(b"x")
    uri = "file://" + str(tmp_path).replace(" ", "%20") + "/a%20b.png"
    assert names(uri) == ["a b.png"]
    with open_file(uri) as stream:
        assert stream.read() == b"x"


def test_relative_folders(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    for place in ("in", "./in", "in/", "in/*.png", "in/a.png"):
        assert names(place) == ["a.png"]
    assert names(".") == ["in/a.png"]


@pytest.mark.parametrize(
    ("uri", "beside", "expected"),
    [
        ("a.jpg", "/feed/part.parquet", "/feed/a.jpg"),
        ("./x/a.jpg", "gs://b/feed/part.parquet", "gs://b/feed/x/a.jpg"),
        ("a.jpg", "part.parquet", "a.jpg"),
        ("a.jpg", "file:///my%20feed/part.parquet", "/my feed/a.jpg"),
        ("/abs/a.jpg", "s3://b/part.parquet", "/abs/a.jpg"),
        ("https://shop/a.jpg", "/feed/part.parquet", "https://shop/a.jpg"),
        ("GS://b/a.jpg", "/feed/part.parquet", "GS://b/a.jpg"),
    ],
)
def test_relative_uris(uri, beside, expected):
    assert resolve(uri, beside) == expected


def test_scheme():
    assert scheme_of("HTTPS://x/y") == "https"
    assert scheme_of("/a/b") == scheme_of("a.png") == scheme_of("file:///a") == "file"


def test_names_that_no_text_can_hold_are_listed_and_opened(tmp_path):
    raw = (b"line\nbreak.jpg", b"caf\xe9.jpg", b"plain #1.jpg")
    for name in raw:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(name)
    for place in (str(tmp_path), str(tmp_path) + "/*.jpg"):
        found = find_files(place)
        assert {os.fsencode(file.relative) for file in found} == set(raw)
        for file in found:
            assert file.uri.isprintable() and file.size > 0
            with open_file(file.uri) as stream:
                assert stream.read() == os.fsencode(file.relative)


def test_nothing_is_lost_and_nothing_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "around").symlink_to(".", target_is_directory=True)
    (tmp_path / "folder.jpg").mkdir()
    assert names(str(tmp_path)) == names(str(tmp_path) + "/*") == ["gone.jpg", "loop.jpg", "pipe.jpg"]
    assert names(str(tmp_path / "pipe.jpg")) == ["pipe.jpg"]
    with pytest.raises(ValueError, match="pipe, a socket or a device"):
        open_file(str(tmp_path / "pipe.jpg"))
    with pytest.raises(OSError, match="folder"):
        open_file(str(tmp_path / "folder.jpg"))


def test_globs_relative_to_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    monkeypatch.chdir(tmp_path)
    assert names("*.png") == ["b.png"]
    assert names("in/*.png") == ["a.png"]
    assert names("**.png") == ["b.png", "in/a.png"]
    (file,) = find_files("in/*.png")
    assert open_file(file.uri).read() == b"a"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_locked_folder_is_an_error_not_a_loss(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(OSError, match="locked"):
        find_files(str(tmp_path))
