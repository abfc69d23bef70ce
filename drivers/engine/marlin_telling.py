"""What a Marlin tells of itself: heat, place, capabilities, settings."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.dialects import marlin
from drivers.engine.marlin_resends import MarlinResends
from drivers.engine.marlin_wire import NO_BUSY
from drivers.gcode import words
from drivers.profile import Flow
from drivers.snapshot import Phase, TemperatureRead

_SETTINGS_MAX, _SETTING_MAX = 40, 80  # lines that are kept, and characters of each


class MarlinTelling(MarlinResends):
    """Takes in what changes no count."""

    def _measured(self, temperatures: marlin.Temperatures) -> None:
        self._temperatures |= temperatures
        self._events.append(TemperatureRead(dict(temperatures)))

    def _placed(self, axes: Mapping[str, float]) -> None:
        # In mid-program it is old before anyone has read it.
        self._position = {} if self._phase is Phase.STREAMING else dict(axes)

    def _capability(self, reply: marlin.Capability) -> None:
        if reply.name == "AUTOREPORT_TEMP":
            self._reports_itself = reply.present
        elif reply.name == "EMERGENCY_PARSER" and self._profile.flow is Flow.NUMBERED_WINDOW:
            self._emergency_parser = reply.present
            # It sees a stop even behind a full command queue.
            self._window.lines_max = 1_000 if reply.present else self._lines_max
            if reply.present:
                self._window.keep_free(0)
        elif reply.name == "BUSY_PROTOCOL":
            self._answer_s = self._profile.answer_s if reply.present else NO_BUSY
        elif reply.name == "THERMAL_PROTECTION":
            told = {"thermal_protection": reply.present}
            self._settings_told = {**self._settings_told, **told}

    def _told_setting(self, line: str) -> None:
        """Keep what it tells of its settings; what it says unasked may be a program's own echo."""
        question = self._window.oldest
        if question is None or question.text != self._profile.ask_settings.encode():
            return
        if question is not self._settings_question:
            self._kept_settings, self._settings_question = (), question
        if len(self._kept_settings) < _SETTINGS_MAX:
            self._kept_settings += (line[:_SETTING_MAX],)

    def _note_busy_pace(self, text: bytes) -> None:
        """An M113 sets how often it says that it is busy; 0: never. Without S it only asks."""
        every = dict(words(text)).get("S", -1.0)
        if every >= 0.0:
            known = self._profile.answer_s
            self._answer_s = min(max(known, 1.5 * every), NO_BUSY) if every else NO_BUSY
