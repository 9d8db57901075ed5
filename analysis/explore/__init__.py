"""The explore page of a report: trials, learning curves and clients that a reader filters and brushes."""

from .page import title_of_page, write_explore

__all__ = ["title_of_page", "write_explore"]
