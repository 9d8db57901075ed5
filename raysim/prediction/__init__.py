"""What a finished run learned, put to use: predictions for new images, prompts, models as files."""
