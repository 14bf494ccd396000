package bachata

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// MaxName is the longest channel, user, from, dest or id, in bytes.
const MaxName = 255

// Identity says who is behind a socket.
type Identity struct {
	// User is whom limits and revocation go by. Empty: the Channel.
	User string
	// Channel is the inbox that the socket receives from, and where receipts for what it sends go. Required.
	Channel string
	// From is what others see and reply to; the server writes it into every message. Empty: the Channel. If it is not the
	// Channel, a reply to it needs a route that knows whose it is: Direct takes a dest for a channel.
	From string
	// Expires is when the identity ends; zero: never.
	Expires time.Time
}

func (id Identity) check() (Identity, error) {
	if err := CheckName("channel", id.Channel); err != nil {
		return id, err
	}
	if id.User == "" {
		id.User = id.Channel
	}
	if id.From == "" {
		id.From = id.Channel
	}
	return id, CheckName("from", id.From)
}

// CheckName says what is wrong with a channel, a user or a shown name; field is what the error calls it. A name has
// 1 to MaxName bytes of valid UTF-8.
func CheckName(field, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("bachata: %s is empty", field)
	case len(name) > MaxName:
		return fmt.Errorf("bachata: %s has %d bytes, the limit is %d", field, len(name), MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("bachata: %s %q is not valid UTF-8", field, name)
	}
	return nil
}
