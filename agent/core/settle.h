/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the start took goes back, once everything is there and before the loop runs: freed
 * memory, and the pages of files that nobody may write, this program's and its libraries'. Of these
 * most were read once, for relocations, symbols and set-up; those that are used again come back
 * from the kernel's cache when they are. A breakpoint that a debugger has put there by then is
 * lost.
 */
#ifndef EXEAT_AGENT_CORE_SETTLE_H
#define EXEAT_AGENT_CORE_SETTLE_H

void ex_settle(void);

#endif
