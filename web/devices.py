"""A browser's own word for itself, short enough to be told from another in a list."""

from __future__ import annotations

import re
from typing import Final

# In this order: each of the later names stands in the words of an earlier one as well.
_BROWSERS: Final = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS: Final = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux|X11"),
)


def device_of(user_agent: str) -> str:
    """Return what a browser seems to be; "" where it does not say. No proof of anything.

    >>> device_of("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    'Firefox, Linux'
    >>> device_of("curl/8.5.0"), device_of("<script>")
    ('', '')
    """
    words = user_agent[:400]
    found = (
        next((name for name, known in table if re.search(known, words)), "")
        for table in (_BROWSERS, _SYSTEMS)
    )
    return ", ".join(one for one in found if one)
