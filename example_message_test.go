package bachata_test

import (
	"errors"
	"fmt"

	"github.com/bachata-go/bachata"
)

// A message that did not come from a socket.
func ExampleMakeMessage() {
	m, err := bachata.MakeMessage(bachata.Draft{
		ID:   bachata.StringID("m1"),
		Type: "direct",
		Time: 1700000000000,
		From: "anna",
		Dest: "bob",
		Data: map[string]any{"text": "hi"},
	})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(bachata.JSON().AppendMessage(nil, m)))

	// Output:
	// {"id":"m1","type":"direct","time":1700000000000,"dest":"bob","data":{"text":"hi"},"from":"anna"}
}

// What is changed is changed in place; everything else stays as it came in.
func ExampleMessage_Set() {
	var f bachata.Frame
	err := bachata.JSON().Decode([]byte(`{"id":1.10,"type":"direct","dest":"bob","data":{"text":"hi"},"v":1e400}`), &f)
	if err != nil {
		fmt.Println(err)
	}
	m := &f.Message
	if err := m.Set("dest", "carol"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(bachata.JSON().AppendMessage(nil, m)))

	// Output:
	// {"id":1.10,"type":"direct","dest":"carol","data":{"text":"hi"},"v":1e400}
}

// Frames are data messages or transport messages; what is neither is refused.
func ExampleJSON() {
	protocol := bachata.JSON()
	for _, text := range []string{
		`{"id":"m1","type":"direct","dest":"bob"}`,
		`{"type":200,"data":["m1","m2"]}`,
		`{"id":"m1"}`,
	} {
		var f bachata.Frame
		err := protocol.Decode([]byte(text), &f)
		var refusal *bachata.Refusal
		switch {
		case errors.As(err, &refusal):
			fmt.Println("refused:", refusal.Code, refusal.ID)
		case f.IsTransport():
			fmt.Println("transport:", f.Transport.Code, f.Transport.IDs)
		default:
			fmt.Println("message:", f.Message.Type(), f.Message.ID())
		}
	}
	fmt.Println(string(protocol.AppendTransport(nil, &bachata.Transport{Code: bachata.CodeGap, Gap: bachata.Gap{Dropped: 1}})))

	// Output:
	// message: direct "m1"
	// transport: 200 ["m1" "m2"]
	// refused: bad_type "m1"
	// {"type":1004,"dropped":1,"expired":0}
}
