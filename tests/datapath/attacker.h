/* SPDX-License-Identifier: Apache-2.0 */
/* The hostile root of attack.py, and sniffers where it must not get. */
#ifndef EXEAT_TESTS_ATTACKER_H
#define EXEAT_TESTS_ATTACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTACKER_SECRET "exfiltrated" /* what attack.py says where nothing may get */

bool attacker_is_there(void); /* the script, and scapy */

/* Runs in the namespace and sends out of the device, until it is done: from the loop that reads. */
struct attacker {
	int ns;
	const char *device;
	int sniffers[2]; /* what they hear goes to `heard`; -1 = none */
	void (*heard)(int sniffer, const uint8_t *frame, size_t len);
};
void attacker_run(const struct attacker *a);

/* Every frame that arrives at the device in the namespace. The caller is in back_to afterwards. */
int attacker_sniff(int ns, const char *device, int back_to);

/*
 * The next of these frames that has the payload in it: its length, and as much of it as b takes. 0:
 * none came in time.
 */
size_t attacker_hear(int sniffer, const char *payload, uint8_t *b, size_t size, int wait_ms);

/* Fails the test. */
void attacker_got_out(const uint8_t *frame, size_t len, const char *where);

#endif
