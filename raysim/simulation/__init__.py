"""Simulation of a federation: the round loop, local training, evaluation and the tables of a run.

`rounds` is the loop, `worker` does a worker's part of a round, `engine` is the contract of what runs workers.
No file of this room imports Ray.
"""
