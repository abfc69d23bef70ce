"""Say in sentences of the catalogue what argparse finds wrong.

argparse hands over finished English. Its few shapes are known here by what they name; a shape
that is not, of another Python perhaps, is told by a sentence that says less and never by English.
*Source:* CPython, `Lib/argparse.py`, calls of `error` and `ArgumentError`.
"""

from __future__ import annotations

import re
from typing import Final

_SHAPES: Final = tuple(
    (re.compile(shape, re.DOTALL), f"cli.usage.{code}")
    for shape, code in (
        (r"the following arguments are required: (?P<names>.+)", "required"),
        (r"one of the arguments (?P<names>.+) is required", "one-of"),
        (r"unrecognized arguments: (?P<names>.+)", "unknown"),
        (r"argument (?P<name>.+?): not allowed with argument (?P<other>.+)", "both"),
        (
            r"argument (?P<name>.+?): invalid choice: '?(?P<value>.*?)'? "
            r"\(choose from (?P<known>.+)\)",
            "choice",
        ),
        (r"argument (?P<name>.+?): invalid \w+ value: '?(?P<value>.*?)'?", "bad"),
        (r"argument (?P<name>.+?): ignored explicit argument '?(?P<value>.*?)'?", "bad"),
        (r"argument (?P<name>.+?): expected .+", "value"),
        (r"ambiguous option: (?P<value>\S+) could match (?P<known>.+)", "ambiguous"),
    )
)


def sentence_of(message: str, command: str) -> tuple[str, dict[str, str]]:
    """Return the code of the sentence for what argparse found, and its fields.

    :param command: the words so far, such as `fabnode machine add`.

    >>> sentence_of("unrecognized arguments: --fast", "fabnode send")
    ('cli.usage.unknown', {'names': '--fast', 'command': 'fabnode send'})
    >>> sentence_of("something of a later Python", "fabnode")
    ('cli.usage.wrong', {'command': 'fabnode'})
    """
    for shape, code in _SHAPES:
        if found := shape.fullmatch(message):
            fields = {key: value.replace("'", "") for key, value in found.groupdict().items()}
            return code, {**fields, "command": command}
    return "cli.usage.wrong", {"command": command}
