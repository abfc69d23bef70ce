"""What a machine asks the person beside it, put together from its own words."""

from __future__ import annotations

from drivers.dialects import DIALECTS
from drivers.dialects.actions import Action
from drivers.profile import FirmwareProfile
from drivers.snapshot import Prompt

TEXT_MAX = 400  # characters of a text from a machine
CHOICES_MAX = 8
CHOICE_MAX = 80
COMMAND_MAX = 96  # bytes of what a button sends, as of any line from outside a program


class Prompting:
    """Collects a prompt as it is told, and keeps the one that is open.

    A machine without prompts only says that it waits; that is one prompt without words.
    """

    def __init__(self) -> None:
        self._number = 0
        self._text = ""
        self._choices: list[str] = []
        self._commands: list[str] = []
        self.open: Prompt | None = None
        self.has_words = False  # it was told by actions, and is answered by the choice's number

    def hear(self, action: Action, profile: FirmwareProfile) -> Prompt | None:
        """Take in a word about a prompt; return the prompt if it is to be shown from now on."""
        match action.word:
            case "prompt_begin":
                self._text, self._choices, self._commands = action.text[:TEXT_MAX], [], []
            case "prompt_text":
                parts = (self._text, action.text)
                self._text = " – ".join(part for part in parts if part)[:TEXT_MAX]
            case "prompt_choice" | "prompt_button" | "prompt_footer_button":
                self._offer(action.text, profile)
            case "prompt_show":
                return self._show(
                    self._text, tuple(self._choices), tuple(self._commands), has_words=True
                )
            case "prompt_end":
                self.close()
        return None

    def waits(self, text: str = "") -> Prompt | None:
        """The machine says that it waits for somebody; return a prompt unless one is open.

        :param text: of the program, where the machine has no words of its own.
        """
        if self.open is not None:
            return None
        return self._show(text[:TEXT_MAX], (), (), has_words=False)

    def close(self) -> None:
        """Nobody needs to answer any more."""
        self.open = None
        self.has_words = False

    def _offer(self, text: str, profile: FirmwareProfile) -> None:
        if len(self._choices) >= CHOICES_MAX:
            return
        if not profile.button_commands:
            self._choices.append(text[:CHOICE_MAX])
            return
        label, command = button_of(text)
        if not may_send(command, profile):
            # Said without its button: somebody may know another way.
            self._text = f"{self._text} [{label[:CHOICE_MAX]}]".strip()[:TEXT_MAX]
            return
        self._choices.append(label[:CHOICE_MAX])
        self._commands.append(command)

    def _show(
        self, text: str, choices: tuple[str, ...], commands: tuple[str, ...], *, has_words: bool
    ) -> Prompt | None:
        self.has_words = has_words
        told = (text, choices, commands)
        if self.open is not None and told == (
            self.open.text,
            self.open.choices,
            self.open.commands,
        ):
            return None  # told again
        self._number += 1
        self.open = Prompt(self._number, *told)
        return self.open


def button_of(text: str) -> tuple[str, str]:
    """Return label and command of a button; a style may follow, and a label alone is both.

    *Source:* docs.mainsail.xyz, "Macro prompts"; Fluidd reads the same.

    >>> button_of("Go on|RESUME|primary"), button_of("RESUME"), button_of("Stay| |info")
    (('Go on', 'RESUME'), ('RESUME', 'RESUME'), ('Stay', 'Stay'))
    """
    label, command, *_ = (*(part.strip() for part in text.split("|")), "")
    return label or command, command or label


def may_send(command: str, profile: FirmwareProfile) -> bool:
    """Tell whether a button may send *command*: one plain line, not forbidden, not withheld.

    Whoever wrote the program or the machine's macros has chosen it, so it is not trusted.
    """
    line = command.encode("ascii", "replace")
    dialect = DIALECTS[profile.dialect]
    is_plain = 0 < len(line) <= COMMAND_MAX and command.isprintable()
    if not is_plain or dialect.bare(line).decode("ascii", "replace") != command:
        return False
    first = command.split()[0].upper()
    for word in profile.withheld:
        if first == word or (word.endswith("*") and first.startswith(word[:-1])):
            return False
    return dialect.first_of(line, profile.forbidden) is None
