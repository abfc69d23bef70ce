"""What can go wrong in drivers, cut by what the caller should do.

    DriverError
    ├── ProfileError    a firmware profile is missing or wrong; mend the file
    ├── PortError       the port is absent, taken or refused; look at the cable
    ├── ProgramError    the program may not be sent; carries the line of the uploaded file
    ├── WireError       the other end of a socket speaks nonsense; drop the connection
    ├── HostError       a machine host is away or says no
    ├── JournalError    the journal cannot be written; start nothing
    ├── ReplayError     a wire log cannot be replayed; give what is missing
    └── SimulatorError  a simulator was asked for what it cannot be; ask otherwise

Each carries a dotted code and fields; the sentence for a person is in the catalogue.
"""

from __future__ import annotations


class DriverError(Exception):
    """The root: a stable code and the fields of its sentence."""

    def __init__(self, code: str, **fields: str | int | float) -> None:
        self.code = code
        self.fields = fields
        text = ", ".join(f"{name}={value}" for name, value in fields.items())
        super().__init__(f"{code} ({text})" if text else code)


class ProfileError(DriverError):
    """A firmware profile is missing or wrong."""


class PortError(DriverError):
    """A port is absent, taken, or refused."""


class ProgramError(DriverError):
    """A program may not be sent.

    :param line: 1-based line of the uploaded file; 0 where the whole program is meant.
    """

    def __init__(self, code: str, *, line: int = 0, **fields: str | int | float) -> None:
        self.line = line
        super().__init__(code, line=line, **fields)


class WireError(DriverError):
    """The other end of a socket speaks nonsense."""


class HostError(DriverError):
    """A machine host is away, or says no."""


class JournalError(DriverError):
    """A journal cannot be read or written."""


class ReplayError(DriverError):
    """A wire log cannot be replayed."""


class SimulatorError(DriverError):
    """A simulator was asked for something that it cannot be."""
