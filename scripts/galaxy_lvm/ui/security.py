"""Who may use the page: hosts, tokens, sessions, cross-site requests, and what a browser may do."""

import hashlib
import hmac
import logging
import os
import secrets
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, abort, redirect, request, session, url_for

from galaxy_lvm.core.errors import ConfigError

log = logging.getLogger("galaxy_lvm.ui")

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_UPLOAD_BYTES = 20 * 2**20
TRIES, TRIES_SECONDS = 10, 60.0
_SAFE = ("GET", "HEAD", "OPTIONS")
_MINIMAL_TOKEN = 12
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: the form of the login would then come from nowhere and be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Pages that those see who have not come in yet.
_OPEN_TO_ALL = ("login", "static")


@dataclass(frozen=True)
class Access:
    """Where the page is served, and the secrets of its sessions.

    Attributes
    ----------
    host, port
        Address.
    token
        What one has to know to come in.
    key
        Signs the cookies.
    names
        Further names of this machine that a browser may ask for.
    """

    host: str
    port: int
    token: str
    key: bytes
    names: tuple[str, ...] = ()
    cookie: str = field(init=False, default="")

    def __post_init__(self) -> None:
        # Cookies do not know ports: two pages on one machine must not sign each other out.
        object.__setattr__(self, "cookie", f"galaxy_lvm_{self.port}")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK

    def hosts(self) -> set[str]:
        """Return the names and addresses, without port, that a request may be for."""
        if self.is_local:
            return {*LOOPBACK, *self.names}
        own = {self.host, socket.gethostname(), socket.getfqdn(), *self.names}
        if self.host in ("0.0.0.0", "::"):
            own |= {*LOOPBACK, *_addresses()}
        return {name.lower() for name in own}


def _addresses() -> set[str]:
    try:
        return {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError as error:
        log.warning("the addresses of this machine are not known (%s); use --allow-host", error)
        return set()


def refuse_open_door(host: str, token: str | None) -> None:
    """Refuse to let others in without a token, or with one that is guessed soon.

    Raises
    ------
    ConfigError
        Saying which option gives one.
    """
    if token is None and host not in LOOPBACK:
        raise ConfigError(
            f"--host {host} lets others in: give them a secret of at least {_MINIMAL_TOKEN} "
            "characters, --token-file FILE (or --token, which others may see in the list of "
            "processes)"
        )
    if token is not None and len(token) < _MINIMAL_TOKEN:
        raise ConfigError(f"the token is too short; give it at least {_MINIMAL_TOKEN} characters")


def access_of(
    host: str, port: int, token: str | None, keys: Path, names: tuple[str, ...] = ()
) -> Access:
    """Return who may use the page.

    Parameters
    ----------
    host, port
        Address.
    token
        Chosen by who starts it; needed for others than this machine. None makes one.
    keys
        File that keeps the key of the cookies, so that a server that is started again knows the
        open pages; made where it does not exist, for its owner alone.
    names
        Further names of this machine.

    Raises
    ------
    ConfigError
        If others can reach the page and there is no token, or it is too short.
    """
    refuse_open_door(host, token)
    secret = _kept_key(keys)
    token = token or _derived(secret, "token").hex()[:32]
    return Access(host, port, token, _derived(secret, "cookies", token), names)


def _derived(secret: bytes, *what: str) -> bytes:
    return hmac.new(secret, "\0".join(what).encode(), hashlib.sha256).digest()


def _kept_key(path: Path) -> bytes:
    """Return the key of a file, made for its owner alone where there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        log.debug("the key of the last start is used")
    except OSError as error:
        log.warning("%s: cannot be kept (%s): open pages sign in again", path, error.strerror)
        return secrets.token_bytes(32)
    return path.read_bytes().strip()


class Tries:
    """Count wrong tokens of every address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._wrong: dict[str, deque[float]] = defaultdict(deque)

    def wait_s(self, address: str) -> float:
        """Return how long an address has to wait, 0 if it may try."""
        with self._lock:
            times, now = self._wrong[address], self._clock()
            while times and now - times[0] > TRIES_SECONDS:
                times.popleft()
            return TRIES_SECONDS - (now - times[0]) if len(times) >= TRIES else 0.0

    def failed(self, address: str) -> None:
        """Count one."""
        with self._lock:
            self._wrong[address].append(self._clock())


def guard(app: Flask, access: Access) -> None:
    """Refuse what does not come from the page itself, and say what a browser may do with it."""
    app.secret_key = access.key
    app.config.update(
        SESSION_COOKIE_NAME=access.cookie,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=MOST_UPLOAD_BYTES,
        MAX_FORM_MEMORY_SIZE=2**20,
    )
    hosts = access.hosts()

    @app.before_request
    def check() -> Response | None:
        if _name_of(request.host) not in hosts:
            abort(421, f"this page does not answer to {request.host!r}; start it with --allow-host")
        if request.method not in _SAFE:
            _refuse_other_sites()
        if request.endpoint in _OPEN_TO_ALL or request.endpoint is None:
            return None
        if "annotator" not in session:
            if request.path.startswith("/api/"):
                abort(401, "you are not signed in, or the token changed; sign in again")
            return redirect(url_for("login"))
        if request.method not in _SAFE and not _has_csrf():
            abort(403, "the page is of another session; load it again")
        return None

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _name_of(host: str) -> str:
    """Return the name in a Host header, without port; "" where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _refuse_other_sites() -> None:
    """Refuse a request that another web site made the browser send."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        abort(403, "the request comes from another web site")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403, "the request comes from another web site")


def csrf_token() -> str:
    """Return the secret of the browser's session that its requests must bear."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return session["csrf"]


def _has_csrf() -> bool:
    given = request.headers.get("X-CSRF-Token", "")
    return hmac.compare_digest(given.encode(), session.get("csrf", "\0").encode())


def is_token(access: Access, given: str) -> bool:
    """Whether it is the token; takes as long for a wrong one."""
    return hmac.compare_digest(given.encode(), access.token.encode())
