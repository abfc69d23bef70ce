"""The demo's operator: a seeded, simulated person who acts through the HTTP API like any other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from jobs.domain.errors import JobsError

Json = dict[str, Any]


class DemoError(JobsError):
    """The demo cannot go on."""


class Operator:
    """One person's way through the API.

    :param address: of the node, such as `http://127.0.0.1:8080`.
    :param key: API key of the simulated operator.
    """

    def __init__(self, address: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{address}/api/v1",
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def get(self, path: str) -> Any:
        """Return what is there.

        :raises DemoError: with the node's own sentence.
        """
        return self._checked(self._http.get(path))

    def post(self, path: str, body: Json | None = None) -> Any:
        """Ask for something.

        :raises DemoError: with the node's own sentence.
        """
        return self._checked(self._http.post(path, json=body))

    def upload(self, name: str, data: bytes, fields: dict[str, str]) -> Json:
        """Queue a file."""
        answer = self._checked(self._http.post("/jobs", files={"file": (name, data)}, data=fields))
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

    @staticmethod
    def _checked(answer: httpx.Response) -> Any:
        if answer.status_code < 400:
            return answer.json() if answer.content else None
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError):
            detail = answer.text[:200]
        raise DemoError("demo.refused", path=answer.request.url.path, detail=detail)
