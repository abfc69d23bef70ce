"""Speak to the person at the terminal: sentences from the catalogue, JSON for programs."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from drivers.errors import DriverError
from jobs.domain.errors import JobsError, RefusedError

if TYPE_CHECKING:
    from jobs.domain.sentences import Catalogue


@functools.cache
def catalogue() -> Catalogue:
    """Return the sentences in the language of FABNODE_LANGUAGE, English where there is none."""
    # Who asks for JSON hears no sentence, and need not wait for what reads them.
    from jobs.domain.sentences import SOURCE, Catalogue

    try:
        return Catalogue(os.environ.get("FABNODE_LANGUAGE") or SOURCE)
    except OSError:
        return Catalogue()


def text(code: str, **fields: str | int | float) -> str:
    """Return the sentence of *code*."""
    return catalogue().text(code, **fields)


def out(line: str) -> None:
    """Write one line to stdout."""
    sys.stdout.write(plain(line) + "\n")
    sys.stdout.flush()


def say(code: str, **fields: str | int | float) -> None:
    """Write the sentence of *code* to stdout."""
    out(text(code, **fields))


def complain(code: str, **fields: str | int | float) -> None:
    """Write the sentence of *code* to stderr."""
    err(text(code, **fields))


def err(sentence: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"fabnode: {plain(' '.join(sentence.split()))}\n")


def plain(line: str) -> str:
    """Return *line* without what a terminal would obey: names and files come from anywhere."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def say_error(error: JobsError | DriverError) -> None:
    """Say what went wrong; a refusal says every reason."""
    if isinstance(error, RefusedError):
        for refusal in error.refusals:
            complain(f"reason.{refusal.reason}", **refusal.fields)
        return
    complain(f"error.{error.code}", **error.fields)


def print_json(values: Mapping[str, object]) -> None:
    """Write one JSON object."""
    out(json.dumps(values, ensure_ascii=False))
