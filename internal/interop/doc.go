// Package interop tests the server against a WebSocket client that shares no code with it, github.com/coder/websocket.
// It is a module of its own so that the client is no dependency of whoever uses Bachata.
package interop
