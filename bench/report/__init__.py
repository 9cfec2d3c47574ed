"""A result for readers.

sources            which results are shown, in which order
summary, tables    six lines; the figures in rows
page               bench/results/README.md
plots, svg         a claim as a picture, and how a picture is written
sentences          the claims on other pages
"""
