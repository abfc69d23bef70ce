"""Notices: told with the fact they tell of, once, and carried out of the house with patience."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.notices import MOST_TRIES, Say, Topic, Way, checked_ntfy, checked_target
from jobs.domain.people import Actor
from jobs.services.delivering import Delivering
from jobs.services.notices import Notices, tell
from jobs.services.workshop import Workshop
from jobs.store.sharing import NoticeDelivery

MINUTE = timedelta(minutes=1)
EMAIL = {"host": "127.0.0.1", "security": "none", "sender": "node@lab.example"}


@pytest.fixture
def notices(workshop: Workshop) -> Notices:
    return Notices(workshop)


def say(workshop: Workshop, person: Actor, code: str, now: datetime, **more: str) -> str | None:
    with workshop.database.write() as session:
        key = more.pop("key", None)
        return tell(session, workshop, person.person_id, code, more, now, "booking:1", key)


@dataclass
class Carrier:
    """Takes messages and answers as it is told."""

    problem: str = ""
    carried: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
        self.carried.extend(messages)
        return {one["id"]: self.problem for one in messages}


class MailServer(socketserver.ThreadingTCPServer):
    """As much of RFC 5321 as a sender without encryption needs."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        super().__init__(("127.0.0.1", 0), _Mail)


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, MailServer)
        envelope: list[str] = []
        self.wfile.write(b"220 here\r\n")
        for _ in range(50):
            line = self.rfile.readline(1000).decode().strip()
            word = line[:4].upper()
            if word == "DATA":
                self.wfile.write(b"354 go on\r\n")
                text = []
                while (row := self.rfile.readline(2000)) not in (b".\r\n", b""):
                    text.append(row.decode())
                self.server.mails.append((envelope, "".join(text)))
            elif word in ("MAIL", "RCPT"):
                envelope.append(line)
            elif word in ("QUIT", ""):
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


