"""A person's way to the running node from a terminal: its HTTP API, with a key of their own.

What is asked for there is asked for by that person, with their rights and no others.
"""

from __future__ import annotations

import os
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from jobs.domain.errors import InvalidError, JobsError, UnavailableError
from node.config import read_config
from node.home import find_home

KEY = "FABNODE_KEY"  # no argument: those are seen by everybody on the computer
_TOKEN = "x-csrf-token"
_PATIENCE_S = 300.0  # a plan of a long program takes its time


class RefusedByNodeError(JobsError):
    """The node's own "no", in its own sentence.

    :param reasons: every reason that it gave, as sentences.
    """

    def __init__(self, status: int, detail: str, reasons: tuple[str, ...] = ()) -> None:
        self.status = status
        self.reasons = reasons
        super().__init__("call.refused", detail=detail)


class Caller:
    """One person's way through the API.

    :param address: of the node, such as `http://127.0.0.1:8080`.
    :param key: API key of that person.
    """

    def __init__(self, address: str, key: str, timeout_s: float = _PATIENCE_S) -> None:
        self.address = address
        self._http = httpx.Client(
            base_url=f"{address}/api/v1",
            headers={"authorization": f"Bearer {key}"},
            timeout=timeout_s,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, and leave no sign-in behind."""
        if token := self._http.headers.get(_TOKEN):
            with suppress(httpx.HTTPError):
                self._http.post(f"{self.address}/sign-out", data={"csrf": token})
        self._http.close()

    def sign_in(self, login: str, password: str) -> None:
        """Go on as a person who is here, and no longer as a program: a key is at no machine.

        :raises InvalidError: `call.not-signed-in`.
        """
        self._send("/sign-in", {"login": login, "password": password})
        self._http.headers.pop("authorization", None)
        try:
            self._http.headers[_TOKEN] = str(self.get("/people/me")["csrf"])
        except RefusedByNodeError as error:
            raise InvalidError("call.not-signed-in") from error

    def _send(self, path: str, fields: dict[str, str]) -> str:
        """Send a form as a page does, and return what comes back."""
        try:
            answer = self._http.post(f"{self.address}{path}", data=fields)
        except httpx.HTTPError as error:
            raise UnavailableError("call.unreachable", address=self.address) from error
        return answer.text

    def get(self, path: str, **query: str) -> Any:
        """Return what is there; *query* goes behind one that the path may have.

        :raises RefusedByNodeError: if the node says no.
        :raises UnavailableError: if it cannot be reached.
        """
        # Given any parameters, even none, httpx drops those that the path has.
        address = str(httpx.URL(path).copy_merge_params(query)) if query else path
        return self._asked("GET", address)

    def post(self, path: str, body: dict[str, object] | None = None) -> Any:
        """Ask for something; raises as `get`."""
        return self._asked("POST", path, json=body)

    def _asked(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self._http.request(method, path, **how)
            if answer.status_code < 400:
                return answer.json() if answer.content else None
            said = answer.json()
            reasons = tuple(str(one["detail"]) for one in said.get("reasons", ()))
            raise RefusedByNodeError(answer.status_code, str(said["detail"]), reasons)
        except httpx.HTTPError as error:
            raise UnavailableError("call.unreachable", address=self.address) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnavailableError("call.no-node", address=self.address) from error


def caller_of(address: str | None) -> Caller:
    """Return the way to the node: the one at *address*, else the one of this computer.

    :raises InvalidError: without a key.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise InvalidError("call.no-key", name=KEY)
    if not key.isascii() or not key.isprintable():
        raise InvalidError("call.bad-key", name=KEY)
    if address is None:
        config = read_config(find_home())
        scheme = "https" if config.tls_cert else "http"
        address = f"{scheme}://127.0.0.1:{config.listens_at[1]}"
    if not address.startswith(("http://", "https://")):
        raise InvalidError("call.bad-address", name=address)
    return Caller(address.rstrip("/"), key)
