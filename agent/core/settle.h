/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives back to the system what is not in use: freed memory, spare buffers, and the read-only pages
 * of this program and its libraries. Most of these were read once, for relocations, symbols and
 * set-up, or for a connection that is over; what is used again comes back from the kernel's cache.
 * A breakpoint that a debugger has put there is lost.
 */
#ifndef EXEAT_AGENT_CORE_SETTLE_H
#define EXEAT_AGENT_CORE_SETTLE_H

struct ex_loop;

void ex_settle(void);

/*
 * Now, once everything is there and before the loop runs, and again whenever nothing has come for a
 * while. One loop a process.
 */
void ex_settle_on(struct ex_loop *loop);

#endif
