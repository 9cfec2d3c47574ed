-- Forward authentication by one token, the first of BENCH_TOKENS.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.path = "/forwardAuth/some/path"
wrk.headers["Authorization"] = "Bearer " .. first_token()
expect("nothing")
