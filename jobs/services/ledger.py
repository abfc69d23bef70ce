"""The books: each attempt leaves one signed record, chained to the one before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.did import public_key
from jobs.domain.events import rfc3339
from jobs.domain.usage import GENESIS, Json, Link, canonical, digest
from jobs.services.turns import take_turn
from jobs.services.views import LedgerVerdict, RecordView
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Record, Setting

_HEAD = "ledger.head"  # setting: digest of the newest record, so that a cut tail is seen
_CHECKED = "ledger.checked"  # setting: up to where a look has verified it, signed by the node
_WORTH: Final = 200  # records: with more behind the last word of that kind a new one is kept


class Ledger:
    """Append, verify and export the chain of usage records."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def append(
        self, session: Session, facts: Mapping[str, Json], now: datetime, attempt_id: str | None
    ) -> Record:
        """Sign *facts* as the next link, in the caller's transaction.

        :param facts: the body without `v`, `seq`, `prev`, `id` and `node`; integers only.
        :raises TypeError: at a float.
        """
        take_turn(session, "ledger")
        last = session.scalars(select(Record).order_by(Record.seq.desc()).limit(1)).first()
        seq, prev = (last.seq + 1, last.digest) if last else (1, GENESIS)
        record_id = self._workshop.new_id()
        signer = self._workshop.signer
        body = canonical(
            {**facts, "v": 1, "seq": seq, "prev": prev, "id": record_id, "node": signer.did}
        )
        record = Record(
            seq=seq,
            id=record_id,
            attempt_id=attempt_id,
            prev=prev,
            body=body,
            digest=digest(body),
            signature=signer.sign(body),
            made_at=now,
        )
        session.add(record)
        session.merge(Setting(key=_HEAD, value=record.digest))
        session.flush()
        return record

    def verify(self) -> LedgerVerdict:
        """Walk the whole chain, one row at a time."""
        with self._workshop.database.read() as session:
            head = session.get(Setting, _HEAD)
            public = public_key(self._workshop.signer.did)
            return verify_links(_links(session), public, head.value if head else GENESIS)

    def look(self, now: datetime) -> LedgerVerdict:
        """Verify what came since an earlier look had verified all before it.

        That word is signed, so that whoever changes the database cannot forge it; a row that was
        changed before it is found by `verify` alone.
        """
        public = public_key(self._workshop.signer.did)
        with self._workshop.database.read() as session:
            word = _word(session, public)
            head = session.get(Setting, _HEAD)
            known = head.value if head else GENESIS
            if word is None:
                found = verify_links(_links(session), public, known)
            else:
                after = (word.seq, word.digest)
                found = verify_links(_links(session, word.seq), public, known, after)
                found = replace(found, since=word.seq, since_at=word.at)
        if found.ok and found.records - found.since >= _WORTH:
            with self._workshop.database.write() as session:
                self._keep_word(session, found, now)
        return found

    def _keep_word(self, session: Session, found: LedgerVerdict, now: datetime) -> None:
        body = _word_of(found.records, found.head, now)
        signed = {"body": body.decode(), "signature": self._workshop.signer.sign(body)}
        session.merge(Setting(key=_CHECKED, value=json.dumps(signed)))

    def export(self) -> Iterator[bytes]:
        """Yield one JSON line for each record: body, digest, signature; anyone can verify them."""
        with self._workshop.database.read() as session:
            for link in _links(session):
                line = {
                    "body": link.body.decode(),
                    "digest": link.digest,
                    "signature": link.signature,
                }
                yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def by_job(self, job_id: str) -> list[RecordView]:
        """Return the records of one job's attempts, oldest first."""
        query = (
            select(Record)
            .join(Attempt, Attempt.id == Record.attempt_id)
            .where(Attempt.job_id == job_id)
            .order_by(Record.seq)
        )
        with self._workshop.database.read() as session:
            return [record_view(record) for record in session.scalars(query)]

    def recent(self, limit: int = 50) -> list[RecordView]:
        """Return the newest records, newest first."""
        query = select(Record).order_by(Record.seq.desc()).limit(limit)
        with self._workshop.database.read() as session:
            return [record_view(record) for record in session.scalars(query)]


