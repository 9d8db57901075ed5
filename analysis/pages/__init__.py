"""The pages of a report: their sections in order, and how they become HTML and Markdown."""
