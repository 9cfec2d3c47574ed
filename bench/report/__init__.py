"""A result for readers.

page               bench/results/README.md
plots, svg         a claim as a picture, and how a picture is written
"""
