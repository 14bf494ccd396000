package redis

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/bachata-go/bachata"
)

// buckets is into how many parts a cluster's channels are divided. A bucket has a hash tag of its own.
const buckets = 1024

// keyspace spells keys. KEYS.md describes them.
type keyspace struct {
	prefix  string
	cluster bool
}

// bucket returns the bucket of a channel: 0 if there is no cluster.
func (k keyspace) bucket(channel string) int {
	if !k.cluster {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(channel))
	return int(h.Sum32() % buckets)
}

// lead returns what the keys of a bucket begin with.
func (k keyspace) lead(bucket int) string {
	if !k.cluster {
		return k.prefix
	}
	return k.prefix + "{" + strconv.Itoa(bucket) + "}"
}

// list returns the key of the list of a channel, with which all its other keys begin. The spelling is the original's,
// except for names with a ':' or a '%'.
func (k keyspace) list(channel string) string {
	return k.lead(k.bucket(channel)) + escapeChannel(channel)
}

// told returns the key of the receipts of a message that stand apart from its record.
func (k keyspace) told(bucket int, known string) string { return k.lead(bucket) + ":told:" + known }

// channel is the inverse of list.
func (k keyspace) channel(list string) string {
	name := list[len(k.prefix):]
	if k.cluster {
		name = name[strings.IndexByte(name, '}')+1:]
	}
	return unescapeChannel(name)
}

func escapeChannel(name string) string {
	if name == "" {
		return "%"
	}
	if !strings.ContainsAny(name, ":%") {
		return name
	}
	return strings.NewReplacer(":", "%3A", "%", "%25").Replace(name)
}

func unescapeChannel(name string) string {
	if name == "%" {
		return ""
	}
	if !strings.Contains(name, "%") {
		return name
	}
	return strings.NewReplacer("%3A", ":", "%25", "%").Replace(name)
}

// escapeID spells an id at the end of a key: as it is, unless that would be a key of something else.
func escapeID(id string) string {
	if id == "wait" || id != "" && (id[0] == ':' || id[0] == '%') {
		return "%" + id
	}
	return id
}

// unescapeID is the inverse.
func unescapeID(id string) string {
	if id != "" && id[0] == '%' {
		return id[1:]
	}
	return id
}

// known returns by what a message is remembered: 12 bytes, of which two messages have the same by nobody's doing.
func knownBy(m *bachata.Item) string {
	b := make([]byte, 0, 128)
	for _, s := range [...]string{m.Origin, m.Dest, m.ID.Text} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return string(sum[:12])
}
