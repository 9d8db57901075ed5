"""Engines: the places where clients train.

`serial` is this process, `ray_pool` a pool of Ray actors, and `driver` the actor that owns a run on Ray.
"""
