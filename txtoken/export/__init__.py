"""Configurations of proxies with forward authentication: a module for each proxy. Reads no file."""
