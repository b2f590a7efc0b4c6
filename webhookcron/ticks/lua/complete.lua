-- Mark the mirror as complete, unless Redis lost its data since the rebuild began.
-- KEYS: the mark of the rebuild, generation. ARGV: the generation to write if there is none.
-- Returns 1 when the mirror is complete.
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'NX')
return 1
