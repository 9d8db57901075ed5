"""The room `outcomes`."""
