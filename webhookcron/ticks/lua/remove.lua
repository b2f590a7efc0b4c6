-- Take jobs out of the mirror and leave a tombstone, so that a late put of an older version is refused.
-- KEYS: due, jobs
-- ARGV: tombstone key prefix, tombstone expiry ms, then per job: id, version
-- Returns how many were removed.
local removed = 0
for i = 3, #ARGV, 2 do
  local id, version = ARGV[i], tonumber(ARGV[i + 1])
  local entry = redis.call('HGET', KEYS[2], id)
  local known = entry and tonumber(string.match(entry, '^(%d+):')) or nil
  if not known or known <= version then
    redis.call('HDEL', KEYS[2], id)
    removed = removed + redis.call('ZREM', KEYS[1], id)
    local grave = redis.call('GET', ARGV[1] .. id)
    if not grave or tonumber(grave) <= version then
      redis.call('SET', ARGV[1] .. id, ARGV[i + 1], 'PX', ARGV[2])
    end
  end
end
return removed
