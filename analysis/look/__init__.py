"""The room `look`."""
