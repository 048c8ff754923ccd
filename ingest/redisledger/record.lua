-- Records one batch: all of it or, where it must be refused, nothing.
--
-- KEYS  1 epoch mark   2 the writer's newest reply   3 ordinals given   4 log
--       5… the set of a participation's class and role, or the epoch mark for one that
--         is held: it goes into no set. One key for several that follow each other
-- ARGV  1 epoch   2 sequence   3 after   4 payload   5 how many participations a key
--         has, where it has more than one: " 5:48 9:2"   6… the participants
--
-- Replies "<sequence> <ordinals given before> <outcomes>", 'LOST' or 'STALE'.
-- One call for a participation, two for all that follow each other, everything else once
-- per batch. In classes of 50 that takes Redis 2.3 µs a participation instead of 3.3.
local call = redis.call
if call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local last = call('GET', KEYS[2])
local sequence = last and string.match(last, '^%d+') or '0'
if sequence == ARGV[2] then
  call('EXPIRE', KEYS[2], 2592000) -- something to WAIT for: whoever repeats has another connection
  return last
end
if tonumber(sequence) < tonumber(ARGV[3]) then
  call('DEL', KEYS[1]) -- gone back in time
  return 'LOST'
end
if tonumber(sequence) > tonumber(ARGV[2]) then return 'STALE' end
local several = {}
for key, n in string.gmatch(ARGV[5], '(%d+):(%d+)') do several[tonumber(key)] = tonumber(n) end
local outcomes, counted, at = {}, 0, 6 -- '0' and '1': numbers would have to be formatted

local function add(key, from, to)
  local known = call('SMISMEMBER', key, unpack(ARGV, from, to))
  local fresh, new = 0, call('SADD', key, unpack(ARGV, from, to))
  for i = 1, #known do fresh = fresh + 1 - known[i] end
  local seen = fresh > new and {} -- somebody is there twice
  for i = 1, #known do
    local participant = ARGV[from + i - 1]
    local repeated = known[i] == 1 or seen and seen[participant]
    if seen then seen[participant] = true end
    outcomes[from + i - 6] = repeated and '0' or '1'
  end
  counted = counted + new
end

for i = 5, #KEYS do
  local key, n = KEYS[i], several[i] or 1
  local last = at + n - 1
  if key == KEYS[1] then
    for j = at, last do outcomes[j - 5] = '0' end
  elseif n == 1 then
    local new = call('SADD', key, ARGV[at])
    outcomes[at - 5] = new == 1 and '1' or '0'
    counted = counted + new
  else
    for from = at, last, 1000 do add(key, from, math.min(from + 999, last)) end -- what unpack can
  end
  at = last + 1
end
local decided = '0 ' -- of none: another shard has all of the batch
if #outcomes > 0 then
  decided = (call('INCRBY', KEYS[3], counted) - counted) .. ' ' .. table.concat(outcomes)
  call('XADD', KEYS[4], '*', 'p', ARGV[4], 'o', decided)
end
local reply = ARGV[2] .. ' ' .. decided
call('SET', KEYS[2], reply, 'EX', 2592000)
return reply
