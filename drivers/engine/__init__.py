"""The streaming engine, sans-IO: bytes and time in; bytes, events and a deadline out.

`stream_engine` gives the one for a profile's dialect. The caller passes what it read to
`receive`, writes `urgent_to_send` and `data_to_send`, and comes back at `deadline`.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.engine.base import StreamEngine
from drivers.engine.farmbot import FarmBotEngine
from drivers.engine.grbl import GrblEngine
from drivers.engine.marlin import MarlinEngine
from drivers.profile import FirmwareProfile

ENGINES: Mapping[str, type[StreamEngine]] = {
    "marlin": MarlinEngine,
    "grbl": GrblEngine,
    "farmbot": FarmBotEngine,
}

__all__ = [
    "ENGINES",
    "FarmBotEngine",
    "GrblEngine",
    "MarlinEngine",
    "StreamEngine",
    "stream_engine",
]


def stream_engine(profile: FirmwareProfile, now: float) -> StreamEngine:
    """Return an engine for *profile* that has not begun to connect.

    :param now: monotonic time [s].
    """
    return ENGINES[profile.dialect](profile, now)
