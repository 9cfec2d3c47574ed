"""The demo: a login API, the service in front of it, and a client that tries both. Knows no real users.

It runs on loopback with a key that is made at start: what it signs is worth nothing elsewhere.
"""
