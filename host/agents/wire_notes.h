/* wire_notes.h: the messages of a task on the wire; the inside of wire.h.
 * Owner: what is read is the caller's. Thread: any. Must not know: events.
 */
#ifndef MU_AGENTS_WIRE_NOTES_H
#define MU_AGENTS_WIRE_NOTES_H

#include "agents/wire.h"
#include "agents/wire_form.h"

/* The message that starts at *at, which is moved behind it; *out is to be freed. MU_EINVAL, MU_ENOMEM: *out is NULL. */
int mu_wire_read_note(struct mu_message **out, const void *bytes, size_t len, size_t *at, struct mu_err *err);

#endif
