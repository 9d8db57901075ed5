"""Parts of a page, words, and the style of drawings."""
