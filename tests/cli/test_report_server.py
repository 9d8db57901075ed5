"""The served report: pages, what is refused, what is written again, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raysim.cli.main import main
from raysim.cli.report_server import ReportServer, allowed_file, with_script
from raysim.cli.report_writer import fingerprint
from tests.fakes import results as fake_results

Answer = tuple[int, dict[str, str], bytes]


def write_page(folder: Path) -> Path:
    """A page with the state of the folder, in place of the real report."""
    page = folder / "report" / "index.html"
    page.parent.mkdir(exist_ok=True)
    status = json.loads((folder / "run.json").read_text())["status"]
    page.write_text(f'<html><meta http-equiv="refresh" content="60"><body>It is {status}.</body></html>')
    return page


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Served:
    """A server in a thread of this process."""

    def __init__(self, folder: Path, write: Callable[[Path], Path] = write_page) -> None:
        self.folder, self.server = folder, ReportServer(folder, write=write, every=0.0)
        self.server.writer.LOOK = 0.02  # type: ignore[misc]
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http.server_address[1], timeout=10)
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return answer

    def state(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.get("/-/state?/report/index.html")[2])
        return found

    def end(self) -> None:
        self.server.http.shutdown()
        self.thread.join(10)
        self.server.close()
        assert not self.thread.is_alive() and not self.server.writer.is_alive()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a running sweep has on disk, with a part of a table and the report of one run."""
    home = tmp_path / "sweep"
    (home / "tables" / "trials").mkdir(parents=True)
    (home / "runs" / "r1" / "report").mkdir(parents=True)
    (home / "run.json").write_text('{"kind": "sweep", "status": "running"}')
    (home / "tables" / "trials" / "0.parquet").write_bytes(b"part")
    (home / "runs" / "r1" / "report" / "index.html").write_text("<body>run r1</body>")
    (home / "runs" / "r1" / "run.json").write_text("{}")
    (tmp_path / "secret").write_text("secret")
    return home


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    one = Served(folder)
    wait_for(lambda: one.state()["written"] != "")
    yield one
    one.end()


def test_pages_are_served_with_a_script_that_looks_for_newer_ones(served: Served) -> None:
    status, headers, _ = served.get("/")
    assert status == 302 and headers["Location"] == "/report/index.html"
    status, headers, page = served.get("/report/index.html")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"It is running." in page and b'<script src="/-/live.js">' in page and b"refresh" not in page
    assert b"refresh" in (served.folder / "report" / "index.html").read_bytes()  # the file stays as it was
    assert b"raysimUpdate" in served.get("/-/live.js")[2]
    assert b"run r1" in served.get("/runs/r1/report/index.html")[2]
    assert served.get("/report/index.html", "HEAD")[2] == b""
    assert "'unsafe-eval'" not in headers["Content-Security-Policy"]


def test_what_has_not_changed_is_not_sent_again(served: Served) -> None:
    tag = served.get("/report/index.html")[1]["ETag"]
    status, _, page = served.get("/report/index.html", **{"If-None-Match": tag})
    assert status == 304 and page == b""


def test_a_change_of_a_table_writes_the_page_again_also_after_the_end(served: Served) -> None:
    before = served.state()["written"]
    (served.folder / "tables" / "trials" / "1.parquet").write_bytes(b"another part")
    wait_for(lambda: served.state()["written"] != before)
    (served.folder / "run.json").write_text('{"kind": "sweep", "status": "done"}')
    wait_for(lambda: b"It is done." in served.get("/report/index.html")[2])
    last = served.state()["written"]
    time.sleep(0.3)
    assert served.state()["written"] == last  # nothing changed, nothing is written


def test_a_report_that_cannot_be_written_is_said_and_tried_again(served: Served) -> None:
    before = served.get("/report/index.html")[2]
    (served.folder / "run.json").write_text("{")
    wait_for(lambda: "could not be written" in served.state()["problem"])
    assert served.get("/report/index.html")[2] == before
    (served.folder / "run.json").write_text('{"kind": "sweep", "status": "interrupted"}')
    wait_for(lambda: served.state()["problem"] == "")
    assert b"It is interrupted." in served.get("/report/index.html")[2]


