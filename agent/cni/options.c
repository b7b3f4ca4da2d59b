/* SPDX-License-Identifier: Apache-2.0 */
/* exeat-cni's own command line, for people; a runtime gives it variables and no argument. */
#include "agent/cni/chain.h"
#include "agent/cni/install.h"
#include "agent/cni/request.h"
#include "agent/control/client.h"
#include "agent/core/log.h"

static void print_usage(FILE *out)
{
	fputs("Usage: exeat-cni                  as a CNI runtime calls it; see exeat-cni(8)\n"
	      "       exeat-cni adopt [SOCKET [DIR]]\n"
	      "                 open the pods that were started while the agent was away\n"
	      "       exeat-cni chain CONFLIST PLUGIN\n"
	      "                 make the object in PLUGIN the last of a network's plugins\n"
	      "       exeat-cni install BIN-DIR CONF-DIR PLUGIN [watch]\n"
	      "                 copy itself to BIN-DIR, chain the first network of CONF-DIR;\n"
	      "                 watch: again and again, while the agent is there\n"
	      "       exeat-cni version\n",
	      out);
}

static int install(int argc, char **argv)
{
	const struct ex_cni_install in = { .bin_dir = argv[2],
					   .conf_dir = argv[3],
					   .plugin = argv[4],
					   .socket = EX_CONTROL_PATH,
					   .state_dir = EX_CNI_STATE_DIR };
	int r;

	if (argc == 6) {
		ex_log_set_level(EX_LOG_INFO);
		ex_cni_install_watch(&in);
	}
	r = ex_cni_install(&in);
	if (r < 0)
		ex_error("%s: %s", in.conf_dir, strerror(-r));
	return r < 0;
}

int ex_cni_main(int argc, char **argv)
{
	const struct ex_cni_env env = {
		.command = getenv("CNI_COMMAND"),
		.container = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.ifname = getenv("CNI_IFNAME"),
		.args = getenv("CNI_ARGS"),
	};
	const char *word = argc > 1 ? argv[1] : "";

	if (argc == 1 && env.command)
		return ex_cni_call(&env, stdin, stdout);
	if (strcmp(word, "adopt") == 0 && argc <= 4)
		return ex_cni_adopt(argc > 2 ? argv[2] : EX_CONTROL_PATH,
				    argc > 3 ? argv[3] : EX_CNI_STATE_DIR);
	if (strcmp(word, "chain") == 0 && argc == 4)
		return ex_cni_chain_file(argv[2], argv[3]) < 0;
	if (strcmp(word, "install") == 0 &&
	    (argc == 5 || (argc == 6 && strcmp(argv[5], "watch") == 0)))
		return install(argc, argv);
	if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
		puts("exeat-cni " EX_VERSION);
		return 0;
	}
	print_usage(strcmp(word, "--help") == 0 ? stdout : stderr);
	return strcmp(word, "--help") == 0 ? 0 : 2;
}
