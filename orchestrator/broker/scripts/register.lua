-- Enters an agent, or takes its name over from the incarnation that the caller knows to be dead.
-- KEYS: epoch, agent, events, agents. ARGV: run id, incarnation, agent id, record (JSON), dead incarnation or ''.
local incarnation = redis.call('HGET', KEYS[2], 'incarnation')
if incarnation and incarnation ~= ARGV[2] and incarnation ~= ARGV[5] then
  return {'TAKEN', incarnation, redis.call('HGET', KEYS[2], 'record') or '', redis.call('HGET', KEYS[2], 'seq') or '0'}
end
local before = incarnation and incarnation ~= ARGV[2] and redis.call('HGET', KEYS[2], 'status') or ''
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'incarnation', ARGV[2], 'record', ARGV[4], 'seq', '0', 'status', 'healthy',
  'running', '0', 'load', '{}', 'in_hand', '', 'at', tostring(now_ms()), 'run_id', ARGV[1], 'before', before)
redis.call('SADD', KEYS[4], ARGV[3])
announce(KEYS[3], 'registered', '', '0', '', ARGV[3], ARGV[2], ARGV[4])
return {'OK'}
