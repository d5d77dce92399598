import pytest

from models.extras import imported_for_training


def test_a_missing_package_is_named_with_what_to_do():
    message = r"training needs a package that is missing \(.*'nowhere_to_be_found'\): pip install 'packshot\[train\]'$"
    with pytest.raises(ValueError, match=message), imported_for_training():
        import nowhere_to_be_found  # noqa: F401
