"""txtoken turns any JSON API into one that hands out signed tokens.

The map, in the order a request meets it:

process/   How it runs under Unix. `supervisor` decides on workers, `places` are theirs; `worker` holds one `App` and the server
           in front of it, with one `heartbeat` for all that is due by time; `reload` reads a changed configuration, `revoked`
           the list of revocations; `admin` is the second port, `sockets` are all that it listens on, `threads` sign where that
           takes long.
http1/     HTTP/1.1. Bytes on one side, requests and responses on the other; every limit on clients lives here, and which proxies
           are believed about clients (`proxies`). Knows no tokens.
service/   What a token service does. `app` builds all of it from one configuration: `routes` finds the handler, `handlers/`
           answer, a class a route; `upstream/` is the pool of connections that carry logins to the one remote; `keys/` sign and
           verify, `tokens/` make claims into tokens and tokens into verdicts, `revocations` ends tokens before their time;
           `throttle/` has those wait who guess passwords;
           `issuance` hands tokens out, `cookies` writes theirs, `sites` tells whose pages may have one; `success`, `failures`,
           `forwarded`, `cors`, `presented`, `pointer` and `answers` are what handlers share. Knows no sockets but the remote's.
observe/   What people can see of it: log and access lines, numbers (`metrics`) and how Prometheus reads them (`exposition`).

`cli/` has a file for each verb and for each noun that verbs share, `demo/` shows the service with a login API of its own,
`export/` writes the configuration of proxies that ask, a module a proxy,
`config/` reads file and environment into one frozen value, whose parts are `settings`. `errors` is the tree of all that can go
wrong, `clock` is this second, read once, `memo` is a bounded memory, `timestamp` is a moment as people write it, `unix_urls`
takes URLs of Unix sockets apart, `compiling` is what mypyc has to know, `version` is the number of this release.

The import rule, held by tests/test_architecture.py: `process → {service, http1, observe} → {clock, errors, memo, settings}`.
`service` and `observe` know of `http1` its `messages` alone. `config` knows of `service` what a key and a revocation is. No
cycles, not for the type checker either, no imports inside functions, and nobody imports this module, which re-exports nothing.
"""
