"""What sends requests, and what answers the service.

wrk, scripts/*.lua             closed loop: as fast as answers come
open_loop, open_loop_load      at a fixed rate: latencies count from the intended send time
locust_load, locustfile        users who log in and then check their token
idle                           connections that only exist
answers                        tokens to send, and whether an answer is the right one
remote, stub_remote            the API behind the service, as a process; and what it runs
"""
