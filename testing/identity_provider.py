"""An identity provider of the tests: it signs tokens, and serves its JWKS over HTTP in all the ways that go wrong."""

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
LEFT_OUT = object()


class Provider:
    """At ``url`` it answers as ``answer`` says, and counts in ``requests`` the paths that it was asked for."""

    def __init__(self):
        self.keys = {"first": Ed25519PrivateKey.generate()}
        self.more = []
        self.answer = self.jwks
        self.requests = []
        self.ended = Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/jwks"

    def handler(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.requests.append(self.path)
                with suppress(OSError):  # the client has gone
                    provider.answer(self)

            def log_message(self, *_):
                pass

        return Handler

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    # What it may answer.

    def jwks(self, handler):
        self.send(handler, json.dumps({"keys": [*map(self.jwk, self.keys), *self.more]}).encode())

    def send(self, handler, body, status=200, **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def sending(self, body, status=200, **headers):
        return lambda handler: self.send(handler, body, status, **headers)

    def hang(self, handler):
        """Accept, and never say a word."""
        self.ended.wait()

    def drip(self, handler):
        """A header that comes a byte at a time, so that no single read ever takes long."""
        while not self.ended.wait(0.01):
            handler.wfile.write(b"H")

    def drip_body(self, handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
        while not self.ended.wait(0.01):
            handler.wfile.write(b" ")

    # Keys and tokens.

    def jwk(self, kid):
        return {**jwt.get_algorithm_by_name("EdDSA").to_jwk(self.keys[kid].public_key(), as_dict=True), "kid": kid}

    def rotate(self, kid):
        """From now on that is the one key."""
        self.keys = {kid: Ed25519PrivateKey.generate()}

    def token(self, sub="alice", *, header=None, key=None, **claims):
        """A sound token, but for what is given; ``LEFT_OUT`` leaves a claim or a part of the header out."""
        kid = next(iter(self.keys))
        now = int(time.time())
        sound = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": now, "exp": now + 900}
        return self.signed(
            _dumped({"alg": "EdDSA", "kid": kid, **(header or {})}), _dumped({**sound, **claims}), key or self.keys[kid]
        )

    def signed(self, header, payload, key=None):
        """A token of any bytes; ``key`` signs with a method ``sign``."""
        key = key or next(iter(self.keys.values()))
        signed = base64url_encode(header) + b"." + base64url_encode(payload)
        return (signed + b"." + base64url_encode(key.sign(signed))).decode()


def _dumped(members):
    return json.dumps({name: value for name, value in members.items() if value is not LEFT_OUT}).encode()


def eventually(holds):
    """Waits until that is so."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
