-- Ends delivery n if nobody holds it, else marks it for its holder. KEYS: epoch, task, events. ARGV: run id, id, n.
if not blessed() then
  return {'WAIT', '', ''}
end
local id, n = ARGV[2], tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[2], 'd', 's', 'k', 'i', 'q')
local d, state = tonumber(held[1]), held[2]
if d and d > n then
  return {'MOVED', tostring(d), state}
end
if d == n and state == 'ended' then
  return {'ALREADY_ENDED', '', ''}
end
if d == n and state == 'held' then
  go_on_when_full(KEYS[2])
  redis.call('HSET', KEYS[2], 'c', n)
  if held[4] then
    local nudge = 'orch:nudge:' .. held[4]
    redis.call('RPUSH', nudge, id)
    redis.call('LTRIM', nudge, -100, -1)
    redis.call('EXPIRE', nudge, 60)
  end
  return {'MARKED', '', ''}
end
leave_queue(id, held[5])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'd', n, 's', 'ended')
announce(KEYS[3], 'cancelled', id, n, '', '', '', '')
return {'ENDED', '', ''}
