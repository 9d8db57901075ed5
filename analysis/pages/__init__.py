"""The pages of a report: their sections in order, and the templates that make them HTML and Markdown."""
