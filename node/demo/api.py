"""The demo's operator: a seeded, simulated person who acts through the HTTP API like any other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jobs.domain.errors import JobsError
from node.cli.calling import Caller, RefusedByNodeError

Json = dict[str, Any]


class DemoError(JobsError):
    """The demo cannot go on."""


class Operator(Caller):
    """One person's way through the API.

    :param address: of the node, such as `http://127.0.0.1:8080`.
    :param key: API key of the simulated operator.
    """

    def __init__(self, address: str, key: str) -> None:
        super().__init__(address, key, timeout_s=30.0)

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
