-- Grants the run of delivery n to one token. KEYS: epoch, task, events.
-- ARGV: run id, id, n, token, agent, incarnation, payload of `running`, greatest event backlog.
if not blessed() then
  return {'WAIT', 'epoch'}
end
if redis.call('XLEN', KEYS[3]) > tonumber(ARGV[8]) then
  return {'WAIT', 'event_backlog'}
end
local id, n, token = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local held = redis.call('HMGET', KEYS[2], 'd', 's', 'k', 'q')
if tonumber(held[1]) ~= n then
  return {'REFUSED', held[1] and 'another delivery' or 'no such delivery'}
end
if held[2] == 'held' and held[3] == token then
  return {'GRANTED', ''}
end
if held[2] ~= 'queued' then
  return {'REFUSED', held[2]}
end
go_on_when_full(KEYS[2])
redis.call('HSET', KEYS[2], 's', 'held', 'k', token, 'a', ARGV[5], 'i', ARGV[6])
leave_queue(id, held[4])
announce(KEYS[3], 'running', id, n, token, ARGV[5], ARGV[6], ARGV[7])
return {'GRANTED', ''}
