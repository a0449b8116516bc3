"""Where the results of these tests lie."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = "/dev/shm"
FREE_BYTES_MIN = 4 << 30


@pytest.fixture
def tmp_path(tmp_path):
    """In memory, where there is enough: thousands of files are synced, and no power is really cut."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < FREE_BYTES_MIN:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)
