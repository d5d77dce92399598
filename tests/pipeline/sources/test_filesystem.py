"""Listing and opening files, wherever they are."""

import pytest

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
