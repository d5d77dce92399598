from pathlib import Path

import pytest

from models.datasets import parquet


def test_a_folder_without_parquet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Parquet files"):
        parquet.find_parquet(str(tmp_path))


def test_a_glob_that_ends_amid_a_name_finds_the_name_without_more(tmp_path):
    for name in ("reviewed.parquet", "reviewed-products.parquet", "_reviewed.parquet"):
        (tmp_path / name).write_bytes(b"")
    found = parquet.find_parquet(str(tmp_path / "reviewed*.parquet"))
    assert [Path(uri).name for uri in found] == ["reviewed-products.parquet", "reviewed.parquet"]
    assert len(parquet.find_parquet(str(tmp_path / "*.parquet"))) == 2
