-- Logins, each with the same body (BENCH_LOGIN).
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.method = os.getenv("BENCH_LOGIN_METHOD")
wrk.path = os.getenv("BENCH_LOGIN_PATH")
wrk.body = os.getenv("BENCH_LOGIN")
wrk.headers["Content-Type"] = os.getenv("BENCH_LOGIN_TYPE")
expect("token")
