"""How good the link to a machine is: what went wrong on it during a run, and one score for it."""

from __future__ import annotations

from dataclasses import dataclass

WARN_SHARE = 0.10  # of lines asked for again, above which a person is told
WARN_AFTER = 100  # lines, before which a share says nothing

# Points lost for each percent of lines; and for a run that was narrowed all the time. A resend
# costs a round trip and all that was under way; a lost answer mostly a pause.
_RESENT, _DAMAGED, _LOST, _NARROW = 5.0, 3.0, 3.0, 20.0


@dataclass
class LinkQuality:
    """What went wrong on the link.

    :param resends: times that the firmware asked for a line again.
    :param damaged: replies that made no sense.
    :param lost: answers that never came.
    :param narrow_s: time in which only one line was let go at once [s].
    """

    resends: int = 0
    damaged: int = 0
    lost: int = 0
    narrow_s: float = 0.0
    was_told: bool = False  # to a person
    _narrow_since: float | None = None

    def narrowed(self, is_narrow: bool, now: float) -> None:
        """Note whether the link is narrowed from now on."""
        if is_narrow and self._narrow_since is None:
            self._narrow_since = now
        elif not is_narrow and self._narrow_since is not None:
            self.narrow_s += now - self._narrow_since
            self._narrow_since = None

    @property
    def is_narrow(self) -> bool:
        """Tell whether the link is narrowed."""
        return self._narrow_since is not None

    def narrow_time(self, now: float) -> float:
        """Return `narrow_s` up to this instant [s]."""
        since = self._narrow_since
        return self.narrow_s + (now - since if since is not None else 0.0)

    def score(self, sent: int, since: float, now: float) -> int:
        """Return `score` for a run that began at *since* [s]."""
        share = self.narrow_time(now) / (now - since) if now > since else 0.0
        return score(sent, self.resends, self.damaged, self.lost, share)

    def is_bad(self, sent: int) -> bool:
        """Tell whether a person should look at the cable."""
        return sent >= WARN_AFTER and self.resends > WARN_SHARE * sent


def score(sent: int, resends: int, damaged: int, lost: int, narrow_share: float) -> int:
    """Return 0 to 100; 100 while nothing has gone wrong.

    :param sent: lines that have left.
    :param narrow_share: of the run's time.

    >>> score(1000, 0, 0, 0, 0.0), score(1000, 10, 0, 2, 0.1), score(1000, 200, 50, 0, 0.9)
    (100, 92, 0)
    """
    if not sent:
        return 100
    percent = 100.0 / sent
    points = percent * (_RESENT * resends + _DAMAGED * damaged + _LOST * lost)
    return round(max(0.0, 100.0 - points - _NARROW * min(max(narrow_share, 0.0), 1.0)))
