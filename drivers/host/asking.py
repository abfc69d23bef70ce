"""Who asked for what happens next, so that the record can name them."""

from __future__ import annotations

from collections import deque
from typing import Final

from drivers.acts import Act
from drivers.wire import Do

_MOST: Final = 8  # wishes that may be on their way at once
_WORD_MAX: Final = 400  # characters of a name

# What tells that a wish has come true. A resume may also answer what the machine asks.
_SHOWS: Final = {
    Do.PAUSE: frozenset({"paused"}),
    Do.RESUME: frozenset({"resumed", "replied"}),
    Do.CANCEL: frozenset({"cancelled"}),
    Do.ANSWER: frozenset({"replied"}),
    Act.HOLD: frozenset({"paused"}),
    Act.RESUME: frozenset({"resumed", "replied"}),
}


class Asking:
    """Wishes that a machine has taken and not shown yet; each names its own person."""

    def __init__(self) -> None:
        self._wishes: deque[tuple[frozenset[str], str]] = deque(maxlen=_MOST)

    def note(self, word: Do | Act, by: str) -> None:
        """Note who asked for *word*, once the machine has taken it; other words are nobody's."""
        if kinds := _SHOWS.get(word):
            self._wishes.append((kinds, by[:_WORD_MAX]))

    def who(self, kind: str) -> str:
        """Return who asked for what an event of *kind* tells, "" if nobody did; each once.

        >>> asking = Asking()
        >>> asking.note(Do.PAUSE, "eva"), asking.note(Do.CANCEL, "otto")
        (None, None)
        >>> asking.who("paused"), asking.who("paused"), asking.who("cancelled")
        ('eva', '', 'otto')
        """
        for wish in reversed(self._wishes):
            if kind in wish[0]:
                self._wishes.remove(wish)
                return wish[1]
        return ""

    def forget(self) -> None:
        """A run is over: what was asked of it comes no more."""
        self._wishes.clear()
