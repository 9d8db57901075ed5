"""The room `choices`."""
