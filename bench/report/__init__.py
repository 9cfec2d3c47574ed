"""A result for readers.

sources            which results are shown, in which order
histories          which histories are shown
summary, tables    six lines; the figures in rows
guide              what the figures are, in words
page               bench/results/README.md
plots, svg         a claim as a picture, and how a picture is written
sentences          the claims on other pages
site               bench/results/index.html; page.css and page.js are a part of it
grids, html        a table as HTML, and how HTML is written
curves, trends     latencies by percentile; costs by revision
"""
