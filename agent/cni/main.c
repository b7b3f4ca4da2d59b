/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cni/cni.h"

int main(int argc, char **argv)
{
	return ex_cni_main(argc, argv);
}
