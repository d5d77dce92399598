import dataclasses

import pytest

from models.settings import build, names_of, read_settings, resolved


@dataclasses.dataclass(frozen=True)
class Inner:
    count: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    path: str
    rate: float = 0.1
    inner: Inner = dataclasses.field(default_factory=Inner)


def test_nested_settings_are_built_and_checked():
    assert build(Outer, {"path": "a", "rate": "1e-3", "inner": {"count": 2}}) == Outer("a", 1e-3, Inner(2))
    assert names_of(Outer) == ["path", "rate", "inner"]
    with pytest.raises(ValueError, match="unknown setting train.inner.cuont; known are count"):
        build(Outer, {"path": "a", "inner": {"cuont": 2}}, "train")


def test_files_are_found_by_path_and_by_name(tmp_path):
    (tmp_path / "small.yaml").write_text("path: photos\n")
    assert read_settings("small", tmp_path) == ({"path": "photos"}, tmp_path)
    settings, folder = read_settings(str(tmp_path / "small.yaml"), tmp_path / "elsewhere")
    assert resolved(settings, "path", folder) == {"path": str(tmp_path / "photos")}
    assert resolved({"path": "gs://bucket/photos"}, "path", folder) == {}
    with pytest.raises(ValueError, match="no configuration 'large'; give a YAML file, or one of small"):
        read_settings("large", tmp_path)
