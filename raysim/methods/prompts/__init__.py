"""The room `prompts`."""
