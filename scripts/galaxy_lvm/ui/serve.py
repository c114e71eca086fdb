"""Start the page: a server for production, its address, and a browser where there is one."""

import errno
import logging
import os
import socket
import webbrowser
from collections.abc import Callable

from flask import Flask
from threadpoolctl import threadpool_limits
from waitress.server import TcpWSGIServer, create_server

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.ui.app import create_app
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.names import owner_name
from galaxy_lvm.ui.security import MOST_UPLOAD_BYTES, Access

log = logging.getLogger("galaxy_lvm.ui")

_THREADS = 8


def address_of(access: Access) -> str:
    """Return the address to open, which brings one in."""
    host = f"[{access.host}]" if ":" in access.host else access.host
    if access.host in ("0.0.0.0", "::"):
        host = socket.getfqdn()
    token = f"login?token={access.token}" if access.is_local else ""
    return f"http://{host}:{access.port}/{token}"


def refuse_used_port(access: Access) -> None:
    """Refuse a port on which something answers already.

    Raises
    ------
    ConfigError
        Saying which port could be taken instead.
    """
    family = socket.AF_INET6 if ":" in access.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((access.host, access.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"port {access.port} is in use, perhaps by a page that was started before: "
                    f"open that one, or start this one with --port {access.port + 1}"
                ) from error
            raise ConfigError(
                f"{access.host}:{access.port} cannot be served from "
                f"({error.strerror}); choose another --host or --port"
            ) from error


def serve(
    labelling: Labelling,
    access: Access,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    labelling
        What the page shows; it is started and closed here.
    access
        Address and who may use it.
    open_browser
        Where there is a display.
    say
        Prints a line.

    Raises
    ------
    ConfigError
        If the port is in use.
    """
    refuse_used_port(access)
    # Arithmetic of requests is small; the ranker has a process and threads of its own.
    with threadpool_limits(1):
        app = create_app(labelling, access, owner_name() if access.is_local else "")
        server = server_of(app, access)
        labelling.start()
        address = address_of(access)
        say(f"Label {labelling.place.name!r} among {len(labelling.pool)} galaxies: {address}")
        say(f"Labels are kept in {labelling.store.path}; stop with Ctrl+C, nothing is lost.")
        if open_browser and _has_display():
            webbrowser.open(address)
        try:
            server.run()
        except KeyboardInterrupt:
            say("stopped; the same command goes on where you were")
        finally:
            server.close()
            labelling.close()


def server_of(app: Flask, access: Access) -> TcpWSGIServer:
    """Return the server of a page, not started; on a free port where the access says 0."""
    # A request that waits a moment for a thread is no fault, and a page asks for many images.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return create_server(
        app, host=access.host, port=access.port, threads=_THREADS, ident=None,
        max_request_body_size=2 * MOST_UPLOAD_BYTES, clear_untrusted_proxy_headers=True,
    )  # fmt: skip


def _has_display() -> bool:
    return os.name == "nt" or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
