"""Runs the service under Unix: sockets, signals, workers, start and shutdown. Decides nothing about a request."""
