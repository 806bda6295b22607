-- Takes delivery n out of a queue's or a lost agent's reach: the task is then reserved for n + 1.
-- A marked one ends instead, and loses its token: the next beat of an agent that still runs it is told to stop.
-- KEYS: epoch, task, events. ARGV: run id, epoch of the decision, id, n, token that lost it or '', reservation (s).
local epoch = blessed()
if not epoch or epoch ~= ARGV[2] then
  return {'WAIT', '', ''}
end
local id, n = ARGV[3], tonumber(ARGV[4])
local held = redis.call('HMGET', KEYS[2], 'd', 's', 'k', 'a', 'c', 'q')
local d, state = tonumber(held[1]), held[2]
if d then
  if d > n and not (d == n + 1 and state == 'reserved') then
    return {'MOVED', tostring(d), state}
  end
  if d == n and state == 'ended' then
    return {'ENDED', '', ''}
  end
  if d == n and state == 'held' and held[3] ~= ARGV[5] then
    return {'HELD', held[3], held[4] or ''}
  end
  go_on_when_full(KEYS[2])
  leave_queue(id, held[6])
  if d == n and held[5] and tonumber(held[5]) >= n then
    redis.call('HSET', KEYS[2], 's', 'ended')
    redis.call('HDEL', KEYS[2], 'k')
    announce(KEYS[3], 'cancelled', id, n, held[3] or '', held[4] or '', '', '')
    return {'ENDED', '', ''}
  end
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'd', n + 1, 's', 'reserved')
redis.call('EXPIRE', KEYS[2], ARGV[6])
return {'TAKEN', tostring(n + 1), ''}
