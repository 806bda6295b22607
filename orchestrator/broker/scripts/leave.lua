-- Removes an agent that has given everything back. KEYS: epoch, agent, events, agents. ARGV: run id, incarnation, agent id.
if redis.call('HGET', KEYS[2], 'incarnation') == ARGV[2] then
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[4], ARGV[3])
  announce(KEYS[3], 'left', '', '0', '', ARGV[3], ARGV[2], '')
  return {'OK'}
end
return {'REPLACED'}
