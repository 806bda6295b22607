-- KEYS[1] is the epoch, ARGV[1] the run id of the server that the caller's connection speaks to.
local function blessed()
  local epoch = redis.call('GET', KEYS[1])
  if epoch and string.sub(epoch, -#ARGV[1]) == ARGV[1] then
    return epoch
  end
  return false
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function announce(stream, kind, id, n, token, agent, incarnation, payload)
  redis.call('XADD', stream, '*', 'v', '1', 'e', kind, 'id', id, 'n', n, 'k', token, 'a', agent,
    'i', incarnation, 't', tostring(now_ms()), 'p', payload)
end

-- Redis that is full refuses a script's first write, but not this one, and nothing after it: what ends or frees
-- something must go on, or a full Redis would stay full and silence every agent.
local function go_on_when_full(key)
  redis.call('PERSIST', key)
end

local function leave_queue(id, list)
  if list then
    redis.call('ZREM', 'orch:waiting:' .. list, id)
  end
end
