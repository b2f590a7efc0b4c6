-- Mirror jobs as MongoDB has them; an older version never replaces a newer one, nor revives a removed job.
-- The version of a tombstone is one in which the job is not active, so a put of that very version means that whoever
-- removed it erred (it asked a MongoDB member that was behind): the job must not stay out until the tombstone lapses.
-- KEYS: due, jobs
-- ARGV: tombstone key prefix, then per job: id, version, fire time ms, score ms
-- Returns how many were put.
local put = 0
for i = 2, #ARGV, 4 do
  local id, version = ARGV[i], tonumber(ARGV[i + 1])
  local grave = redis.call('GET', ARGV[1] .. id)
  local entry = redis.call('HGET', KEYS[2], id)
  local known = entry and tonumber(string.match(entry, '^(%d+):')) or nil
  if (not grave or tonumber(grave) <= version) and (not known or known <= version) then
    redis.call('HSET', KEYS[2], id, ARGV[i + 1] .. ':' .. ARGV[i + 2])
    redis.call('ZADD', KEYS[1], ARGV[i + 3], id)
    put = put + 1
  end
end
return put
