"""The one upstream: a pool of connections to it (`remote`), each with one exchange at a time. Knows no clients and no tokens but
the bearer that it shows.
"""
