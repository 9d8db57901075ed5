"""Pure tensor functions and modules without state: the text tower, optimal transport, networks, the gate, CKA."""
