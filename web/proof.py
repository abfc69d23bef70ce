"""Who is at the keyboard is asked again before what proves a person's identity may change.

A sign-in is *proved* for ten minutes after the password, a passkey or an OpenID provider's word,
and for half an hour after a one-time link. Later, a form that needs it is shown again with one more
field; what was filled in comes along, except secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.services.signing_in import came_by_link, is_proved
from web.auth import ApiVisitorDep, CheckedFormDep, Form, Visitor, VisitorDep, cookie_for
from web.context import Web, WebDep

PROOF = "proof"  # the field
_SECRETS = frozenset({"password", "old", "pin", "code", PROOF})


class ProofNeededError(Exception):
    """The person has to prove who they are before this is done.

    :param fields: of the form, to be sent again.
    :param error: what was wrong with the proof that was given.
    """

    def __init__(
        self, fields: Mapping[str, str] | None = None, error: InvalidError | None = None
    ) -> None:
        self.fields = fields or {}
        self.error = error
        super().__init__("proof-needed")


def is_fresh(web: Web, visitor: Visitor) -> bool:
    """Return whether this visitor need not prove again who they are."""
    view = visitor.sign_in
    return view is not None and (is_proved(view, web.clock()) or came_by_link(view, web.clock()))


def needs_proof(web: Web, visitor: Visitor) -> None:
    """Refuse who has not lately proved who they are; a program's key never has.

    :raises NotAllowedError: `key-not-enough`.
    :raises ProofNeededError: so that the person is asked.
    """
    if visitor.sign_in is None:
        raise NotAllowedError("key-not-enough")
    if not is_fresh(web, visitor):
        raise ProofNeededError


def prove(request: Request, web: Web, visitor: Visitor, password: str) -> None:
    """Take a password as proof; the sign-in goes on under another token.

    :raises InvalidError: `sign-in.wrong` or `sign-in.too-many`.
    """
    if visitor.sign_in is None:
        raise NotAllowedError("key-not-enough")
    web.services.people.prove(visitor.sign_in.person.login, password, web.clock())
    renew(request, web, visitor)


def renew(request: Request, web: Web, visitor: Visitor) -> None:
    """Note that a person has proved who they are, and give their browser a new token."""
    visitor.token = web.services.people.renew_sign_in(visitor.token, web.clock())
    request.state.new_cookie = cookie_for(web, visitor.token)


def prove_by_form(request: Request, web: Web, visitor: Visitor, form: Form) -> None:
    """Go on for a person who has lately proved, or proves with this form, who they are.

    :raises ProofNeededError: so that the person is asked, and the form sent once more.
    """
    if visitor.sign_in is None or is_fresh(web, visitor):
        needs_proof(web, visitor)
        return
    given = form.secret(PROOF)
    fields = {key: text for key, text in form.texts().items() if key not in _SECRETS}
    if not given:
        raise ProofNeededError(fields)
    try:
        prove(request, web, visitor, given)
    except InvalidError as error:
        raise ProofNeededError(fields, error) from error


def proved_form(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Form:
    """Return a form of a person who has lately proved, or proves with it, who they are."""
    prove_by_form(request, web, visitor, form)
    return form


ProvedFormDep = Annotated[Form, Depends(proved_form)]


def proved_visitor(web: WebDep, visitor: ApiVisitorDep) -> Visitor:
    """Return who asks, if they have lately proved who they are."""
    needs_proof(web, visitor)
    return visitor


ProvedVisitorDep = Annotated[Visitor, Depends(proved_visitor)]
