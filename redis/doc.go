// Package redis is a bachata.Queue on a Redis (7.0 or later) or Valkey (7.2 or later) that somebody operates: one server,
// one with replicas behind Sentinel, or a cluster. Many nodes share it; each sees what the others put.
//
// It has a reliable and a simple mode, and stores both under the keys of the Bachata of 2015, so that people know them
// and nodes of the two can serve the same users (KEYS.md). What "accepted" means depends on how the server is
// configured; Info().Level says it in a sentence, as read from the server itself.
package redis
