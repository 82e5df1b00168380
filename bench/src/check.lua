-- wrk's script: presents random keys out of a file with one key a line.
-- Arguments: the file, and the access key to present them with.
-- Requests are made before the load begins, and none is let go of, so that Lua does as little as it can.

local requests = {}
local random = math.random

function init(arguments)
    wrk.headers["X-API-Key"] = arguments[2]
    for key in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("POST", "/api-keys/auth/" .. key)
    end
    math.randomseed(os.time())
    collectgarbage("stop")
end

function request()
    return requests[random(#requests)]
end

-- Numbers only, in the order in which wrk.rs reads them: microseconds and counts.
function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format("measured: %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), failed))
end
