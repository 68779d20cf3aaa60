"""A tensor of a model file that is put together from several of a weights file."""

from collections import namedtuple

Made = namedtuple("Made", "sources work")
Made.__doc__ = """A tensor that is put together.

Attributes
----------
sources : tuple of str
    The names of the tensors in the weights file.
work : callable
    Takes the arrays and gives one; ValueError where they do not fit.
"""
