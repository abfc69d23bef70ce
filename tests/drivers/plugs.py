"""Plugs as their makers document them: real HTTP servers on this machine, each with its timer.

Written from the makers' API pages alone. A plug's relay and countdown run by a clock and not by
anybody's questions, so that a host that dies leaves them to themselves.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class PlugServer:
    """One plug with one relay.

    :param clock: what its countdown runs by [s].
    """

    spec = ""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._on = False
        self._falls_at: float | None = None
        self.habit: object = None  # what it does when the mains come back; None: as it should
        self.history: list[bool] = []  # of the relay, each change
        self.asked: list[str] = []
        self.delay_s = 0.0
        self.woken = threading.Event()
        self.is_deaf = False  # takes the connection and answers nothing
        self.answer: tuple[int, bytes] | None = None  # instead of the right one
        self.chunked = False
        self.before = lambda path: None  # called before a request is obeyed
        self.password = ""
        self.algorithm = "SHA-256"
        self.refused = 0  # requests without the right password
        self._nonces: dict[str, set[str]] = {}  # and the counts that came with each
        self.forgets = False  # each nonce is good for one question only
        plug = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                plug.asked.append(self.path)
                if plug.is_deaf:
                    plug.woken.wait(10.0)
                    self.close_connection = True
                    return
                time.sleep(plug.delay_s)
                plug.before(self.path)
                said = self.headers.get("Authorization", "")
                if plug.password and not plug.lets_in(said, self.path):
                    plug.refused += 1
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", plug.challenge())
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                status, body = plug.answer or plug.reply(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if plug.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (
                        *(5, body[:5]),
                        *(len(body) - 5, body[5:]),
                    )
                else:
                    self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(ConnectionError):  # who asked may have gone
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> PlugServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.woken.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def challenge(self) -> str:
        return 'Basic realm="plug"'

    def lets_in(self, said: str, path: str) -> bool:
        scheme, _, rest = said.partition(" ")
        right = f"admin:{self.password}".encode()
        return scheme == "Basic" and base64.b64decode(rest) == right

    @property
    def address(self) -> str:
        """As a machine's data names it."""
        return f"{self.spec}:127.0.0.1:{self.port}"

    @property
    def is_on(self) -> bool:
        """Return whether the relay is closed at this moment."""
        with self._lock:
            self._pass()
            return self._on

    def press(self, *, on: bool) -> None:
        """Somebody presses its button; settings that begin a countdown hold for that, too."""
        with self._lock:
            self._pass()
            self._set(on, self._own_timer())

    def reply(self, path: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        with self._lock:
            self._pass()
            values = self._answered(parts.path, asked)
        if values is None:
            return 404, b"Not Found"
        return 200, json.dumps(values).encode()

    def _answered(self, path: str, asked: dict[str, str]) -> dict[str, object] | None:
        raise NotImplementedError

    def _own_timer(self) -> float:
        return 0.0

    def _pass(self) -> None:
        if self._falls_at is not None and self._clock() >= self._falls_at:
            self._set(False, 0.0)

    def _count_down(self, seconds: float) -> None:
        self._falls_at = self._clock() + seconds if seconds else None

    def _set(self, on: bool, seconds: float) -> None:
        if on != self._on:
            self.history.append(on)
        self._on = on
        self._count_down(seconds if on else 0.0)


class ShellyGen1(PlugServer):
    """/relay/0 with `turn` and `timer`; /settings/relay/0."""

    spec = "shelly-gen1"

    def _answered(self, path: str, asked: dict[str, str]) -> dict[str, object] | None:
        if path == "/settings/relay/0":
            return {
                "name": None,
                "ison": self._on,
                "default_state": self.habit or "off",
                "btn_type": "toggle",
                "auto_on": 0,
                "auto_off": 0,
            }
        if path != "/relay/0":
            return None
        if "turn" in asked:
            self._set(asked["turn"] == "on", float(asked.get("timer", 0)))
        return {
            "ison": self._on,
            "has_timer": self._falls_at is not None,
            "timer_started": 0,
            "timer_duration": 0,
            "timer_remaining": 0,
            "overpower": False,
            "source": "http",
        }


class ShellyGen2(PlugServer):
    """/rpc/Switch.Set with `on` and `toggle_after`, Switch.GetStatus, Switch.GetConfig."""

    spec = "shelly-gen2"

    def challenge(self) -> str:
        nonce = f"{len(self._nonces):x}60dc59c6"
        self._nonces[nonce] = set()
        kind = f"algorithm={self.algorithm}"
        return f'Digest qop="auth", realm="shellyplus1-a8", nonce="{nonce}", {kind}'

    def lets_in(self, said: str, path: str) -> bool:
        """RFC 7616, section 3.4: each count of a nonce is good once."""
        scheme, _, rest = said.partition(" ")
        told = dict(re.findall(r'(\w+)="?([^",]*)"?', rest))
        if scheme != "Digest" or told.get("nonce") not in self._nonces or told["uri"] != path:
            return False
        hashed = hashlib.sha256 if self.algorithm == "SHA-256" else hashlib.md5
        whose = hashed(f"admin:{told['realm']}:{self.password}".encode()).hexdigest()
        what = hashed(f"GET:{path}".encode()).hexdigest()
        middle = f"{told['nonce']}:{told['nc']}:{told['cnonce']}:{told['qop']}"
        right = hashed(f"{whose}:{middle}:{what}".encode()).hexdigest()
        seen = self._nonces[told["nonce"]]
        is_new = told["nc"] not in seen
        seen.add(told["nc"])
        if self.forgets:
            del self._nonces[told["nonce"]]
        return is_new and told["response"] == right

    def _answered(self, path: str, asked: dict[str, str]) -> dict[str, object] | None:
        if asked.get("id") != "0":
            return None
        match path:
            case "/rpc/Switch.GetConfig":
                state = self.habit or "off"
                return {"id": 0, "initial_state": state, "auto_on": False, "auto_off": False}
            case "/rpc/Switch.GetStatus":
                return {"id": 0, "source": "HTTP_in", "output": self._on, "apower": 0.0}
            case "/rpc/Switch.Set":
                was = self._on
                self._set(asked["on"] == "true", float(asked.get("toggle_after", 0)))
                return {"was_on": was}
        return None


class Tasmota(PlugServer):
    """/cm with `Power1`, `PulseTime1` and `PowerOnState`."""

    spec = "tasmota"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pulse = 0
        super().__init__(clock)

    def _own_timer(self) -> float:
        return self._pulse / 10 if self._pulse < 112 else float(self._pulse - 100)

    def _answered(self, path: str, asked: dict[str, str]) -> dict[str, object] | None:
        if path != "/cm":
            return None
        word, _, value = asked["cmnd"].partition(" ")
        match word:
            case "PowerOnState":
                return {"PowerOnState": 0 if self.habit is None else self.habit}
            case "PulseTime1":
                self._pulse = int(value)
                self._count_down(self._own_timer())
                return {"PulseTime1": {"Set": self._pulse, "Remaining": self._pulse}}
            case "Power1":
                if value:
                    self._set(value == "ON", self._own_timer())
                return {"POWER": "ON" if self._on else "OFF"}
        return {"Command": "Unknown"}


MAKERS = {"shelly-gen1": ShellyGen1, "shelly-gen2": ShellyGen2, "tasmota": Tasmota}
