"""Tests of transforms/memory.py."""

import platform
import subprocess
import sys

import pytest

# what a stage does: some arrays at once, all given back, photo after photo
_PROGRAM = """
import resource, sys
import numpy as np
from transforms.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def work():
    planes = [np.ones((300, 400, 4), np.float32) for _ in range(8)]
    return sum(plane[0, 0, 0] for plane in planes)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back so eagerly")
def test_memory_is_not_asked_for_again():
    def faults(how):
        return int(subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, check=True).stdout)

    assert faults("keep") < 500 < faults("leave")
