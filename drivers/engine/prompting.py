"""What a machine asks the person beside it, put together from its own words."""

from __future__ import annotations

from drivers.dialects.actions import Action
from drivers.snapshot import Prompt

TEXT_MAX = 400  # characters of a text from a machine
CHOICES_MAX = 8
CHOICE_MAX = 80


class Prompting:
    """Collects a prompt as it is told, and keeps the one that is open.

    A machine without prompts only says that it waits; that is one prompt without words.
    """

    def __init__(self) -> None:
        self._number = 0
        self._text = ""
        self._choices: list[str] = []
        self.open: Prompt | None = None
        self.has_words = False  # it was told by actions, and is answered by the choice's number

    def hear(self, action: Action) -> Prompt | None:
        """Take in a word about a prompt; return the prompt if it is to be shown from now on."""
        match action.word:
            case "prompt_begin":
                self._text, self._choices = action.text[:TEXT_MAX], []
            case "prompt_choice" | "prompt_button":
                if len(self._choices) < CHOICES_MAX:
                    self._choices.append(action.text[:CHOICE_MAX])
            case "prompt_show":
                return self._show(self._text, tuple(self._choices), has_words=True)
            case "prompt_end":
                self.close()
        return None

    def waits(self, text: str = "") -> Prompt | None:
        """The machine says that it waits for somebody; return a prompt unless one is open.

        :param text: of the program, where the machine has no words of its own.
        """
        if self.open is not None:
            return None
        return self._show(text[:TEXT_MAX], (), has_words=False)

    def close(self) -> None:
        """Nobody needs to answer any more."""
        self.open = None
        self.has_words = False

    def _show(self, text: str, choices: tuple[str, ...], *, has_words: bool) -> Prompt | None:
        self.has_words = has_words
        if self.open is not None and (self.open.text, self.open.choices) == (text, choices):
            return None  # told again
        self._number += 1
        self.open = Prompt(self._number, text, choices)
        return self.open
