"""A second step when signing in: codes of an authenticator app, and ten that work without it.

Source: RFC 6238 (TOTP) on RFC 4226 (HOTP): SHA-1, six digits, windows of 30 s.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from jobs.domain.credentials import Happened, Tried
from jobs.domain.errors import InvalidError
from jobs.services.credentials import note
from jobs.services.passwords import fingerprint
from jobs.services.tries import Limit, count_try, forget_tries
from jobs.services.workshop import Workshop
from jobs.store.signing import RecoveryCode, SecondStep
from jobs.store.tables import Person

WINDOW_S: Final = 30
DIGITS: Final = 6
CODES: Final = 10  # of recovery
_AROUND: Final = 1  # windows before and after: a phone's clock is not ours
_SECRET_BYTES: Final = 20  # RFC 4226 section 4, R6: 160 bits
_CODE_SYMBOLS: Final = 16  # of base 32: 80 bits need no slow hash
_SEALING: Final = b"fabnode: what second steps are sealed with"
# Three windows are open at a time: twenty tries a day are one chance in 16,000.
_OF_PERSON: Final = (Limit(5, timedelta(minutes=5)), Limit(20, timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class SecondStepView:
    """How a person's second step stands.

    :param codes: of recovery that are left.
    """

    is_on: bool
    codes: int


def code_at(secret: bytes, window: int, digits: int = DIGITS) -> str:
    """Return the code of one window.

    >>> [code_at(b"12345678901234567890", at // 30, 8) for at in (59, 1111111109, 20000000000)]
    ['94287082', '07081804', '65353130']

    Source: RFC 6238 appendix B.
    """
    mac = hmac.new(secret, struct.pack(">Q", window), hashlib.sha1).digest()
    at = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[at : at + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


class SecondSteps:
    """Use cases about the second step."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def view(self, person_id: str) -> SecondStepView:
        """Return how a person's second step stands."""
        with self._database.read() as session:
            row = session.get(SecondStep, person_id)
            codes = session.scalar(select(func.count()).where(RecoveryCode.person_id == person_id))
        return SecondStepView(row is not None and row.confirmed_at is not None, codes or 0)

    def is_on(self, person_id: str) -> bool:
        """Return whether a person is asked for a code when they sign in."""
        with self._database.read() as session:
            row = session.get(SecondStep, person_id)
            return row is not None and row.confirmed_at is not None

    def holders(self) -> frozenset[str]:
        """Return the ids of all who are asked for a code."""
        with self._database.read() as session:
            query = select(SecondStep.person_id).where(SecondStep.confirmed_at.is_not(None))
            return frozenset(session.scalars(query))

    def begin(self, person_id: str) -> str:
        """Make a secret and return it in base 32; a first code confirms it.

        :raises InvalidError: `second-step.on`, if there is one already.
        """
        token = self._workshop.new_token().encode()
        secret = hashlib.sha256(token).digest()[:_SECRET_BYTES]
        with self._database.write() as session:
            row = session.get(SecondStep, person_id)
            if row is not None and row.confirmed_at is not None:
                raise InvalidError("second-step.on")
            sealed = self._box().encrypt(secret)
            session.merge(SecondStep(person_id=person_id, sealed=bytes(sealed), last_window=0))
        return base64.b32encode(secret).decode()

    def address(self, person_id: str, login: str) -> str:
        """Return the address that an authenticator app reads, of a secret not yet confirmed.

        Source: Google Authenticator, "Key URI Format".

        :raises InvalidError: `second-step.not-begun`.
        """
        with self._database.read() as session:
            row = session.get(SecondStep, person_id)
            if row is None or row.confirmed_at is not None:
                raise InvalidError("second-step.not-begun")
            secret = base64.b32encode(self._open(row)).decode()
        site = quote(self._workshop.site)
        label = f"{site}:{quote(login)}"
        return f"otpauth://totp/{label}?secret={secret}&issuer={site}"

    def confirm(self, person_id: str, code: str, now: datetime) -> Sequence[str]:
        """Turn the second step on by its first code; return the codes of recovery, this once.

        :raises InvalidError: `second-step.not-begun`, `second-step.wrong` or `.too-many`.
        """
        with self._database.read() as session:
            row = session.get(SecondStep, person_id)
        if row is None or row.confirmed_at is not None:
            raise InvalidError("second-step.not-begun")
        self._count(person_id, now)
        self._take_window(person_id, code, now)
        with self._database.write() as session:
            session.execute(
                update(SecondStep).where(SecondStep.person_id == person_id).values(confirmed_at=now)
            )
            note(session, self._workshop, person_id, Happened.STEP_ON, now, by_id=person_id)
            return self._new_codes(session, person_id)

    def new_codes(self, person_id: str, now: datetime) -> Sequence[str]:
        """Return new codes of recovery, this once; the old ones are worth nothing.

        :raises InvalidError: `second-step.off`.
        """
        if not self.is_on(person_id):
            raise InvalidError("second-step.off")
        with self._database.write() as session:
            note(session, self._workshop, person_id, Happened.CODES_MADE, now, by_id=person_id)
            return self._new_codes(session, person_id)

    def turn_off(self, person_id: str, now: datetime, *, by_id: str | None) -> None:
        """Ask for no code any more; twice changes nothing."""
        with self._database.write() as session:
            self.drop(session, self._workshop, person_id, now, by_id=by_id)

    @staticmethod
    def drop(
        session: Session, workshop: Workshop, person_id: str, now: datetime, *, by_id: str | None
    ) -> None:
        """Turn it off in the caller's transaction."""
        row = session.get(SecondStep, person_id)
        if row is None:
            return
        was_on = row.confirmed_at is not None
        session.delete(row)
        session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
        if was_on:
            note(session, workshop, person_id, Happened.STEP_OFF, now, by_id=by_id)

    def prove(self, person_id: str, code: str, now: datetime) -> None:
        """Take a code of the app, or one of recovery, each once.

        :raises InvalidError: `second-step.wrong`, or `second-step.too-many` with the minutes.
        """
        self._count(person_id, now)
        plain = "".join(code.split()).replace("-", "")
        if len(plain) == _CODE_SYMBOLS:
            self._take_recovery(person_id, plain.upper(), now)
        else:
            self._take_window(person_id, plain, now)

    def _count(self, person_id: str, now: datetime) -> None:
        code = "second-step.too-many"
        count_try(self._workshop, Tried.CODE, person_id, _OF_PERSON, now, code)

    def _take_window(self, person_id: str, code: str, now: datetime) -> None:
        with self._database.write() as session:
            row = session.get(SecondStep, person_id)
            at = int(now.timestamp()) // WINDOW_S
            windows = range(at - _AROUND, at + _AROUND + 1)
            secret = b"" if row is None else self._open(row)
            # All are compared, so that time tells nothing.
            right = [
                window
                for window in windows
                if hmac.compare_digest(code_at(secret, window).encode(), code.strip().encode())
            ]
            taken = (
                right
                and session.execute(
                    update(SecondStep)
                    .where(SecondStep.person_id == person_id, SecondStep.last_window < right[-1])
                    .values(last_window=right[-1])
                    .returning(SecondStep.person_id)
                ).first()
            )
            if not taken:  # not right, or used already
                raise InvalidError("second-step.wrong", field="code")
            forget_tries(session, Tried.CODE, person_id, since=now)

    def _take_recovery(self, person_id: str, code: str, now: datetime) -> None:
        with self._database.write() as session:
            found = session.execute(
                delete(RecoveryCode)
                .where(
                    RecoveryCode.code_sha256 == fingerprint(f"{person_id} {code}"),
                    RecoveryCode.person_id == person_id,
                )
                .returning(RecoveryCode.code_sha256)
            ).first()
            if found is None:
                raise InvalidError("second-step.wrong", field="code")
            forget_tries(session, Tried.CODE, person_id, since=now)
            note(session, self._workshop, person_id, Happened.CODE_USED, now, by_id=person_id)

    def _new_codes(self, session: Session, person_id: str) -> Sequence[str]:
        session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
        codes = []
        for _ in range(CODES):
            chance = hashlib.sha256(self._workshop.new_token().encode()).digest()
            code = base64.b32encode(chance).decode()[:_CODE_SYMBOLS]
            session.add(
                RecoveryCode(code_sha256=fingerprint(f"{person_id} {code}"), person_id=person_id)
            )
            codes.append("-".join(code[at : at + 4] for at in range(0, _CODE_SYMBOLS, 4)))
        return codes

    def _open(self, row: SecondStep) -> bytes:
        """Return the secret.

        :raises InvalidError: `second-step.other-key`, on a node that has not sealed it.
        """
        try:
            return self._box().decrypt(row.sealed)
        except CryptoError as error:
            raise InvalidError("second-step.other-key") from error

    def _box(self) -> SecretBox:
        # Signatures of this key are the same each time, and nobody else can make them.
        key = hashlib.sha256(self._workshop.signer.sign(_SEALING).encode()).digest()
        return SecretBox(key)


def reset_by_console(workshop: Workshop, person_id: str, now: datetime) -> None:
    """Let a person in by a link alone, and write down that it was done at the console."""
    with workshop.database.write() as session:
        SecondSteps.drop(session, workshop, person_id, now, by_id=None)
        note(session, workshop, person_id, Happened.CONSOLE_RESET, now, by_id=None)
        person = session.get_one(Person, person_id)
        forget_tries(session, Tried.PASSWORD, person.login)
        forget_tries(session, Tried.CODE, person_id)
