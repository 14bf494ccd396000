// Package bachata delivers chat messages: what it has accepted is stored, delivered in order, confirmed by the
// receiver and reported back to the sender.
package bachata
