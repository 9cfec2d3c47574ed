"""What a token service does: keys, tokens, the remote, the routes. Knows no sockets but the remote's."""
