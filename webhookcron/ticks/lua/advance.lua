-- Move jobs on to their next fire time, each only if it still is where the caller found it.
-- KEYS: due, jobs
-- ARGV per job (each once): id, entry found, score found, next entry ("" = the schedule is over: take it out), next score
-- Returns how many were moved.
if #ARGV == 0 then return 0 end
local ids = {}
for i = 1, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
local scores = redis.call('ZMSCORE', KEYS[1], unpack(ids))
local entries = redis.call('HMGET', KEYS[2], unpack(ids))
local over, set, add = {}, {}, {}
for n = 1, #ids do
  local i = (n - 1) * 5
  if scores[n] and tonumber(scores[n]) == tonumber(ARGV[i + 3]) and (entries[n] or '') == ARGV[i + 2] then
    if ARGV[i + 4] == '' then
      over[#over + 1] = ids[n]
    else
      set[#set + 1] = ids[n]
      set[#set + 1] = ARGV[i + 4]
      add[#add + 1] = ARGV[i + 5]
      add[#add + 1] = ids[n]
    end
  end
end
if #over > 0 then
  redis.call('HDEL', KEYS[2], unpack(over))
  redis.call('ZREM', KEYS[1], unpack(over))
end
if #set > 0 then
  redis.call('HSET', KEYS[2], unpack(set))
  redis.call('ZADD', KEYS[1], unpack(add))
end
return #over + #set / 2
