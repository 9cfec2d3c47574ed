-- Logins, each with the same body (BENCH_LOGIN).
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.method = "POST"
wrk.path = "/getToken"
wrk.body = os.getenv("BENCH_LOGIN")
wrk.headers["Content-Type"] = "application/json"
expect("token")
