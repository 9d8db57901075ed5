"""SAFE: its four mechanisms, a file each, and the method that is made of them."""
