-- Records one batch: all of it or, where it must be refused, nothing.
--
-- KEYS  1 epoch mark   2 the writer's newest reply   3 ordinals given   4 log
--       5… the set of each participation's class and role, or the epoch mark for one
--         that is held: it goes into no set
-- ARGV  1 epoch   2 sequence   3 after   4 payload   5… the participant of each participation
--
-- Replies "<sequence> <ordinals given before> <outcomes>", 'LOST' or 'STALE'.
-- One call for each participation, everything else once per batch.
local call = redis.call
if call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local last = call('GET', KEYS[2])
local sequence = last and string.match(last, '^%d+') or '0'
if sequence == ARGV[2] then return last end
if tonumber(sequence) < tonumber(ARGV[3]) then
  call('DEL', KEYS[1]) -- gone back in time
  return 'LOST'
end
if tonumber(sequence) > tonumber(ARGV[2]) then return 'STALE' end
local outcomes, counted, mark = {}, 0, KEYS[1]
for i = 5, #ARGV do
  local key, new = KEYS[i], 0
  if key ~= mark then new = call('SADD', key, ARGV[i]) end
  outcomes[i - 4] = new
  counted = counted + new
end
local decided = (call('INCRBY', KEYS[3], counted) - counted) .. ' ' .. table.concat(outcomes)
call('XADD', KEYS[4], '*', 'p', ARGV[4], 'o', decided)
local reply = ARGV[2] .. ' ' .. decided
call('SET', KEYS[2], reply, 'EX', 2592000)
return reply
