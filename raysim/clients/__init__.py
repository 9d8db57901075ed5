"""The room `clients`."""
