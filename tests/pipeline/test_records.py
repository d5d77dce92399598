import dataclasses

import pytest

from pipeline.records import Photo


def test_a_changed_photo_is_another_one_and_has_no_new_fields():
    photo = Photo("a", "a.jpg")
    changed = photo.replace(width=3)
    assert (photo.width, changed.width) == (Photo("a", "a.jpg").width, 3)
    assert dataclasses.replace(changed, width=photo.width) == photo
    with pytest.raises(TypeError, match="a photo has no colour, weight"):
        photo.replace(weight=1, colour=2)
