"""A small OpenID provider of its own process: `python provider.py` prints its port.

It speaks what a real one does (discovery, authorization code with PKCE, JWKS, userinfo), and knows
a few ways to lie: `twist` at the authorization address says which. Who signs in is said there, too.

Sources: OpenID Connect Core 1.0, Discovery 1.0; RFC 6749; RFC 7636.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

CLIENT, SECRET = "fabnode", "a secret of the client that is long enough"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
CURVE = ECKey.generate_key("P-256", {"kid": "two", "use": "sig", "alg": "ES256"})
CODES: dict[str, dict[str, str]] = {}
TOKENS: dict[str, str] = {}
GROUPS = {"mia": ["all"], "boss": ["all", "staff"], "stray": ["else"]}


class Provider(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/.well-known/openid-configuration":
                self.say(self.discovery())
            case "/authorize":
                self.authorize(asked)
            case "/jwks":
                self.say({"keys": [KEY.as_dict(private=False), CURVE.as_dict(private=False)]})
            case "/userinfo":
                who = TOKENS.get(self.headers.get("Authorization", "").removeprefix("Bearer "), "")
                self.say({"sub": f"sub-{who}", "groups": GROUPS.get(who, [])})
            case _:
                self.say({"error": "no such page"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        asked = {key: values[0] for key, values in parse_qs(body).items()}
        code = CODES.pop(asked.get("code", ""), None)
        if not self.is_client() or code is None or not self.is_same(code, asked):
            self.say({"error": "invalid_grant"}, 400)
            return
        access = secrets.token_urlsafe(16)
        TOKENS[access] = code["as"]
        self.say(
            {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": 60,
                "id_token": self.id_token(code),
            }
        )

    def discovery(self) -> dict[str, object]:
        here = self.issuer()
        return {
            "issuer": here,
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "jwks_uri": f"{here}/jwks",
            "userinfo_endpoint": f"{here}/userinfo",
        }

    def authorize(self, asked: dict[str, str]) -> None:
        """Send the browser back at once: somebody has signed in."""
        code = secrets.token_urlsafe(16)
        CODES[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.issuer()})
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{back}")
        self.end_headers()

    def is_client(self) -> bool:
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        return unquote_plus(given.decode()) == f"{CLIENT}:{SECRET}"

    @staticmethod
    def is_same(code: dict[str, str], asked: dict[str, str]) -> bool:
        """Check PKCE: only who has begun knows the verifier."""
        import hashlib

        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        is_pkce = code.get("code_challenge_method") == "S256"
        return (
            is_pkce
            and code["code_challenge"] == challenge
            and code["redirect_uri"] == asked.get("redirect_uri")
        )

    def id_token(self, code: dict[str, str]) -> str:
        now, who, twist = int(time.time()), code["as"], code.get("twist", "")
        claims: dict[str, object] = {
            "iss": "https://elsewhere.example" if twist == "issuer" else self.issuer(),
            "sub": f"sub-{code.get('sub') or who}",
            "aud": "somebody-else" if twist == "audience" else CLIENT,
            "exp": now - 3600 if twist == "expired" else now + 300,
            "iat": now - 4000 if twist == "expired" else now,
            "auth_time": now - 7200 if twist == "long-ago" else now,
            "nonce": "x" * 43 if twist == "nonce" else code.get("nonce", ""),
            "name": who.title(),
            "preferred_username": who,
            "email": f"{who}@example.org",
        }
        if twist == "parties":
            claims["aud"], claims["azp"] = [CLIENT, "other"], "other"
        if who != "boss":  # whose groups only the user's page tells
            claims["groups"] = GROUPS.get(who, [])
        match twist:
            case "key":
                return jwt.encode({"alg": "RS256", "kid": "one"}, claims, OTHER)
            case "hmac":  # with what the client shares, as if that were a signature
                return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
            case "none":
                plain = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
                head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
                return f"{head}.{plain}."
            case "curve":
                return jwt.encode({"alg": "ES256", "kid": "two"}, claims, CURVE)
            case _:
                return jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY)

    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def say(self, what: dict[str, object], status: int = 200) -> None:
        data = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until the one who has started it closes the pipe."""
    import threading

    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
