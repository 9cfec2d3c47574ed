"""txtoken turns any JSON API into one that hands out signed tokens.

The map, in the order a request meets it:

process/   How it runs under Unix. `supervisor` forks and replaces workers; `worker` builds one of each
           thing below, serves, drains and leaves; `reload` reads a changed configuration; `admin` is the second port;
           `sockets` are all that it listens on.
http1/     HTTP/1.1. Bytes on one side, requests and responses on the other; every limit on clients lives here, and whose
           word counts about who they are (`proxies`). Knows no tokens.
service/   What a token service does: `routes` finds the handler, `handlers` answer, `remote` is the pool of connections to
           the one upstream, `dial` opens them (`names` and `tunnel` are parts of that), `remote_connection` carries one
           `exchange` at a time and `reply` reads what comes back, `success` says whether that is a login, `failures` what
           clients get when it is none, `tokens` and `keys` sign and verify, `cors` lets web pages in. Knows no sockets but
           the remote's.
observe/   What people can see of it: log and access lines, numbers (`metrics`) and how Prometheus reads them (`exposition`).

`cli` turns arguments into one command, `demo` shows the service with a login API of its own, `config` reads file and
environment into one frozen value (`settings` are its parts, `yaml_reader` makes nodes of YAML, `values` says what may stand for
each kind of key, `trees` for whole trees, `urls` for the remote (`unix_urls` takes those of Unix sockets apart), `proxying` for
the proxy before it, `success` for its replies, `signing_secret` for a secret, `certificates` what may stand in a file of
certificates, `cpus` counts those that may be used, and `schema` says it all to editors), `errors` is the tree of all that can
go wrong, `clock` is this second, read once, `version` is the number of this release.

The import rule, held by tests/test_architecture.py: `process → {service, http1, observe} → {clock, errors, settings}`.
`http1` and `service` meet in `process.worker` alone, except that `service` may import `http1.messages`. No cycles, no
imports inside functions, and nobody imports this module, which re-exports nothing.
"""
