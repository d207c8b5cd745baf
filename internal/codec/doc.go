// Package codec encrypts what a Temporal server keeps of the work: the inputs and
// results of workflows and their steps, memos, heartbeats, summaries, and the
// messages and stack traces of failures. The server stores them, and never has
// the key.
//
// A sealed payload has AES-256-GCM's output as its data, 12 random bytes (the
// nonce) first, and three entries of metadata, all of which the tag covers:
//
//	encoding            binary/encrypted
//	encryption-cipher   aes-256-gcm
//	encryption-key-id   the name of the key
//
// What is inside is the whole payload of before, its own metadata included, so
// that all the server sees of it is its length and the name of the key.
//
// Payloads that were never sealed are read as they are: those of before encryption
// was turned on, and those that the server makes. What is sealed and cannot be
// opened is an Error, never bytes.
//
// It works where messages leave for the server and come from it (DialOption), and
// not as the data converter of a client: so everything that is read is open,
// whoever reads it, and a worker without the key drops a task, which another one
// gets later, where a data converter's error would fail the run.
package codec
