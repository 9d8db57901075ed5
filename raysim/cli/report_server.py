"""A small server for the report of one result folder, on this machine only. It serves files, no numbers."""

from __future__ import annotations

import errno
import json
import mimetypes
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from raysim.cli.report_writer import ReportWriter
from raysim.core.errors import UserError
from raysim.storage.report import write_report

ADDRESS = "127.0.0.1"
HOSTS = {ADDRESS, "localhost"}  # another name in the Host header is a page of another server that was rebound
MAIN_PAGE = "report/index.html"
STATE, SCRIPT = "/-/state", "/-/live.js"
RELOAD = re.compile(rb'<meta http-equiv="refresh"[^>]*>\n?')  # the script does it, and keeps the place
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
WAITING = (
    b'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>raysim report</title></head>'
    b"<body><p>The report is being written. It appears here as soon as it is there.</p></body></html>"
)


class ReportServer:
    """Serves the report of a folder and of the runs in it, and writes it again when tables change.

    Args:
        folder: The result folder.
        port: The port; 0 takes a free one.
        write: Writes the report.
        every: Least number of seconds between two reports.

    Raises:
        UserError: The port cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        write: Callable[[Path], Path] = write_report,
        every: float = 10.0,
    ) -> None:
        self.folder = folder
        self.writer = ReportWriter(folder, write, every)
        handler = type("Handler", (_Handler,), {"home": folder, "writer": self.writer})
        try:
            self.http = _Server((ADDRESS, port), handler)
        except OverflowError:
            raise UserError(f"--port {port}: use a number from 1 to 65535") from None
        except OSError as error:
            reasons = {
                errno.EADDRINUSE: "another program uses it",
                errno.EACCES: "ports below 1024 need more rights",
            }
            why = reasons.get(error.errno or 0, str(error.strerror))
            raise UserError(f"--port {port}: {why}; name another port, or leave --port out") from None

    @property
    def link(self) -> str:
        """The address of the main page."""
        return f"http://{ADDRESS}:{self.http.server_address[1]}/"

    def serve(self) -> None:
        """Serve until `close` is called from another thread, or until Ctrl-C."""
        self.writer.start()
        self.http.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Free the port, and end the thread that writes. It must not be called while `serve` is running."""
        self.http.server_close()
        if self.writer.is_alive():
            self.writer.stop()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a browser that closed its connection; print every other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    home: Path
    writer: ReportWriter
    server_version, sys_version = "raysim", ""
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that an idle connection keeps its thread

    def do_GET(self) -> None:
        """Send a file, the state, or the script."""
        if (self.headers.get("Host") or "").partition(":")[0] not in HOSTS:
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        path, _, query = self.path.partition("?")
        if path == "/":
            self._send(HTTPStatus.FOUND, b"", "text/plain", Location=f"/{MAIN_PAGE}")
        elif path == STATE:
            self._send(HTTPStatus.OK, json.dumps(self._state(file_name(query))).encode(), "application/json")
        elif path == SCRIPT:
            self._send(HTTPStatus.OK, Path(__file__).with_name("live.js").read_bytes(), "text/javascript")
        elif page := page_of_run(self.home, file_name(path)):
            self._send(HTTPStatus.FOUND, b"", "text/plain", Location=page)
        else:
            self._send_file(file_name(path))

    do_HEAD = do_GET

    def _send_file(self, name: str) -> None:
        path = allowed_file(self.home, name)
        version = written(path)
        try:
            contents = None if path is None else path.read_bytes()
        except OSError:  # it was just replaced or removed
            contents = None
        if contents is None and name == MAIN_PAGE:
            contents = WAITING
        if contents is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if version and self.headers.get("If-None-Match") == f'"{version}"':
            self._send(HTTPStatus.NOT_MODIFIED, b"", "", ETag=f'"{version}"')
            return
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind == "text/html":
            contents = with_script(contents)
        self._send(HTTPStatus.OK, contents, kind, ETag=f'"{version}"')

    def _state(self, page: str) -> dict[str, str]:
        """When a page was written, and what went wrong when the report was written last."""
        return {"written": written(allowed_file(self.home, page)), "problem": self.writer.problem}

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status, f"{status.value} {status.phrase}\n".encode(), "text/plain")

    def _send(self, status: HTTPStatus, contents: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        if status != HTTPStatus.NOT_MODIFIED:
            text = kind.startswith("text/") or kind.endswith(("json", "javascript"))
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
            self.send_header("Content-Length", str(len(contents)))
        for name, value in {
            **headers,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": POLICY,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(contents)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing about single requests."""


def allowed_file(home: Path, name: str) -> Path | None:
    """Return the file with this name in a report, or None where there is none that may be served.

    Served are files in `report/` and in `runs/RUN/report/`, also in folders there; no hidden ones, and
    nothing that a link or `..` leads out of the report.

    Args:
        home: The result folder.
        name: A path relative to it, as a browser asks for it, decoded.
    """
    parts = name.split("/")
    depth = 1 if parts[0] == "report" else 3 if parts[0] == "runs" and parts[2:3] == ["report"] else 0
    if not depth or any(not part or part[0] == "." or "\\" in part or "\0" in part for part in parts):
        return None
    report = home.joinpath(*parts[:depth]).resolve()
    path = home.joinpath(*parts).resolve()
    inside = report.is_relative_to(home.resolve()) and path.is_relative_to(report)
    return path if inside and path.is_file() else None


def page_of_run(home: Path, name: str) -> str:
    """Return where the folder of a run leads: to its own report, or to its place on the explore page.

    Args:
        home: The result folder.
        name: A path relative to it; empty is returned unless it is `runs/RUN` or `runs/RUN/`.
    """
    first, _, run = name.rstrip("/").partition("/")
    if (
        first != "runs"
        or run[:1] in ("", ".")
        or "/" in run
        or not (home / "runs" / run / "run.json").is_file()
    ):
        return ""
    own = f"runs/{run}/{MAIN_PAGE}"
    return f"/{quote(own)}" if allowed_file(home, own) else f"/report/explore.html#run={quote(run)}"


def file_name(path: str) -> str:
    """Return the name of a file in an address, decoded once, without the slash at its start."""
    return unquote(path, errors="surrogateescape").removeprefix("/")


def written(path: Path | None) -> str:
    """Return the time of the last change of a file, in ns, as text; empty where there is none."""
    try:
        return "" if path is None else str(path.stat().st_mtime_ns)
    except OSError:
        return ""


def with_script(page: bytes) -> bytes:
    """Return a page that looks for newer files: with the script, and without the tag that reloads it."""
    end = page.rfind(b"</body>")
    if end < 0:
        return page
    tag = f'<script src="{SCRIPT}"></script>\n'.encode()
    return RELOAD.sub(b"", page[:end], count=1) + tag + page[end:]
