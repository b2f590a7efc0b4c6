-- Mark the mirror as complete, unless Redis lost its data since the rebuild began.
-- KEYS: the mark of the rebuild (its value: the run of the server under which it began), generation, compared
-- ARGV: the generation to write if there is none.
-- Returns 1 when the mirror is complete.
local run = redis.call('GET', KEYS[1])
if not run then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'NX')
redis.call('SET', KEYS[3], run)
return 1
