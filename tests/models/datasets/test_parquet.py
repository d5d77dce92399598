import pytest

from models.datasets import parquet


def test_a_folder_without_parquet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Parquet files"):
        parquet.find_parquet(str(tmp_path))
