"""The pages: what stands on them, in which order, and how they become HTML and Markdown."""
