-- Checks of all tokens of BENCH_TOKENS in turn: a cache of fewer tokens never has the next one.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local requests, count, turn = {}, 0, 0
local method, path = os.getenv("BENCH_CHECK_METHOD"), os.getenv("BENCH_CHECK_PATH")

function init(arguments)
  for index, token in ipairs(lines_of(os.getenv("BENCH_TOKENS"))) do
    -- In this order, for what differs in the tokens to stand in the middle of the text: see bench/load/answers.py.
    local name, value = shown(token)
    requests[index] = ("%s %s HTTP/1.1\r\n%s: %s\r\nHost: %s\r\n\r\n"):format(method, path, name, value, wrk.headers["Host"])
  end
  count = #requests
  ready()
end

function request()
  turn = turn % count + 1
  return requests[turn]
end

expect("verdict")
