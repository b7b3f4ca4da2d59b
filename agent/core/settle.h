/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not used goes back: freed memory, spare buffers, and the pages of files that nobody may
 * write, this program's and its libraries'. Of these most were read once, for relocations, symbols
 * and set-up, or for a connection that is over; those that are used again come back from the
 * kernel's cache when they are. A breakpoint that a debugger has put there by then is lost.
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
