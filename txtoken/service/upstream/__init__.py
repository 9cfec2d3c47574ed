"""The remote as a client sees it: its names, its connections, one request at a time on each. Knows no tokens."""
