// Package bachata delivers chat messages: what it has accepted is stored, delivered in order, confirmed by the
// receiver and reported back to the sender.
//
// A server consists of four things:
//
//   - a [Queue] keeps an inbox for each channel: that of package disk, of package redis, or of package memory;
//   - a [Center], made by [NewCenter], takes messages into the queue and hands out what the queue holds;
//   - a [Route] says for a message into which channels it goes: [Direct], [Group], or a [RouteFunc] of one's own, added by
//     [Center.AddRoute];
//   - a [Handler] is the http.Handler to which clients connect by WebSocket; its Authenticate says which channel is whose.
//
// Clients speak the protocol of PROTOCOL.md. The application's routes and hooks are given Messages, and messages of its
// own go out by [Center.Send]. At the end [Center.Shutdown] lets clients confirm what they were sent; then come
// [Handler.Shutdown], [net/http.Server.Shutdown], and Close of the queue, whose owner is who opened it.
//
// The other exported names are for those who write a queue ([Envelope], [Item], [Key], [Batcher], [AllWatcher], [Taker];
// package queuetest tests it) or carry frames by something other than a WebSocket ([Socket], [Center.Attach]).
package bachata
