"""Lines on their way: of which part of the conversation they are, and what was sent of them."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol


class Program(Protocol):
    """The lines of a program by number; a resend needs to go back."""

    def __len__(self) -> int:
        """Return how many lines there are to send."""

    def line(self, index: int) -> bytes:
        """Return a bare line without newline; *index* counts from 0."""

    def source_line(self, index: int) -> int:
        """Return the 1-based line of the uploaded file that it came from."""


class Part(Enum):
    """What a line is there for."""

    PROGRAM = auto()
    EXTRA = auto()  # a single command between program lines
    ASK = auto()  # M105: its answer is known by its look and so proves all before it
    LAST = auto()  # the line that ends a procedure
    PLACE = auto()  # M114: known by its look, too, but a plain answer follows


class Line(NamedTuple):
    """A line on its way.

    :param place: its index in the program, below 0 if it is not of it.
    :param alone: nothing may follow before its answer.
    :param is_plain: a move of the program like nine in ten; no rule of the host is about it.
    """

    text: bytes
    part: Part = Part.EXTRA
    place: int = -1
    alone: bool = False
    is_plain: bool = False


ASKS = (Part.ASK, Part.LAST)


class Sent(NamedTuple):
    number: int
    size: int  # bytes that may still be in the RX buffer
    line: Line
