"""Datasets: labelled images from archives, folders or a drawing program, their splits, views and features.

`registry` turns a name into a dataset; `dataset` is what every dataset offers; `archives` holds the published
ones, `scenes` the drawn ones; `features` computes what a frozen backbone makes of the images, and `cache` and
`memo` keep results on disk. It imports core only.
"""
