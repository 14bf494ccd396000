package bachata

import "testing"

// Receipts that follow on each other share what they have in common, and nothing else.
func TestReceiptsInARow(t *testing.T) {
	t.Parallel()
	receipt := func(id ID, from, dest string, at int64, o Outcome) Envelope {
		return Envelope{Kind: KindReceipt, ID: id, From: from, Dest: dest, Time: at, Outcome: o}
	}
	one, two, number := StringID("1"), StringID(`t"o`), ID{Text: "3", Number: true}
	var d delivery
	for _, row := range []struct {
		e    Envelope
		want string
	}{
		{receipt(one, "bob", "bob", 5, OutcomeDelivered), `{"type":300,"data":"1","from":"bob","dest":"bob","time":5}`},
		{receipt(two, "bob", "bob", 5, OutcomeDelivered), `{"type":300,"data":"t\"o","from":"bob","dest":"bob","time":5}`},
		{receipt(number, "bob", "bob", 5, OutcomeDelivered), `{"type":300,"data":3,"from":"bob","dest":"bob","time":5}`},
		{receipt(one, "bob", "bob", 6, OutcomeDelivered), `{"type":300,"data":"1","from":"bob","dest":"bob","time":6}`},
		{receipt(one, "bob", "bob", 6, OutcomeExpired), `{"type":480,"data":"1","from":"bob","dest":"bob","time":6}`},
		{receipt(one, "bob", "bob", 6, OutcomeDropped), `{"type":481,"data":"1","from":"bob","dest":"bob","time":6}`},
		{receipt(one, "carl", "bob", 6, OutcomeDropped), `{"type":481,"data":"1","from":"carl","dest":"bob","time":6}`},
		{receipt(one, "carl", "group", 6, OutcomeDropped), `{"type":481,"data":"1","from":"carl","dest":"group","time":6}`},
		{receipt(one, "carl", "", 6, OutcomeDropped), `{"type":481,"data":"1","from":"carl","time":6}`},
		{Envelope{Kind: KindGap, Gap: Gap{Dropped: 2}}, `{"type":1004,"dropped":2,"expired":0}`},
		{receipt(two, "carl", "", 6, OutcomeDropped), `{"type":481,"data":"t\"o","from":"carl","time":6}`},
	} {
		if d.appendNotice(jsonProtocol{}, &row.e); string(d.text) != row.want {
			t.Errorf("%+v is written as %s, want %s", row.e, d.text, row.want)
		}
	}
}
