"""Pure tensor functions: the text tower, optimal transport."""
