"""The client of the remote: name look-ups, dials, connections, requests and replies. Knows no tokens but a bearer."""
