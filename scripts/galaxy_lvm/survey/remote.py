"""Polite requests to a public service: few at a time, at a limited rate, again after failures."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError

# Client errors that say what state the service is in, whatever the position: no access, a proxy
# in between, a request too slow, too early or one too many. Asked again, they may pass.
_PASSING = {401, 403, 407, 408, 425, 429}


class RefusedError(DataError):
    """The service refuses a request, or has nothing usable; the message says why."""


class ServiceError(DataError):
    """The service gave no answer, whatever the position."""


class UnreachableError(ServiceError):
    """No connection to the service."""


class Pace:
    """Spread the requests of all workers over time.

    Parameters
    ----------
    per_second
        Largest rate, above 0.
    """

    def __init__(self, per_second: float) -> None:
        self.stopped = threading.Event()
        self._interval_s = 1.0 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until all is stopped."""
        self.stopped.wait(seconds)

    def wait(self) -> None:
        """Return when the next request may be sent.

        Raises
        ------
        ServiceError
            If all is stopped.
        """
        while not self.stopped.is_set():
            with self._lock:
                now = time.monotonic()
                if self._next <= now:
                    self._next = now + self._interval_s
                    return
                left = self._next - now
            self.sleep(left)
        raise ServiceError("the download was stopped")

    def pause(self, seconds: float) -> None:
        """Hold the requests of all workers back for a while."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


def check_is_data(content: bytes) -> None:
    """Refuse a body that is empty, or a web page (a login, a notice) in place of data.

    Raises
    ------
    ServiceError
        It says nothing about the position, so it may be asked for again.
    """
    start = content[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise ServiceError("the service sent an empty answer")
    if start.startswith(b"<"):
        text = " ".join(start.decode("utf-8", "replace").split())[:120]
        raise ServiceError(f"the service sent a web page in place of data: {text!r}")


def fetch(
    client: httpx.Client,
    url: str,
    settings: Service,
    pace: Pace,
    params: dict[str, object] | None = None,
    check: Callable[[bytes], object] = check_is_data,
) -> bytes:
    """Return the body of an answer; ask again after failures that may pass.

    Parameters
    ----------
    client
        HTTP client.
    url, params
        Address and query.
    settings
        Tries and pauses.
    pace
        Rate limit that all requests share.
    check
        Raises `ServiceError` for a body that arrived damaged or is no data at all; then it is
        fetched again.

    Raises
    ------
    RefusedError
        If the service refuses the request itself: HTTP 4xx other than those that tell of the
        service's state (401, 403, 407, 408, 425, 429).
    UnreachableError
        If there is no connection.
    ServiceError
        If no try brought a good answer.
    """
    wait_s, problem = settings.first_wait_s, ""
    for attempt in range(settings.n_tries):
        if attempt:
            pace.sleep(min(wait_s, settings.max_wait_s))
            wait_s *= 2
        pace.wait()
        unreachable = False
        try:
            response = client.get(url, params=params)
        except httpx.RequestError as error:  # also an answer cut short or sent in a circle
            unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            problem = f"{type(error).__name__}: {error}"
            continue
        problem = _problem(response, settings, pace) or _damage(response.content, check)
        if not problem:
            return response.content
    if unreachable:
        raise UnreachableError(f"no connection to {url} ({problem})")
    raise ServiceError(f"could not be fetched in {settings.n_tries} tries ({problem})")


def _damage(content: bytes, check: Callable[[bytes], object]) -> str:
    try:
        check(content)
    except ServiceError as error:
        return str(error)
    return ""


def _problem(response: httpx.Response, settings: Service, pace: Pace) -> str:
    """Return what is wrong with an answer and may pass, "" where nothing is."""
    status = response.status_code
    if status == httpx.codes.OK:
        return ""
    text = " ".join(response.text.split())[:120]
    answer = f"HTTP {status}{': ' + text if text else ''}"
    if 400 <= status < 500 and status not in _PASSING:
        raise RefusedError(
            f"refused by the service ({answer}); the position may lie outside the survey's "
            "footprint, or the layer's name may be wrong"
        )
    seconds = _retry_after_s(response.headers.get("Retry-After", ""))
    if seconds is not None:
        if seconds > settings.max_wait_s:
            raise ServiceError(
                f"the service asks for a pause of {seconds:.0f} s, longer than max_wait_s = "
                f"{settings.max_wait_s:g}; start again later"
            )
        pace.pause(seconds)
    return answer


def _retry_after_s(value: str) -> float | None:
    """Return the pause that a Retry-After header asks for: seconds or a date (RFC 9110, 10.2.3)."""
    if value.strip().isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
