-- Take or keep a turn. KEYS: the turn. ARGV: owner token, expiry ms. Returns 1 when the caller has it.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
