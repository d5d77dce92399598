"""What becomes of each hostile file by itself, and what it may cost."""

import subprocess
import sys

import pytest

from tests.hostile.bombs import all_bombs
from tests.hostile.catalogue import hostile_files
from transforms.decode import decode
from transforms.privacy import read_labels
from transforms.reasons import PhotoError

FILES = {file.name: file for file in hostile_files()}


def test_there_are_many_and_each_has_a_name_of_its_own():
    assert len(FILES) == len(hostile_files()) >= 150


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_each_file_is_decoded_or_refused_for_its_own_reason(name):
    file = FILES[name]
    read_labels(file.content)
    if file.reason is None:
        decoded = decode(file.content, wanted=1000)
        assert decoded.image.shape[2] == 3
        return
    with pytest.raises(PhotoError) as caught:
        decode(file.content, wanted=1000)
    assert caught.value.reason == file.reason, caught.value.detail


_WITHIN_LIMITS = """
import resource
from tests.hostile.bombs import all_bombs
from transforms.decode import decode
from transforms.privacy import read_labels
from transforms.reasons import PhotoError
bombs = all_bombs()
with open("/proc/self/statm") as statm:
    held = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (128 << 20),) * 2)
for bomb in bombs:
    read_labels(bomb.content)
    try:
        decode(bomb.content, wanted=1000)
        reason = None
    except PhotoError as error:
        reason = error.reason
    assert reason == bomb.reason, (bomb.name, reason)
print(len(bombs))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit memory so")
def test_no_bomb_is_unpacked():
    """With 128 MB to spare, every bomb has its outcome: nothing tried to hold what it unpacks to."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _WITHIN_LIMITS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == len(all_bombs())
