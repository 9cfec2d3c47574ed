"""txtoken turns any JSON API into one that issues signed tokens.

The map, in the order a request meets it:

process/   Runs the service under Unix. `supervisor` decides about workers, `places` has their processes; `worker` has one `App`
           and its servers, with one `heartbeat` for everything that is due; `reload` reloads the configuration, `revoked` the
           list of revocations; `admin` is the second port, `sockets` has the listening sockets, `threads` make slow signatures;
           `companion` is the demo's process beside the service.
http1/     HTTP/1.1. Turns bytes into requests, and responses into bytes; has every limit on clients, and the trusted proxies
           (`proxies`). Knows no tokens.
service/   What a token service does. `app` builds everything from one configuration: `routes` finds the handler, `handlers/` has
           a class for each route; `upstream/` is the pool of connections to the remote; `keys/` sign and verify; `tokens/` turns
           claims into tokens and tokens into verdicts; `revocations` ends tokens early; `throttle/` imposes lockouts;
           `issuance` issues tokens, `cookies` writes cookies, `sites` protects against cross-site requests; `success`,
           `failures`, `forwarded`, `cors`, `presented`, `pointer` and `answers` are shared by handlers. Knows no sockets but the
           remote's.
observe/   Log, access log and counts (`metrics`), with the exposition for Prometheus (`exposition`).

`cli/` has a file for each verb and for each noun that verbs share, `demo/` shows the service with its own login API,
`export/` writes configurations of proxies with forward authentication, a module for each proxy,
`config/` reads file and environment into one frozen value, whose parts are in `settings`. `errors` is the tree of all errors,
`clock` is the current second, `memo` is a bounded cache, `nearest` suggests what was meant, `timestamp` parses and writes
timestamps, `unix_urls` splits URLs of Unix sockets, `compiling` has words for mypyc, `version` is this release's number.

The import rule, held by tests/test_architecture.py: `process → {service, http1, observe} → {clock, errors, memo, settings}`.
`service` and `observe` use only `messages` of `http1`. `config` knows keys and revocations of `service`. No cycles, not even for
the type checker, no imports inside functions, and no module imports this one, which re-exports nothing. `cli` alone loads
modules by name, when a command needs them: a start takes a fraction of the time.
"""
