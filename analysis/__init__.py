"""Reports from result files alone: tables, figures and one self-contained HTML page. Imports nothing of raysim."""

from .report import write_report

__all__ = ["write_report"]
