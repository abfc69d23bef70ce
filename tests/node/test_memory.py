"""What stays for ever is looked through once."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import gc
from node.memory import set_aside
kept = [{} for _ in range(1000)]
set_aside()
assert gc.get_freeze_count() > 1000
assert not any(one is kept for one in gc.get_objects())
"""


def test_what_is_there_at_the_start_is_searched_no_more() -> None:
    subprocess.run([sys.executable, "-c", LOOK], check=True, timeout=60)
