"""Memory that a photo's arrays gave back, kept for the next photo's."""

from __future__ import annotations

import ctypes
import functools

# parameters of mallopt(3), from glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {_TRIM_THRESHOLD: 128 << 20, _TOP_PAD: 16 << 20, _MMAP_THRESHOLD: 32 << 20}


@functools.cache
def keep_freed_memory() -> bool:
    """Tells the C library to keep up to 128 MiB of freed memory a thread, once for the whole process.

    By default glibc gives the pages of an array back to the system nearly every time one is freed, and the system
    clears them anew for the next: of two thousand such faults a photo most are spared.

    Returns:
      Whether the C library can be told: false where it is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
    return all(mallopt(parameter, value) for parameter, value in _SETTINGS.items())
