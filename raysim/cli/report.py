"""`raysim report`: write the report of a result folder, and serve it while the folder changes."""

from __future__ import annotations

import argparse

from raysim.core.errors import UserError
from raysim.storage.report import check_result_folder, write_report


def report(arguments: argparse.Namespace) -> None:
    """Write the report of a result folder; with `--serve`, serve it until Ctrl-C.

    Raises:
        UserError: the folder holds no result, or the port cannot be used.
    """
    if not arguments.serve:
        if arguments.port is not None:
            raise UserError("--port: it belongs to --serve")
        print(f"report: {write_report(arguments.folder)}")
        return
    from raysim.cli.report_server import ReportServer  # http.server, which no other command needs

    check_result_folder(arguments.folder)
    server = ReportServer(arguments.folder, arguments.port or 0)
    print(f"report: {server.link} (Ctrl-C ends it; the files are in {server.folder / 'report'})", flush=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        print(f"\nreport: no longer served; the files stay in {server.folder / 'report'}")
    finally:
        server.close()
