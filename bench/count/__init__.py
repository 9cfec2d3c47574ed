"""Counts the service's instructions and system calls in place of timing it: the same on a busy machine, and for ARM on amd64.

The service runs under qemu-user with a plugin; its one client and its remote run outside, on loopback. By act: `emulator`,
`plugin` and `counters` count any program; `subject`, `remote`, `client` and `cases` are what is counted; `counting` counts;
`fingerprint` says under which conditions; `history`, `trend` and `track` keep figures of revisions.
"""
