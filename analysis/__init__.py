"""Reports from result files alone: tables, figures and self-contained HTML pages; raysim is not imported."""

from .report import write_report

__all__ = ["write_report"]
