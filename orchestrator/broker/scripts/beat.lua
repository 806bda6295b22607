-- One heartbeat: renews the agent's record, re-creates what it holds, answers what is no longer its own.
-- Works without an epoch: the leader blesses one only after the agents have beaten.
-- KEYS: epoch, agent, events. ARGV: run id, incarnation, agent id, seq, status, running, load (JSON), tokens in hand,
-- then id, n, token of each claimed run.
local incarnation = redis.call('HGET', KEYS[2], 'incarnation')
if not incarnation then
  return {'REGISTER', ''}
end
if incarnation ~= ARGV[2] then
  return {'REPLACED', ''}
end
go_on_when_full(KEYS[2])
redis.call('HSET', KEYS[2], 'seq', ARGV[4], 'status', ARGV[5], 'running', ARGV[6], 'load', ARGV[7],
  'in_hand', ARGV[8], 'at', tostring(now_ms()), 'run_id', ARGV[1])
local answer = {'OK', blessed() or ''}
for i = 9, #ARGV, 3 do
  local id, n, token = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local key = 'orch:task:' .. id
  local held = redis.call('HMGET', key, 'd', 's', 'k', 'c', 'q')
  local d, state = tonumber(held[1]), held[2]
  if not d or (d == n and state == 'queued') then
    leave_queue(id, held[5])
    redis.call('HSET', key, 'd', n, 's', 'held', 'k', token, 'a', ARGV[3], 'i', ARGV[2])
    announce(KEYS[3], 'running', id, n, token, ARGV[3], ARGV[2], '')
  elseif d == n and held[3] == token and (state == 'held' or state == 'ended') then
    if held[4] and tonumber(held[4]) >= n and state == 'held' then
      answer[#answer + 1] = token
      answer[#answer + 1] = 'cancelled'
    end
  else
    answer[#answer + 1] = token
    answer[#answer + 1] = 'lost'
  end
end
return answer
