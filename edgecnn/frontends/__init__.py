"""Readers of trained networks: each gives one float or int8 Graph in NHWC."""
