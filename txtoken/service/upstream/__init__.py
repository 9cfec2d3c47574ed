"""The remote, seen from its client: names, dials, connections, requests and replies. Knows no tokens but a bearer."""
