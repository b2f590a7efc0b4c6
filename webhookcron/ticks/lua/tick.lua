-- One look at the tick source: due jobs, a lock for each of their fires, and when to look again.
-- KEYS: due (sorted set: job id -> moment to act, ms), jobs (hash: job id -> "version:fire time ms"), generation
-- ARGV: owner token, most fires wanted, most entries looked at, lock expiry ms, lock key prefix,
--       the time the caller expects (ms, "" = none), the largest difference from it that is no jump (ms)
-- Returns {now ms, generation or "", next score or "", entries looked at, [id, score, entry or "", ...], jumped 0|1}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token, wanted, bound = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if ARGV[6] ~= '' and math.abs(now - tonumber(ARGV[6])) > tonumber(ARGV[7]) then
  return {now, redis.call('GET', KEYS[3]) or '', '', 0, {}, 1}
end
local won, seen, offset = {}, 0, 0
local taken = 0
while taken < wanted and seen < bound do
  local slice = math.min(wanted, bound - seen)
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', offset, slice)
  if #due == 0 then break end
  local ids = {}
  for i = 1, #due, 2 do ids[#ids + 1] = due[i] end
  local entries = redis.call('HMGET', KEYS[2], unpack(ids))
  local locks = {}
  for i = 1, #ids do
    locks[i] = ARGV[5] .. ids[i] .. ':' .. (string.match(entries[i] or '', ':(-?%d+)$') or 'unreadable')
  end
  -- One look at all of them, so that a ticker tries for no fire that another one has: they share what is due.
  local owners = redis.call('MGET', unpack(locks))
  for i = 1, #ids do
    if taken >= wanted then break end
    -- A repeated call (the reply to the first was lost) finds its own token: that is a win too.
    if owners[i] == token or (not owners[i] and redis.call('SET', locks[i], token, 'NX', 'PX', ARGV[4])) then
      taken = taken + 1
      won[#won + 1] = ids[i]
      won[#won + 1] = due[i * 2]
      won[#won + 1] = entries[i] or ''
    end
  end
  seen = seen + #ids
  offset = offset + #ids
end
local following = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {now, redis.call('GET', KEYS[3]) or '', following[2] or '', seen, won, 0}
