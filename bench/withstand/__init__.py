"""The abuse battery: what the service withstands, attacked as a process while an honest client measures itself.

What calls what, from the top:

    __main__, cli      arguments become one command
    battery            one row: start, calm, the attack until it leaves no more behind
    catalog            all rows by name: `floods`, `answers`, `remotes`, `meddling`, `life`
    floods             connections that hold, drip, drop, never read, never stop
    answers            every kind of answer, 100 000 times
    remotes            a remote that fails in every way, logs that are not read, names that do not resolve
    meddling           signals, files and workers that are tampered with
    life               trials of the end and of what comes back, each with a verdict of its own
    stage              service, remote and honest client as processes, each on its core
    subject            the service: which build, its configuration, its memory, files and CPU time
    honest             the honest client, a process of its own; `nonces` judges each of its answers
    swarm              the attackers, a process of its own at nice 19
    login_api          the remote, a process of its own: good to the honest, and to others what they ask for
    slow_names         starts the service with a name service that hangs while a file exists
    measures, verdict  what was measured, as values; which rows held
    table              rows for people and as JSON
"""
