from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from web import live
from web.live import LiveStreams


def test_one_person_cannot_take_all_streams():
    streams = LiveStreams()
    assert [streams.enter("mia") for _ in range(7)] == [True] * 6 + [False]
    assert streams.enter("otto")
    streams.leave("mia")
    assert streams.enter("mia")


def test_after_closing_nobody_enters():
    streams = LiveStreams()
    streams.close()
    assert not streams.enter("mia")


def test_strangers_get_no_events(browse):
    assert browse().get("/events").status_code == 401


class Listener:
    """Reads the stream straight from its generator; no socket, no waiting."""

    def __init__(self, lab, person: str = "mia") -> None:
        from web.auth import Visitor
        from web.context import web_of

        class Request:
            app = lab.app()

            async def is_disconnected(self) -> bool:
                return False

        self.web = web_of(Request)
        self.visitor = Visitor(lab.people[person], "", None)
        self.is_signed_in = True
        self.stream = live._stream(Request(), self.web, self.visitor, lambda: self.is_signed_in)

    async def event(self) -> dict:
        while True:
            text = await anext(self.stream)
            if text.startswith("event: machines"):
                return json.loads(text.split("data: ", 1)[1])


def test_a_stream_tells_every_machine_and_then_what_changed(lab, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_S", 0.01)
    listener = Listener(lab)

    async def listen() -> None:
        listener.web.streams.enter(listener.visitor.actor.person_id)
        first = {one["slug"]: one for one in (await listener.event())["machines"]}
        assert first["ender"]["state_text"] == "free"
        assert first["ender"]["temperatures"] == {"bed": "22 °C", "nozzle": "24 °C"}
        state = lab.workshop.live.get("ender")
        lab.workshop.live.put("ender", replace(state, temperatures={"nozzle": (100.0, 210.0)}))
        second = {one["slug"]: one for one in (await listener.event())["machines"]}
        assert second["ender"]["temperatures"] == {"nozzle": "100 / 210 °C"}
        assert second["ender"]["key"] != first["ender"]["key"]  # a heater less on the page
        listener.web.streams.close()
        rest = [text async for text in listener.stream]
        assert rest == []
        assert listener.web.streams._open.total() == 0

    asyncio.run(asyncio.wait_for(listen(), 20))


def test_what_changes_in_the_house_is_told_though_no_machine_changes(lab, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_S", 0.01)
    listener = Listener(lab)

    async def listen() -> tuple[dict, dict]:
        first = await listener.event()
        lab.workshop.live.touch()  # as the queue does
        second = await listener.event()
        await listener.stream.aclose()
        return first, second

    first, second = asyncio.run(asyncio.wait_for(listen(), 20))
    assert second["machines"] == first["machines"]
    assert second["house"] > first["house"]


def test_a_stream_ends_with_its_sign_in(lab, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_S", 0.01)
    listener = Listener(lab)

    async def listen() -> list[str]:
        await listener.event()
        listener.is_signed_in = False
        lab.workshop.live.touch()
        return [text async for text in listener.stream]

    assert asyncio.run(asyncio.wait_for(listen(), 20)) == []


def test_a_machines_text_cannot_forge_an_event(lab, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_S", 0.01)
    evil = "x\r\n\r\nevent: machines\ndata: {}\u2028"
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, message=evil))
    listener = Listener(lab)

    async def listen() -> str:
        await anext(listener.stream)
        text = await anext(listener.stream)
        await listener.stream.aclose()
        return text

    text = asyncio.run(asyncio.wait_for(listen(), 20))
    assert text.count("\n") == 3
    assert "\r" not in text
    assert text.startswith("event: machines\ndata: {")


def test_a_silent_stream_beats(lab, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_S", 0.01)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    listener = Listener(lab)

    async def listen() -> str:
        await listener.event()
        beat = await anext(listener.stream)
        await listener.stream.aclose()
        return beat

    assert asyncio.run(asyncio.wait_for(listen(), 20)).startswith(":")


def test_a_stream_does_not_live_for_ever(lab, monkeypatch):
    monkeypatch.setattr(live, "_LIFE_S", 0.0)
    listener = Listener(lab)

    async def listen() -> list[str]:
        return [text async for text in listener.stream]

    assert asyncio.run(asyncio.wait_for(listen(), 20)) == ["retry: 3000\n\n"]
