-- Move jobs on to their next fire time, each only if it still is where the caller found it.
-- KEYS: due, jobs
-- ARGV per job: id, entry found, score found, next entry ("" = the schedule is over: take it out), next score
-- Returns how many were moved.
local moved = 0
for i = 1, #ARGV, 5 do
  local id = ARGV[i]
  local score = redis.call('ZSCORE', KEYS[1], id)
  if score and tonumber(score) == tonumber(ARGV[i + 2]) and (redis.call('HGET', KEYS[2], id) or '') == ARGV[i + 1] then
    if ARGV[i + 3] == '' then
      redis.call('HDEL', KEYS[2], id)
      redis.call('ZREM', KEYS[1], id)
    else
      redis.call('HSET', KEYS[2], id, ARGV[i + 3])
      redis.call('ZADD', KEYS[1], ARGV[i + 4], id)
    end
    moved = moved + 1
  end
end
return moved
