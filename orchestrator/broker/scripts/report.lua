-- Accepts the outcome of a run from the token that holds it. KEYS: epoch, task, events.
-- ARGV: run id, id, n, token, agent, incarnation, event type, payload.
if not blessed() then
  return {'WAIT', 'epoch'}
end
local id, n, token = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local held = redis.call('HMGET', KEYS[2], 'd', 's', 'k')
if held[1] then
  if tonumber(held[1]) ~= n or held[3] ~= token then
    return {'REFUSED', held[2] or ''}
  end
  if held[2] == 'ended' then
    return {'ACCEPTED', 'repeat'}
  end
  if held[2] ~= 'held' then
    return {'REFUSED', held[2]}
  end
end
go_on_when_full(KEYS[2])
redis.call('HSET', KEYS[2], 'd', n, 's', 'ended', 'k', token)
announce(KEYS[3], ARGV[7], id, n, token, ARGV[5], ARGV[6], ARGV[8])
return {'ACCEPTED', ''}
