-- The numbers come packed, in one text: now, after, most messages, most bytes.
local ARGV = {struct.unpack('>I6I7I4I4', ARGV[1])}
