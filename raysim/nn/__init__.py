"""Tensor functions and modules without state of their own: weights are passed in.

`text` (CLIP's text tower), `ot` (optimal transport), `cka`, `gate`, `convnets`, `decoder`, `networks` and
`rows` (stacks of clients). It imports core only.
"""
