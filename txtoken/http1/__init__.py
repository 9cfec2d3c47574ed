"""HTTP/1.1: bytes on one side, requests and responses on the other. Knows no tokens."""
