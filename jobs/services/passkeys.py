"""Passkeys: a key pair that a phone or computer keeps, in place of a password (WebAuthn).

`webauthn` is imported where one is made or used: few requests need it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from jobs.domain.credentials import Happened
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.services.credentials import note
from jobs.services.workshop import Workshop
from jobs.store.signing import Passkey
from jobs.store.tables import Person

_MOST: Final = 20  # of one person
_LONGEST_NAME: Final = 80
_LONGEST_ANSWER: Final = 16 * 1024  # characters of a browser's JSON


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passkey holds: the node's name, and the address as the browser knows it.

    :param rp_id: "relying party": a host name, without a port; never an IP address.
    :param origin: scheme, host and port.
    """

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """One passkey, as its person's list has it."""

    id: str
    name: str
    rp_id: str
    created_at: datetime
    used_at: datetime | None


class Passkeys:
    """Use cases about passkeys; challenges are kept by whoever speaks with the browser."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def any_for(self, rp_id: str) -> bool:
        """Return whether anybody has a passkey for this name of the node."""
        with self._database.read() as session:
            query = select(Passkey.id).where(Passkey.rp_id == rp_id).limit(1)
            return session.scalar(query) is not None

    def list(self, person_id: str) -> Sequence[PasskeyView]:
        """Return a person's passkeys, the newest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(Passkey)
                .where(Passkey.person_id == person_id)
                .order_by(Passkey.created_at.desc())
            )
            return [
                PasskeyView(row.id, row.name, row.rp_id, row.created_at, row.used_at)
                for row in rows
            ]

    def to_make(self, person_id: str, place: Place, challenge: bytes) -> str:
        """Return what a browser needs to make a passkey, as JSON.

        :raises InvalidError: `passkey.too-many`.
        """
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        with self._database.read() as session:
            person = session.get_one(Person, person_id)
            there = session.scalars(
                select(Passkey.credential).where(Passkey.person_id == person_id)
            ).all()
        if len(there) >= _MOST:
            raise InvalidError("passkey.too-many", most=_MOST)
        options = generate_registration_options(
            rp_id=place.rp_id,
            rp_name=self._workshop.site,
            user_name=person.login,
            user_display_name=person.name,
            # A device shows it to nobody; a hash tells nothing of the id either.
            user_id=hashlib.sha256(person_id.encode()).digest(),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in there],
        )
        return options_to_json(options)

    def add(
        self,
        person_id: str,
        name: str,
        answer: str,
        challenge: bytes,
        place: Place,
        now: datetime,
    ) -> None:
        """Keep the passkey that a browser has made.

        :raises InvalidError: `passkey.refused` or `passkey.name`.
        """
        from webauthn import verify_registration_response
        from webauthn.helpers.exceptions import WebAuthnException

        name = " ".join(name.split())
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise InvalidError("passkey.name", field="name", characters=_LONGEST_NAME)
        if len(answer) > _LONGEST_ANSWER:
            raise InvalidError("passkey.refused")
        try:
            made = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise InvalidError("passkey.refused") from error
        key = Passkey(
            id=self._workshop.new_id(),
            person_id=person_id,
            credential_sha256=hashlib.sha256(made.credential_id).hexdigest(),
            credential=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            rp_id=place.rp_id,
            name=name,
            created_at=now,
        )
        with self._database.write() as session:
            query = select(Passkey.id).where(Passkey.credential_sha256 == key.credential_sha256)
            if session.scalar(query) is not None:
                raise InvalidError("passkey.refused")
            session.add(key)
            what = Happened.PASSKEY_ADDED
            note(session, self._workshop, person_id, what, now, by_id=person_id, detail=name)

    def to_prove(self, place: Place, challenge: bytes) -> str:
        """Return what a browser needs to use a passkey, as JSON; it names nobody."""
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import UserVerificationRequirement

        options = generate_authentication_options(
            rp_id=place.rp_id,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def prove(self, answer: str, challenge: bytes, place: Place, now: datetime) -> str:
        """Return whose passkey has answered the challenge.

        :raises InvalidError: `passkey.refused`; it does not tell whether the passkey is known.
        """
        from webauthn import base64url_to_bytes, verify_authentication_response
        from webauthn.helpers import parse_authentication_credential_json
        from webauthn.helpers.exceptions import WebAuthnException

        if len(answer) > _LONGEST_ANSWER:
            raise InvalidError("passkey.refused")
        try:
            credential = parse_authentication_credential_json(answer)
            wanted = hashlib.sha256(base64url_to_bytes(credential.id)).hexdigest()
            with self._database.read() as session:
                row = session.scalar(select(Passkey).where(Passkey.credential_sha256 == wanted))
            if row is None:
                raise InvalidError("passkey.refused")
            proved = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise InvalidError("passkey.refused") from error
        with self._database.write() as session:
            kept = session.get(Passkey, row.id)
            if kept is None:  # taken away while it answered
                raise InvalidError("passkey.refused")
            kept.sign_count, kept.used_at = proved.new_sign_count, now
        return row.person_id

    def remove(self, person_id: str, passkey_id: str, now: datetime, *, by_id: str | None) -> None:
        """Let a passkey prove nothing any more.

        :raises NotFoundError: `passkey.unknown`.
        """
        with self._database.write() as session:
            row = session.get(Passkey, passkey_id)
            if row is None or row.person_id != person_id:
                raise NotFoundError("passkey.unknown")
            session.delete(row)
            what = Happened.PASSKEY_GONE
            note(session, self._workshop, person_id, what, now, by_id=by_id, detail=row.name)
