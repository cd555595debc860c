-- For wrk: sends SHMESH_BODY bytes if that is set, and prints the result as one line of JSON.
local bytes = os.getenv("SHMESH_BODY")
if bytes then
  wrk.method = "POST"
  wrk.body = string.rep("x", tonumber(bytes))
  wrk.headers["content-type"] = "application/octet-stream"
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"completed":%d,"elapsedMs":%f,"refused":%d,"lost":%d,"p50Ms":%f,"p99Ms":%f,"p999Ms":%f}',
    summary.requests, summary.duration / 1000, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000))
end
