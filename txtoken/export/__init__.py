"""Configurations of proxies that ask a forward-auth route: a module a proxy, a function from `Site` to text. Reads no file."""
