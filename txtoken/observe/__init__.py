"""What people can see of a running service: its log and its access lines. Decides nothing."""
