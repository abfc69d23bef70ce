"""`python -m node`: the same as `fabnode`."""

from __future__ import annotations

import sys

from node.cli import main

sys.exit(main())
