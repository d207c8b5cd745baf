// Package hold asks the owner of a live database not to checkpoint while a
// copy of it runs, and to tell in the end whether it kept to that. The asking
// is done by the operator's hook.
//
// A hold has a random token of 128 bits, in hex, which the owner gets when it
// begins and again when it ends, and a deadline after which the owner ends it
// by itself, so that a worker that dies does not hold the owner for ever.
//
// Mode http: POST URL/begin with {"token":"...","deadline_seconds":600} is
// answered by 2xx and {"token":"...","engine_version":"1.5.6"} once no
// checkpoint runs and none can start; engine_version may be missing. POST
// URL/end with {"token":"..."} is answered by 2xx only if that hold was in
// force until then and its transaction was rolled back; by 410 Gone if it was
// not (expired, unknown). 409 Conflict: another hold is active.
//
// Mode command: the argv with "begin" or "end" appended, CANVASBACK_DATABASE,
// CANVASBACK_HOLD_TOKEN and CANVASBACK_HOLD_DEADLINE_SECONDS in its
// environment. It exits with 0 where http would answer 2xx, and may print the
// same answer on one line when the hold begins.
//
// A hold is not free for the owner, so that none is asked for by default: it is
// an open transaction, beside which the WAL grows and DuckDB has faults. What
// they are is told with the hooks in examples.
package hold
