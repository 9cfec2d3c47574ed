-- Checks of all tokens of BENCH_TOKENS in turn: whoever remembers fewer than there are has always forgotten the next.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local requests, count, turn = {}, 0, 0

function init(arguments)
  for index, token in ipairs(lines_of(os.getenv("BENCH_TOKENS"))) do
    requests[index] = wrk.format("GET", "/checkToken", { ["Host"] = wrk.headers["Host"], ["Authorization"] = "Bearer " .. token })
  end
  count = #requests
  ready()
end

function request()
  turn = turn % count + 1
  return requests[turn]
end

expect("verdict")
