// Package seglog is an append-only log with group commit, kept in numbered segment files of a fixed size. It promises
// that a record for which Wait returned nil is read back by every later Open, in the order of the Append calls, after
// kill -9 and power cuts included, or that Open says what is damaged and where.
//
// The promise rests on this: Sync of a file means what it says; a sector of 512 bytes that is being written when the
// power fails holds its old or its new content; and what was on the disk before stays there.
//
// How it works:
//   - Append copies the record into the batch that is being collected. One goroutine writes batch after batch, each
//     with one write and one sync, and wakes all who wait for it. The next batch begins at once if there is anything
//     in it; no timer adds to the latency.
//   - A batch is recovered wholly or not at all, and batch n+1 is only written once batch n is synced. So a bad batch
//     at the end, with none after it, is one whose writing was cut short: nobody was told that it is safe, and Open
//     cuts it off. A bad batch with a later one behind it is damage, and Open refuses.
//   - Segments are written full of zeros ahead of time, so that syncing a batch needn't change the file's metadata,
//     and so that a full disk shows before anything is promised. Released ones are used again under a new number.
//   - The first error of a write or a sync stops the log for good: what a failed sync left behind can't be known.
//     Opening it again writes the last batch anew before it relies on it. A disk that is too full to prepare the next
//     segment stops nothing: Append refuses what isn't urgent while the room that is left is needed for what is.
//
// The format of the files is written down in FORMAT.md.
package seglog
