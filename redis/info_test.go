package redis

import "testing"

// Servers that are too old are refused, and those that can tell when something is on disk are asked.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version           string
		valkey            bool
		supported, onDisk bool
	}{
		{"6.2.14", false, false, false},
		{"7.0.0", false, true, false},
		{"7.2.4", false, true, true},
		{"8.0.1", false, true, true},
		{"10.0.0", false, true, true},
		{"7.2.4", true, true, true},
		{"8.1.0", true, true, true},
		{"", false, false, false},
	} {
		l := level{version: tt.version, valkey: tt.valkey, aof: true, fsync: "always"}
		if err := l.supported(); (err == nil) != tt.supported {
			t.Errorf("%+v: %v", tt, err)
		}
		if got := l.waitAOF(); got != tt.onDisk {
			t.Errorf("%+v: waitAOF() = %v", tt, got)
		}
	}
}

// A replica that is still being sent everything is none that a put can wait for.
func TestReplicasOnline(t *testing.T) {
	t.Parallel()
	const online, sending, waiting = "ip=10.0.0.2,port=6379,state=online,offset=42,lag=0", "ip=10.0.0.3,port=6379,state=send_bulk,offset=0,lag=0", "ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=0"
	for _, tt := range []struct {
		fields map[string]string
		want   int
	}{
		{nil, 0},
		{map[string]string{"connected_slaves": "0"}, 0},
		{map[string]string{"connected_slaves": "1", "slave0": online}, 1},
		{map[string]string{"connected_slaves": "1", "slave0": waiting}, 0},
		{map[string]string{"connected_slaves": "3", "slave0": sending, "slave1": online, "slave2": online}, 2},
		{map[string]string{"connected_slaves": "2"}, 2}, // it does not tell
	} {
		if got := replicasOnline(tt.fields); got != tt.want {
			t.Errorf("replicasOnline(%v) = %d, want %d", tt.fields, got, tt.want)
		}
	}
}
