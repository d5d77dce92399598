"""Every reason code of Packshot, in one place: why a photo was rejected, why one wants a look.

The values are a contract: they stand in the tables, in the report and in other people's alerts.
"""

from __future__ import annotations

import enum


class RejectReason(enum.StrEnum):
    """Why no picture was made of a photo; the column ``rejections.reason``."""

    EMPTY = "empty"  # no bytes, or a null image
    NOT_AN_IMAGE = "not_an_image"  # the bytes are of no image format
    UNSUPPORTED_FORMAT = "unsupported_format"  # an image, but of a format that is not read here
    TRUNCATED = "truncated"  # the file ends before its pixels do
    CORRUPT = "corrupt"  # a damaged file that is not merely short
    TOO_LARGE = "too_large"  # over the limit of pixels or of bytes
    TOO_SMALL = "too_small"  # fewer pixels than anything can be made of
    FETCH_FAILED = "fetch_failed"  # the URI could not be read
    NOT_FOUND = "not_found"  # the URI names nothing
    SEGMENTATION_FAILED = "segmentation_failed"  # the model failed on this photo alone
    WRITE_FAILED = "write_failed"  # an asset could not be stored or did not verify
    TRAINING_ONLY = "training_only"  # no photo, but a product generated for training
    INTERNAL = "internal"  # an error of ours; the detail names it


class ReviewReason(enum.StrEnum):
    """Why a picture should be looked at; the column ``catalogue.review_reasons``."""

    NO_PRODUCT = "no_product"
    LOW_PRESENCE = "low_presence"  # the model is not sure that there is a product
    CUT_BY_FRAME = "cut_by_frame"  # the product runs out of the photo
    LOW_RESOLUTION = "low_resolution"  # enlarged by more than the profile allows
    SMALL_PRODUCT = "small_product"  # the product covers next to nothing of the photo
    UNCERTAIN_MASK = "uncertain_mask"  # much of the mask is neither product nor ground
    BYTE_LIMIT = "byte_limit"  # no quality setting meets the profile's byte window
    SEVERAL_PRODUCTS = "several_products"  # parts too unlike to be a pair, or too many
    TOO_BLURRED = "too_blurred"  # not one sharp edge on the product or around it
    OVER_EXPOSED = "over_exposed"  # much of the product is burnt out
    UNDER_EXPOSED = "under_exposed"  # the photo has no bright spot, nor the product any detail in its shadows
    UNUSUAL_PRODUCT = "unusual_product"  # unlike what the anomaly model has learnt
    UNLIKE_ITS_CATEGORY = "unlike_its_category"  # unlike what it has learnt of that category
    WRONG_FORMAT = "wrong_format"  # from here on: the stored packshot breaks a rule of its profile
    WRONG_SIZE = "wrong_size"
    WRONG_COLOUR_SPACE = "wrong_colour_space"
    WRONG_GROUND = "wrong_ground"
    WRONG_FILL = "wrong_fill"


class PhotoError(Exception):
    """A photo cannot be processed; becomes a rejection, never the end of a job.

    Attributes:
      reason: the stable code.
      detail: one sentence for a person: what was wrong, with the value.
    """

    def __init__(self, reason: RejectReason, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self):
        return type(self), (self.reason, self.detail)
