-- Checks of all tokens of BENCH_TOKENS in turn: a cache of fewer tokens never has the next one.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local requests, count, turn = {}, 0, 0

function init(arguments)
  for index, token in ipairs(lines_of(os.getenv("BENCH_TOKENS"))) do
    -- In this order, for what differs in the tokens to stand in the middle of the text: see bench/load/answers.py.
    requests[index] = ("GET /checkToken HTTP/1.1\r\nAuthorization: Bearer %s\r\nHost: %s\r\n\r\n"):format(token, wrk.headers["Host"])
  end
  count = #requests
  ready()
end

function request()
  turn = turn % count + 1
  return requests[turn]
end

expect("verdict")
