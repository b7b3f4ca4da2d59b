/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy to learn under. Everything is allowed, and everything that can be read is read: a deny
 * of a method that does not exist, which only audits, has every request looked at. Denied are what
 * always is (metadata and the host's own addresses, unless asked for otherwise), and UDP port 443,
 * so that what would go by QUIC, which nobody reads, goes by TCP.
 */
#ifndef EXEAT_AGENT_LEARN_POLICY_H
#define EXEAT_AGENT_LEARN_POLICY_H

#include "policy/compile.h"

extern const struct ex_text ex_learn_policy;

#endif
