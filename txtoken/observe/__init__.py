"""Log, access log and metrics of a running service. Decides nothing."""
