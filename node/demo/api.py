"""The demo's operator: a seeded, simulated person who acts through the HTTP API like any other."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from jobs.domain.errors import JobsError
from node.cli.calling import Caller, RefusedByNodeError

Json = dict[str, Any]
LOGIN: Final = "simulated"
_DIGITS: Final = re.compile(r'id="digits"[^>]*>\s*([0-9 ]+)<')


class DemoError(JobsError):
    """The demo cannot go on."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What lets people in.

    :param operator: API key of the simulated operator.
    :param password: of theirs, for what only a person may do.
    :param admin_link: token of the one-time link for the person who watches.
    :param displays: code by which each machine's simulated display is paired, by slug.
    :param spare: the same for a display that whoever watches may open.
    """

    operator: str
    password: str
    admin_link: str
    displays: dict[str, str]
    spare: dict[str, str]


class Operator(Caller):
    """One person's way through the API.

    :param address: of the node, such as `http://127.0.0.1:8080`.
    :param keys: what lets the simulated operator in.
    """

    def __init__(self, address: str, keys: Keys) -> None:
        super().__init__(address, keys.operator, timeout_s=30.0)
        self._keys = keys
        self._displays: dict[str, httpx.Client] = {}

    def close(self) -> None:
        """Hang up."""
        for display in self._displays.values():
            display.close()
        super().close()

    def stand_at(self, slug: str) -> None:
        """Read the code from the machine's display, as that shows it, and type it.

        :raises DemoError: if it is refused.
        """
        if "authorization" in self._http.headers:
            self.sign_in(LOGIN, self._keys.password)
        path = f"/machines/{slug}/presence"
        asked = self.get(path)
        if asked["here_until"] is None and asked["asked"]:
            self.post(path, {"code": self.code_at(slug)})

    def code_at(self, slug: str) -> str:
        """Return the number on the machine's display."""
        display = self._displays.get(slug)
        if display is None:
            display = httpx.Client(base_url=self.address, timeout=30.0, trust_env=False)
            display.post("/display/pair", data={"code": self._keys.displays[slug]})
            self._displays[slug] = display
        shown = _DIGITS.search(display.get("/display").text)
        if shown is None:
            raise DemoError("demo.no-code", machine=slug)
        return shown[1]

    def upload(self, name: str, data: bytes, fields: dict[str, str]) -> Json:
        """Queue a file."""
        answer = self._asked("POST", "/jobs", files={"file": (name, data)}, data=fields)
        assert isinstance(answer, dict)
        return answer

    def wait(
        self, path: str, is_so: Callable[[Any], bool], timeout_s: float, each_s: float = 0.3
    ) -> Any:
        """Look at *path* until *is_so*.

        :raises DemoError: if it never is.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if is_so(found := self.get(path)):
                return found
            time.sleep(each_s)
        raise DemoError("demo.not-in-time", path=path)

    def _asked(self, method: str, path: str, **how: Any) -> Any:
        """Ask; a "no" ends the demo with the node's own sentence.

        :raises DemoError: with it.
        """
        try:
            return super()._asked(method, path, **how)
        except RefusedByNodeError as error:
            detail = "; ".join((str(error.fields["detail"]), *error.reasons))
            raise DemoError("demo.refused", path=path, detail=detail) from error
