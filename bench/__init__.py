"""The bench suite: how fast the service is, beside its peers, on this machine. Knows the service only from outside.

    __main__, cli      arguments become one command
    load/              what sends requests, what they are, and the remote that the service asks
    measure/           one run: services × scenarios × rounds, and the result as a value and a file
    judge/             what a result permits to say: goals, claims, the comparison of two results
    report/            a result as a page and pictures
    count/             instructions and system calls in place of time, and their history
    history/           what revisions cost, a file for each architecture
    peers/             other ways to build the same service, each with a `run`
    results/           what was measured, and the report of it
    micro/             single steps, in process
    mutation/          the service broken in many places, a program of its own
    rotation/          keys that rotate under load, a program of its own
    forward_auth/      forward authentication behind proxies under load, a program of its own
    withstand/         the abuse battery, a program of its own: attacks, and an honest client meanwhile

`report` and `judge` know `measure`'s values, `measure` knows `load`; nobody knows `cli`.
"""
