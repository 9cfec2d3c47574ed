"""The bench suite: how fast the service is, beside its peers, on this machine. Knows the service only from outside.

What calls what, from the top:

    __main__, cli      arguments become one command
    runner             one run: services x scenarios x rounds, interleaved; progress shows it
    attempt            one of them, once: start, probe, check, warm up, measure, end
    scenarios          what is measured, by name
    services           the service and its peers: how each is started and found ready
    remote             the API behind them, as a process; stub_remote is what it runs
    answers            tokens to send, and whether an answer is the right one
    wrk, wrk/*.lua     closed loop: as fast as answers come
    open_loop_load     at a fixed rate, by open_loop: latencies count from the intended send time
    locust_load        users who log in and then check their token, by locustfile.py
    idle               connections that only exist
    processes          a process of ours: its cores, its output, its end
    builds, probe      which build of the service is run by the two programs below, and whether it is ready
    accounting         what a tree of processes used of CPU and memory (/proc)
    machine            which machine it is
    figures, results   what was measured, as values and as JSON
    comparison         two results beside each other
    goals              the ratios that the service has to reach
    claims             what a result permits to say, or that it is undecided
    report             a result as a page
    plots, svg         a claim as a picture, and how a picture is written
    micro/             single steps, in process
    rotation/          keys that rotate under load, a program of its own
    withstand/         the abuse battery, a program of its own: attacks, and an honest client meanwhile
    peers/             other ways to build the same service, each with a `run`
"""
