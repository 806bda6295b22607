-- Puts delivery n of a task on its list, once; a full Redis refuses its first write, before anything has changed.
-- KEYS: epoch, task, list, waiting, events, sequence, lists.
-- ARGV: run id, epoch and Redis time (ms) of the decision, greatest age (ms), id, n, message, window.
local epoch = blessed()
if not epoch then
  return {'WAIT', '', '0'}
end
local now = now_ms()
if epoch ~= ARGV[2] or now - tonumber(ARGV[3]) > tonumber(ARGV[4]) then
  return {'STALE', epoch, tostring(now)}
end
local id, n = ARGV[5], tonumber(ARGV[6])
local held = redis.call('HMGET', KEYS[2], 'd', 's', 'c', 'q')
local d, state = tonumber(held[1]), held[2]
if d then
  if d > n or (held[3] and tonumber(held[3]) >= n) then
    return {'REFUSED', epoch, tostring(now)}
  end
  if state == 'held' then
    return {'HELD', epoch, tostring(now)}
  end
  if d == n and state ~= 'reserved' then
    return {state == 'queued' and 'ALREADY' or 'REFUSED', epoch, tostring(now)}
  end
end
if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[8]) then
  return {'FULL', epoch, tostring(now)}
end
redis.call('HSET', KEYS[2], 'd', n, 's', 'queued', 'q', KEYS[3])
redis.call('HDEL', KEYS[2], 'k', 'a', 'i', 'c')
redis.call('PERSIST', KEYS[2])
leave_queue(id, held[4])
redis.call('LPUSH', KEYS[3], ARGV[7])
redis.call('SADD', KEYS[7], KEYS[3])
redis.call('ZADD', KEYS[4], redis.call('INCR', KEYS[6]), id)
announce(KEYS[5], 'queued', id, n, '', '', '', '')
return {'QUEUED', epoch, tostring(now)}