def record_view(record: Record) -> RecordView:
    """Return a link as people read it."""
    return RecordView(record.seq, record.id, record.digest, record.made_at, json.loads(record.body))


@dataclass(frozen=True, slots=True)
class _Word:
    """That all up to a record was verified, and when."""

    seq: int
    digest: str
    at: datetime


def _word_of(seq: int, head: str, at: datetime) -> bytes:
    # Named as what it is: no record, and nobody can take its signature for one's.
    return canonical({"type": "ledger-checked", "seq": seq, "digest": head, "at": rfc3339(at)})


def _word(session: Session, public: bytes) -> _Word | None:
    """Return the signed word of an earlier look; None without one that holds."""
    row = session.get(Setting, _CHECKED)
    try:
        signed = json.loads(row.value) if row else {}
        body = str(signed["body"]).encode()
        VerifyKey(public).verify(body, bytes.fromhex(str(signed["signature"])))
        said = json.loads(body)
        if said["type"] != "ledger-checked":
            return None
        word = _Word(int(said["seq"]), str(said["digest"]), datetime.fromisoformat(said["at"]))
    except (BadSignatureError, KeyError, TypeError, ValueError):
        return None
    # The rows before it must be there at least, and the one that it names be what it was.
    count = session.scalar(select(func.count()).where(Record.seq <= word.seq))
    known = session.scalar(select(Record.digest).where(Record.seq == word.seq))
    return word if (count, known) == (word.seq, word.digest) else None


def verify_links(
    links: Iterable[Link],
    public: bytes,
    head: str | None = None,
    after: tuple[int, str] = (0, GENESIS),
) -> LedgerVerdict:
    """Check every link of a chain that begins behind *after*: by default at the first record.

    :param public: the raw Ed25519 key, 32 bytes, of whoever signed it.
    :param head: digest the newest record should have; without it a cut tail cannot be seen.
    :param after: number and digest of the record before.
    """
    key = VerifyKey(public)
    seq, prev = after
    for link in links:
        problem = _problem(link, seq + 1, prev, key)
        if problem is not None:
            return LedgerVerdict(False, seq, prev, seq + 1, problem)
        seq, prev = link.seq, link.digest
    if head is not None and prev != head:
        return LedgerVerdict(False, seq, prev, seq + 1, "sequence")
    return LedgerVerdict(True, seq, prev)


def _problem(link: Link, seq: int, prev: str, key: VerifyKey) -> str | None:
    if link.seq != seq:
        return "sequence"
    if link.prev != prev:
        return "prev"
    if link.digest != digest(link.body):
        return "hash"
    try:
        signature = bytes.fromhex(link.signature)
        key.verify(link.body, signature)
    except (BadSignatureError, ValueError):
        return "signature"
    if signature.hex() != link.signature:  # other spellings of the same number
        return "signature"
    return None if _says(link) else "body"


def _says(link: Link) -> bool:
    """Tell whether the signed bytes themselves name the place the row stands at."""
    try:
        body = json.loads(link.body)
        return (
            isinstance(body, dict)
            and body.get("seq") == link.seq
            and body.get("prev") == link.prev
            and canonical(body) == link.body
        )
    except (ValueError, TypeError, RecursionError):
        return False


def _links(session: Session, after: int = 0) -> Iterator[Link]:
    columns = (Record.seq, Record.prev, Record.body, Record.digest, Record.signature)
    query = select(*columns).order_by(Record.seq)
    if after:
        query = query.where(Record.seq > after)
    rows = session.execute(query).yield_per(500)
    for seq, prev, body, known, signature in rows:
        # Whoever tampers with SQLite may put any type into any column.
        raw = body if isinstance(body, bytes) else str(body).encode()
        yield Link(seq, prev, raw, str(known), str(signature))
