"""The benchmark behind `scripts/bench`: corpora, contenders, measurement, tables."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `tests.support`, of which some is needed here too
