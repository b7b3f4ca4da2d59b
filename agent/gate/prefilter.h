/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exeat prefilter: drops what comes from denied prefixes on an uplink, before the stack sees it.
 * The only user of libxdp.
 */
#ifndef EXEAT_AGENT_GATE_PREFILTER_H
#define EXEAT_AGENT_GATE_PREFILTER_H

/* argv[0] is "prefilter". 0, or 125 with the cause on standard error. */
int ex_cmd_prefilter(int argc, char **argv);

#endif
