"""The way to an OpenID provider and back: authorization code with PKCE, state and nonce.

Authlib and joserfc are imported where somebody goes that way: a lab without a provider never does.

Sources: OpenID Connect Core 1.0 section 3.1, Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (iss).
"""

from __future__ import annotations

import json
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from jobs.domain.errors import InvalidError, UnavailableError
from jobs.services.outside import OutsideWord, Provider

_PATIENCE_S: Final = 10.0
_LARGEST: Final = 256 * 1024  # bytes of an answer
_LEEWAY_S: Final = 60  # that the provider's clock may be off
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA")
_MOST_GROUPS: Final = 500
FRESH_S: Final = 120  # how long ago somebody who proves again may have signed in there


@dataclass(frozen=True, slots=True)
class Departure:
    """Where a browser goes, and what must come back with it."""

    address: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who has come back, and when they signed in there [s since 1970], where that was said."""

    word: OutsideWord
    signed_in_at: int | None


def depart(provider: Provider, back: str, *, anew: bool) -> Departure:
    """Return where to send a browser.

    :param back: the address where it comes back.
    :param anew: the provider is to ask again who it is.
    :raises UnavailableError: `outside.away`, if the provider does not answer.
    """
    with _client(provider, back) as client:
        known = _discovered(provider)
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        more = {"prompt": "login", "max_age": "0"} if anew else {}
        address, state = client.create_authorization_url(
            known["authorization_endpoint"],
            state=secrets.token_urlsafe(32),
            code_verifier=verifier,
            nonce=nonce,
            **more,
        )
    return Departure(address, state, nonce, verifier)


def arrive(
    provider: Provider, back: str, code: str, sent: tuple[str, str], now: datetime
) -> Arrival:
    """Return who has come back.

    :param sent: nonce and verifier of the departure.
    :raises UnavailableError: `outside.away`, if the provider does not answer.
    :raises InvalidError: `outside.refused`, if its word does not hold.
    """
    nonce, verifier = sent
    with _client(provider, back) as client:
        known = _discovered(provider)
        try:
            token = client.fetch_token(
                known["token_endpoint"],
                code=code,
                code_verifier=verifier,
                grant_type="authorization_code",
            )
            keys = _get(known["jwks_uri"])
            claims = _checked(provider, str(token["id_token"]), keys, nonce, now)
            if provider.groups_claim not in claims and "userinfo_endpoint" in known:
                headers = {"authorization": f"Bearer {token['access_token']}"}
                more = _get(known["userinfo_endpoint"], headers)
                if more.get("sub") == claims["sub"]:
                    claims = {**more, **claims}
        except Exception as error:
            raise _said(provider, error) from error
    return Arrival(_word(provider, claims), _whole(claims.get("auth_time")))


def _said(provider: Provider, error: Exception) -> InvalidError | UnavailableError:
    import httpx

    if isinstance(error, httpx.HTTPError | UnavailableError):
        return UnavailableError("outside.away", provider=provider.name)
    return InvalidError("outside.refused", provider=provider.name)


def _client(provider: Provider, back: str) -> Any:
    with warnings.catch_warnings():
        # Of a successor of httpx that nothing here has.
        warnings.simplefilter("ignore")
        from authlib.integrations.httpx_client import OAuth2Client

    return OAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret or None,
        token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
        scope="openid profile groups" if provider.roles else "openid profile",
        redirect_uri=back,
        code_challenge_method="S256",
        timeout=_PATIENCE_S,
        trust_env=False,
        follow_redirects=False,
    )


def _discovered(provider: Provider) -> Mapping[str, Any]:
    """Return what the provider says of itself; each address by TLS, or on this computer."""
    import httpx

    try:
        known = _get(f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    except (httpx.HTTPError, ValueError) as error:
        raise UnavailableError("outside.away", provider=provider.name) from error
    wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if known.get("issuer") != provider.issuer or not all(
        _is_safe(known.get(one)) for one in wanted
    ):
        raise InvalidError("outside.refused", provider=provider.name)
    return known


def _get(address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a JSON object, of no more than so many bytes."""
    import httpx

    data = b""
    with (
        httpx.Client(timeout=_PATIENCE_S, trust_env=False, follow_redirects=False) as plain,
        plain.stream("GET", address, headers=dict(headers or {})) as answer,
    ):
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            data += chunk
            if len(data) > _LARGEST:
                raise ValueError("an answer without end")
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the provider's fault, not a caller's
    return found


def _checked(
    provider: Provider, token: str, keys: Mapping[str, Any], nonce: str, now: datetime
) -> dict[str, Any]:
    """Return the claims of an ID token that the provider has signed for us, now, for this visit."""
    from joserfc import jwt
    from joserfc.jwk import KeySet

    decoded = jwt.decode(
        token, KeySet.import_key_set({"keys": list(keys["keys"])}), algorithms=list(_ALGORITHMS)
    )
    claims = dict(decoded.claims)
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    registry.validate(claims)
    for_whom = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if len(for_whom) > 1 and claims.get("azp") != provider.client_id:
        raise ValueError("for somebody else")
    return claims


def _word(provider: Provider, claims: Mapping[str, Any]) -> OutsideWord:
    groups = claims.get(provider.groups_claim)
    named = groups if isinstance(groups, list) else [groups]
    login = claims.get("preferred_username") or claims.get("nickname") or ""
    return OutsideWord(
        subject=str(claims["sub"]),
        name=str(claims.get("name") or login)[:400],
        login=str(login)[:200],
        groups=tuple(one for one in named[:_MOST_GROUPS] if isinstance(one, str)),
    )


def _is_safe(address: object) -> bool:
    if not isinstance(address, str):
        return False
    parts = urlsplit(address)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and is_here)


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
