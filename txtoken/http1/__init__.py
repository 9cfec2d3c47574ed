"""HTTP/1.1: turns bytes into requests, and responses into bytes. Knows no tokens."""
