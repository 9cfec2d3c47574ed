"""How the service runs under Unix: sockets, signals, start and end. Decides nothing about a request."""