class NtfyServer(http.server.ThreadingHTTPServer):
    """Takes what is posted; `status` is its answer, `place` where it sends people instead."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes]] = []
        self.status, self.place = 200, ""
        super().__init__(("127.0.0.1", 0), _Ntfy)


class _Ntfy(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, NtfyServer)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posts.append((self.path, body))
        self.send_response(self.server.status)
        if self.server.place:
            self.send_header("location", self.server.place)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815  what a followed redirect would use

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[socketserver.BaseServer], int]]:
    running: list[tuple[socketserver.BaseServer, threading.Thread]] = []

    def start(server: socketserver.BaseServer) -> int:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        running.append((server, thread))
        port = server.server_address[1]
        assert isinstance(port, int)
        return port

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_notice_is_there_when_its_transaction_is_and_is_told_once_by_its_key(
    workshop: Workshop, notices: Notices, member: Actor, now: datetime
) -> None:
    def roll_back() -> None:
        with workshop.database.write() as session:
            tell(session, workshop, member.person_id, "booking-lost", {}, now)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        roll_back()
    assert notices.list(member) == []

    assert say(workshop, member, "booking-lost", now, key="one", machine="Ender") is not None
    assert say(workshop, member, "booking-lost", now + MINUTE, key="one") is None
    (one,) = notices.list(member)
    assert (one.code, one.fields, one.about, one.read) == (
        "booking-lost", {"machine": "Ender"}, "booking:1", False,
    )  # fmt: skip
    assert notices.unread(member) == 1
    notices.read(member, now)
    assert (notices.unread(member), notices.list(member, unread=True)) == (0, [])


def test_nobody_reads_the_notices_of_others_for_them(
    workshop: Workshop, notices: Notices, member: Actor, other: Actor, now: datetime
) -> None:
    told = say(workshop, member, "job-done", now)
    notices.read(other, now, told)
    assert notices.unread(member) == 1
    assert notices.list(other) == []


def test_a_person_chooses_what_to_be_told_but_not_to_lose_time_in_silence(
    workshop: Workshop, notices: Notices, member: Actor, now: datetime
) -> None:
    notices.choose(member, {Topic.JOBS: Say.NOT, Topic.REMINDERS: Say.HERE})
    assert say(workshop, member, "job-done", now) is None
    assert say(workshop, member, "reminder-soon", now) is not None
    with pytest.raises(InvalidError, match=r"notices\.must-know"):
        notices.choose(member, {Topic.BOOKINGS: Say.NOT})
    assert notices.choices(member)[Topic.BOOKINGS] is Say.AWAY


def test_a_lab_opens_ways_and_a_person_only_names_who_they_are(
    notices: Notices, admin: Actor, member: Actor, now: datetime
) -> None:
    with pytest.raises(InvalidError, match="way-closed"):
        notices.add_address(member, Way.EMAIL, "mia@example.org", now)
    with pytest.raises(NotAllowedError):
        notices.open_way(member, Way.NTFY, {"server": "https://ntfy.sh"})
    notices.open_way(admin, Way.EMAIL, {**EMAIL, "port": "587", "user": "n", "password": "secret"})
    made = notices.add_address(member, Way.EMAIL, " mia@example.org ", now)
    assert made.target == "mia@example.org"
    with pytest.raises(InvalidError, match="known"):
        notices.add_address(member, Way.EMAIL, "mia@example.org", now)
    assert "password" not in notices.ways()[Way.EMAIL]
    # The password is not shown, so an empty field keeps it; to another server it never goes.
    notices.open_way(admin, Way.EMAIL, {**EMAIL, "port": "25", "user": "n", "password": ""})
    assert notices.ways(secrets=True)[Way.EMAIL]["password"] == "secret"
    elsewhere = {**EMAIL, "host": "elsewhere.example", "port": "25", "user": "n"}
    notices.open_way(admin, Way.EMAIL, elsewhere)
    assert notices.ways(secrets=True)[Way.EMAIL]["password"] == ""
    with pytest.raises(NotFoundError):
        notices.remove_address(admin, made.id)
    notices.remove_address(member, made.id)
    assert notices.addresses(member) == []


@pytest.mark.parametrize(
    "target",
    ["", "mia", "mia@example.org\nBcc: all@example.org", "a@b/?to=x", "ntfy://10.0.0.1/x", "@x"],
)
def test_what_is_no_address_of_a_person_never_becomes_one(target: str) -> None:
    with pytest.raises(InvalidError):
        checked_target(Way.EMAIL, target)
    if target != "mia":
        with pytest.raises(InvalidError):
            checked_target(Way.NTFY, target)


@pytest.mark.parametrize(
    "server",
    [
        *("ntfy.sh", "file:///etc/passwd", "https://u:p@ntfy.sh", "https://ntfy.sh/topic"),
        *("https://ntfy.sh:99999", "https://", "https://ntfy.sh?x=1"),
    ],
)
def test_a_server_is_a_scheme_and_a_name_and_nothing_else(server: str) -> None:
    with pytest.raises(InvalidError):
        checked_ntfy({"server": server})


def test_a_delivery_is_tried_with_patience_and_given_up_in_the_end(
    workshop: Workshop, notices: Notices, admin: Actor, member: Actor, now: datetime
) -> None:
    notices.open_way(admin, Way.NTFY, {"server": "https://ntfy.example"})
    notices.add_address(member, Way.NTFY, "mia-4711", now)
    carrier = Carrier("no route")
    delivering = Delivering(workshop, carrier=carrier)

    for at, tries in ((0, 1), (0, 1), (0.5, 1), (1, 2), (3, 2), (6, 3)):
        delivering.tick(now + at * MINUTE)
        assert len(carrier.carried) == tries
    (address,) = notices.addresses(member)
    assert (address.problem, address.reached_at) == ("no route", None)
    for hours in range(1, 40):
        delivering.tick(now + hours * 60 * MINUTE)
    assert len(carrier.carried) == MOST_TRIES
    with workshop.database.read() as session:
        (row,) = session.scalars(select(NoticeDelivery))
        assert row.state == "failed"


def test_a_delivery_that_arrived_is_not_made_again(
    workshop: Workshop, notices: Notices, admin: Actor, member: Actor, now: datetime
) -> None:
    notices.open_way(admin, Way.NTFY, {"server": "https://ntfy.example"})
    notices.add_address(member, Way.NTFY, "mia-4711", now)
    say(workshop, member, "booking-lost", now)
    carrier = Carrier()
    delivering = Delivering(workshop, carrier=carrier)
    assert [delivering.tick(now + n * MINUTE) for n in range(3)] == [2, 0, 0]
    assert {one["url"] for one in carrier.carried} == {"ntfys://ntfy.example/mia-4711?image=no"}
    notices.close_way(admin, Way.NTFY)
    say(workshop, member, "booking-lost", now)
    assert delivering.tick(now) == 0
    assert len(carrier.carried) == 2


def test_real_servers_get_the_sentence_and_send_nobody_elsewhere(
    workshop: Workshop,
    notices: Notices,
    admin: Actor,
    member: Actor,
    other: Actor,
    now: datetime,
    serve: Callable[[socketserver.BaseServer], int],
) -> None:
    """Apprise in its child, an SMTP server and an HTTP server."""
    mail, ntfy, inside = MailServer(), NtfyServer(), NtfyServer()
    notices.open_way(admin, Way.EMAIL, {**EMAIL, "port": str(serve(mail))})
    notices.open_way(admin, Way.NTFY, {"server": f"http://127.0.0.1:{serve(ntfy)}"})
    ntfy.status, ntfy.place = 302, f"http://127.0.0.1:{serve(inside)}/inside"
    notices.add_address(member, Way.EMAIL, "mia@example.org", now)
    notices.add_address(other, Way.NTFY, "noor-4711", now)
    delivering = Delivering(workshop)

    assert delivering.tick(now) == 1
    ((envelope, text),) = mail.mails
    assert "<node@lab.example>" in envelope[0]
    assert "<mia@example.org>" in envelope[1]
    assert "You will be told things at mia@example.org" in text
    assert "test-lab" in text
    assert (len(ntfy.posts), inside.posts) == (1, [])
    (address,) = notices.addresses(other)
    assert address.problem

    ntfy.status, ntfy.place = 200, ""
    assert delivering.tick(now + 2 * MINUTE) == 1
    assert len(mail.mails) == 1
    path, body = ntfy.posts[-1]
    assert b"noor-4711" in body or "noor-4711" in path
    (address,) = notices.addresses(other)
    assert (address.problem, address.reached_at) == ("", now + 2 * MINUTE)
