"""Result folders made without training, with known numbers."""