@pytest.mark.parametrize(
    "path",
    [
        "/run.json",
        "/tables/trials/0.parquet",
        "/runs/r1/run.json",
        "/report/../run.json",
        "/report/%2e%2e/run.json",
        "/report/..%2frun.json",
        "/report/%2e%2e/%2e%2e/secret",
        "/report/..%5c..%5csecret",
        "/runs/../report/../run.json",
        "/runs/../../secret/report/x",
        "//etc/passwd",
        "/report//etc/passwd",
        "/report/",
        "/report",
        "/report/.hidden",
        "/report/link",
        "/report/index.html%00",
        "/report/%ff",
        "/runs/out/report/secret",
        "/nothing",
        "/-/other",
    ],
)
def test_only_files_of_reports_are_served(path: str, served: Served) -> None:
    (served.folder / "report" / ".hidden").write_text("secret")
    (served.folder / "report" / "link").symlink_to(served.folder.parent / "secret")
    (served.folder / "runs" / "out").mkdir()
    (served.folder / "runs" / "out" / "report").symlink_to(served.folder.parent)
    status, _, body = served.get(path)
    assert status == 404 and b"secret" not in body and b"kind" not in body


def test_the_folder_of_a_run_leads_to_its_page(served: Served) -> None:
    (served.folder / "runs" / "r2").mkdir()
    (served.folder / "runs" / "r2" / "run.json").write_text("{}")
    assert served.get("/runs/r1/")[1]["Location"] == "/runs/r1/report/index.html"
    assert served.get("/runs/r2/")[1]["Location"] == "/report/explore.html#run=r2"
    for path in ("/runs/", "/runs/r3/", "/runs/../", "/runs/%2e%2e", "/runs/r2/x", "/report/r2/"):
        assert served.get(path)[0] == 404


def test_other_methods_are_refused(served: Served) -> None:
    assert served.get("/report/index.html", "POST")[0] == 501
    assert served.get("/report/index.html", "DELETE")[0] == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9", 200),  # a tunnel has another port
        ("127.0.0.1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("", 403),
    ],
)
def test_a_name_that_was_rebound_is_refused(host: str, status: int, served: Served) -> None:
    assert served.get("/report/index.html", Host=host)[0] == status
    assert served.get("/-/state", Host=host)[0] == status


def test_only_this_machine_can_connect(served: Served) -> None:
    assert served.server.http.server_address[0] == "127.0.0.1"


def test_before_the_first_report_the_page_says_so(folder: Path) -> None:
    go = threading.Event()

    def write(home: Path) -> Path:
        go.wait(20)
        return write_page(home)

    one = Served(folder, write)
    try:
        status, _, page = one.get("/report/index.html")
        assert status == 200 and b"is being written" in page and b"live.js" in page
        assert one.state()["written"] == ""
    finally:
        go.set()
        one.end()


def test_a_page_without_an_end_is_left_alone() -> None:
    assert with_script(b"<p>cut") == b"<p>cut"


def test_a_report_behind_a_link_is_served(tmp_path: Path, folder: Path) -> None:
    write_page(folder)
    (tmp_path / "link").symlink_to(folder)
    assert allowed_file(tmp_path / "link", "report/index.html") is not None


def test_the_fingerprint_sees_what_a_report_is_made_of(folder: Path) -> None:
    before = fingerprint(folder)
    write_page(folder)
    for name in ("verdicts", "estimates"):
        (folder / "tables" / name).mkdir()
        (folder / "tables" / name / f"{name}.parquet").write_bytes(b"written with the pages")
    assert fingerprint(folder) == before  # what a report writes is not what it is made of
    os.utime(folder / "run.json", ns=(1, 1))
    assert fingerprint(folder) != before


def test_a_port_in_use_a_wrong_port_and_a_wrong_folder_are_clear_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(fake_results.fake_run(tmp_path / "run", rounds=2))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["report", folder, "--serve", "--port", str(port)]) == 2
    assert f"--port {port}: another program uses it" in capsys.readouterr().err
    assert main(["report", folder, "--serve", "--port", "70000"]) == 2
    assert "use a number from 1 to 65535" in capsys.readouterr().err
    assert main(["report", folder, "--port", "8000"]) == 2
    assert "--port: it belongs to --serve" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--serve"]) == 2
    assert "it holds no run.json" in capsys.readouterr().err
    assert not (Path(folder) / "report").exists()


def test_ctrl_c_ends_it_with_status_0_and_one_line(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path / "run", rounds=2, status="running")
    child = subprocess.Popen(
        [sys.executable, "-m", "raysim", "report", str(folder), "--serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    link = re.search(r"http://127\.0\.0\.1:(\d+)/", child.stdout.readline())
    assert link is not None
    wait_for((folder / "report" / "index.html").exists, 60)
    connection = http.client.HTTPConnection("127.0.0.1", int(link[1]), timeout=10)
    connection.request("GET", "/report/explore.html")
    assert b"Plotly" in connection.getresponse().read()
    child.send_signal(signal.SIGINT)
    said, wrong = child.communicate(timeout=30)
    assert child.returncode == 0, wrong
    assert said.strip() == f"report: no longer served; the files stay in {folder / 'report'}" and not wrong
