"""The explore page of a report: trials, learning curves and clients that a reader filters and brushes."""
