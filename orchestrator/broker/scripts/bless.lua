-- Starts a new epoch if nobody else has since the leader looked. KEYS: epoch. ARGV: run id, what the leader saw, the new one.
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= ARGV[2] then
  return {'CHANGED', epoch}
end
redis.call('SET', KEYS[1], ARGV[3])
return {'OK', ARGV[3]}
