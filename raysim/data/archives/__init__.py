"""Published datasets, one file each: classes, known counts, templates, archive layout and source."""
