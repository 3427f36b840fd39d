"""A project that signs tokens and publishes its keys, on a port of this machine."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SECRET: Final = "a secret of more than thirty-two bytes"
ISSUER: Final = "https://project.supabase.co/auth/v1"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Key:
    """A key pair with an id."""

    def __init__(self, kid: str, algorithm: str) -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: PrivateKey = (
            rsa.generate_private_key(65537, 2048)
            if algorithm == "RS256"
            else ec.generate_private_key(ec.SECP256R1())
        )

    def published(self) -> dict[str, Any]:
        if isinstance(self.private, rsa.RSAPrivateKey):
            found = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            found = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**found, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, **changed: Any) -> str:
        return jwt.encode(
            claims(**changed), self.private, self.algorithm, headers={"kid": self.kid}
        )


def claims(**changed: Any) -> dict[str, Any]:
    """What a user's token says; a claim that is changed to ``...`` is left out."""
    found = {
        "sub": "ann",
        "role": "authenticated",
        "aud": "authenticated",
        "iss": ISSUER,
        "exp": int(time.time()) + 600,
        **changed,
    }
    return {name: value for name, value in found.items() if value is not ...}


def signed(secret: str = SECRET, **changed: Any) -> str:
    return jwt.encode(claims(**changed), secret, "HS256")


def put_together(header: Any, payload: Any, signature: bytes = b"x") -> str:
    """A token with any header and payload, JSON values or bytes."""
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in (*parts, signature))


class KeyServer:
    """Publishes `keys`, and counts how often it is asked; None answers nothing but errors."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] | None = []
        self.asked = 0
        self.reached, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.reached.set()
                outer.gate.wait(10)
                status = 200 if outer.keys is not None else 500
                body = json.dumps({"keys": outer.keys}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
