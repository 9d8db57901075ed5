"""Methods that learn text prompts for a frozen CLIP."""
