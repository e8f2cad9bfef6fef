"""An identity provider for tests, which signs tokens and serves its JWKS over HTTP, correctly or not."""

import json
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.utils import base64url_encode

ISSUER = "https://auth.example.org"
AUDIENCE = "https://todo.example.org"

#: The value of a claim or header member that a token omits.
LEFT_OUT = "left out"


class Provider:
    """A running HTTP server that publishes its keys at ``url``.

    Attributes:
        keys: private keys by ``kid``. The first one signs.
        more_keys: further JWKs to publish.
        answer: the method that answers each request.
        requests: the paths of all requests so far.
        ended: ends the answers that hang or drip.
    """

    def __init__(self):
        self.keys = {"first": Ed25519PrivateKey.generate()}
        self.more_keys = []
        self.answer = self.send_jwks
        self.requests = []
        self.ended = Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler_class())
        self.server.daemon_threads = True
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/jwks"

    def handler_class(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.requests.append(self.path)
                with suppress(OSError):  # the client may have closed the connection
                    provider.answer(self)

            def log_message(self, *_):
                pass

        return Handler

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    # Answers

    def send_jwks(self, handler):
        self.send(handler, json.dumps({"keys": [*map(self.jwk, self.keys), *self.more_keys]}).encode())

    def send(self, handler, body, status=200, **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def answer_with(self, body, status=200, **headers):
        """Answer every later request with this body, status and these headers."""
        self.answer = lambda handler: self.send(handler, body, status, **headers)

    def hang(self, handler):
        """Accept the request, and send nothing."""
        self.ended.wait()

    def drip(self, handler):
        """Send a header byte by byte, so that no single read takes long."""
        while not self.ended.wait(0.01):
            handler.wfile.write(b"H")

    def drip_body(self, handler):
        """Send a body byte by byte, so that no single read takes long."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
        while not self.ended.wait(0.01):
            handler.wfile.write(b" ")

    # Keys and tokens

    def jwk(self, kid):
        return {**jwt.get_algorithm_by_name("EdDSA").to_jwk(self.keys[kid].public_key(), as_dict=True), "kid": kid}

    def rotate(self, kid):
        """Replace all keys by a new one."""
        self.keys = {kid: Ed25519PrivateKey.generate()}

    def token(self, sub="alice", *, header=None, key=None, **claims):
        """Return a token that is valid except for the given claims and header members."""
        kid = next(iter(self.keys))
        now = int(time.time())
        valid = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": now, "exp": now + 900}
        return self.sign(
            _as_json({"alg": "EdDSA", "kid": kid, **(header or {})}),
            _as_json({**valid, **claims}),
            key or self.keys[kid],
        )

    def sign(self, header, payload, key=None):
        """Return a token with these bytes. ``key`` is an object with a method ``sign``."""
        key = key or next(iter(self.keys.values()))
        signed = base64url_encode(header) + b"." + base64url_encode(payload)
        return (signed + b"." + base64url_encode(key.sign(signed))).decode()


def _as_json(members):
    return json.dumps({name: value for name, value in members.items() if value is not LEFT_OUT}).encode()
