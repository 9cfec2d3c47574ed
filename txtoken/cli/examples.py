"""Examples of every command, for its help: what to type, and what it does. A test reads each as the command line does."""

from __future__ import annotations

# By the command; that of the help of all commands is "".
EXAMPLES = {
    "": (
        ("txtoken demo", "see what it does, without a configuration"),
        ("txtoken init --remote http://127.0.0.1:3000/login", "write txtoken.yml, with a fresh key"),
        ("txtoken serve -c txtoken.yml", "run the service"),
        ("txtoken help token verify", "explain a command"),
    ),
    "init": (
        ("txtoken init", "write txtoken.yml for the demo's login API"),
        ("txtoken init --remote https://login.example/login", "write it for your login API"),
        ("txtoken init --port 9000 --out my.yml", "with another port, to another file"),
    ),
    "serve": (
        ("txtoken serve -c txtoken.yml", "run with this configuration"),
        ("txtoken serve -c txtoken.yml --port 9000 --workers auto", "with another port, on all CPUs"),
        ("txtoken serve -c txtoken.yml --set log.level=debug", "with another value of any key"),
    ),
    "check": (
        ("txtoken check -c txtoken.yml", "say what is wrong, or what would run"),
        ("txtoken check --output json", "the same for programs"),
    ),
    "schema": (("txtoken schema > txtoken.schema.json", "write it to a file, for an editor"),),
    "export": (
        ("txtoken export nginx -c txtoken.yml", "print a configuration of nginx"),
        ("txtoken export caddy --upstream 127.0.0.1:3000", "that protects what listens there"),
    ),
    "demo": (
        ("txtoken demo", "then open the page that it names"),
        ("txtoken demo --once", "make some requests, and end"),
        ("txtoken demo --remote http://127.0.0.1:3000/login", "in front of your own login API"),
        ("txtoken demo --algorithm ES256", "with a public key"),
        ("txtoken demo --behind nginx", "with a page that nginx protects"),
    ),
    "keygen": (("txtoken keygen > enc_key", "write a new key to a file, for encKeyFile"),),
    "keys": (("txtoken help keys generate", "explain one of these"),),
    "keys generate": (
        ("txtoken keys generate --out 2027-01.pem", "make a key for ES256"),
        ("txtoken keys generate --alg HS512", "print a secret for HS512"),
    ),
    "keys list": (("txtoken keys list -c txtoken.yml", "show which key signs now"),),
    "keys jwks": (("txtoken keys jwks -c txtoken.yml", "print the public keys"),),
    "health": (
        ("txtoken health --url http://127.0.0.1:8888", "ask a service there; no file is read"),
        ("txtoken health -c txtoken.yml", "ask the service of this configuration"),
    ),
    "token": (("txtoken help token explain", "explain one of these"),),
    "token issue": (
        ('txtoken token issue \'{"user":"ada"}\'', "sign a token for this reply"),
        ("txtoken token issue --hours 1h < reply.json", "sign one for an hour"),
    ),
    "token verify": (
        ("txtoken token verify < token.txt", "print its claims"),
        (
            "txtoken token verify --jwks http://127.0.0.1:8888/.well-known/jwks.json < token.txt",
            "verify it by public keys, as another program would",
        ),
    ),
    "token explain": (("txtoken token explain < token.txt", "say why it is or is not valid"),),
    "completion": (
        ('eval "$(txtoken completion bash)"', "complete in this bash"),
        ('eval "$(txtoken completion zsh)"', "in this zsh, after compinit"),
        ("txtoken completion fish > ~/.config/fish/completions/txtoken.fish", "complete in every fish"),
    ),
    "version": (("txtoken version", "print it; -V and --version do the same"),),
    "help": (("txtoken help serve", "explain a command"),),
}
