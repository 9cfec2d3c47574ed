"""Forward authentication under load: a real proxy asks the service, while its keys rotate and it reloads.

What calls what, from the top:

    __main__, cli      arguments become one run, its findings a report
    stage              the service, the proxy and the upstream as processes
    clients            requests with good tokens and bad ones, each answer judged
    keyset             keys that come and go, and tokens of them
    programs           the real proxies: where they are, and how each is started; the tests start them by it too
    upstream           what is protected: says what it got
"""
